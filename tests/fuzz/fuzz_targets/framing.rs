//! Frames cut anywhere, and the replies in them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| torcon::fuzzing::framing(data));
