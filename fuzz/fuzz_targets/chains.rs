#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| svidence_fuzz::bodies::chains(data));
