#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tarana_operator::fuzzing::retry_after(data));
