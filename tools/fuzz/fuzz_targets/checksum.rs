//! Fuzzes [`xmit_fuzz::bodies::checksum`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| xmit_fuzz::bodies::checksum(bytes));
