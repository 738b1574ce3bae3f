//! Fuzzes [`xmit_fuzz::bodies::arp`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| xmit_fuzz::bodies::arp(bytes));
