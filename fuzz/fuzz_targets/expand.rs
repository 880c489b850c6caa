#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bolo::fuzz::expand(bytes));
