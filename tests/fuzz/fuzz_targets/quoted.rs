//! Quoted strings.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| torcon::fuzzing::quoted_strings(data));
