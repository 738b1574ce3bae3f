//! Fuzzes [`xmit_fuzz::bodies::ipv4`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| xmit_fuzz::bodies::ipv4(bytes));
