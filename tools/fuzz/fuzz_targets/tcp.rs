//! Fuzzes [`xmit_fuzz::bodies::tcp`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| xmit_fuzz::bodies::tcp(bytes));
