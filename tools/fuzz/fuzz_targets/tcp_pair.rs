//! Fuzzes [`xmit_fuzz::pair::tcp_pair`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| xmit_fuzz::pair::tcp_pair(bytes));
