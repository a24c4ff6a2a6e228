//! The events of circuits and streams, as `State` reads them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| torcon::fuzzing::lines_of_events(data));
