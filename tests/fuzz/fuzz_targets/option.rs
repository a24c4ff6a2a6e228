//! The values of options.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| torcon::fuzzing::option_values(data));
