//! Fuzzes [`xmit_fuzz::connection::tcp_connection`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| xmit_fuzz::connection::tcp_connection(bytes));
