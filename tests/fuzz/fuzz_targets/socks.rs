//! The answers of a SOCKS proxy.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| torcon::fuzzing::socks_answers(data));
