//! Vectors 1 to 15: PROM, reset, pointers, buffer, data port.

use super::bench::{BROADCAST, Bench, MAC};
use crate::el3c501::Quirks;

#[test]
fn vector_01_prom_window() {
    let mut b = Bench::new();
    for i in 0..6 {
        b.w16(8, i);
        assert_eq!(b.r8(0xc), MAC.0[usize::from(i)]);
        assert_eq!(b.r16(8), i, "the window does not move the pointer");
    }
}

#[test]
fn vector_02_prom_uses_the_low_three_bits_of_gp() {
    let mut b = Bench::new();
    b.w16(8, 0x07c0);
    b.w8(8, 0x02);
    assert_eq!(b.r8(0xc), MAC.0[2]);
}

#[test]
fn vector_03_prom_ends_in_zeros_and_has_an_alias() {
    let mut b = Bench::new();
    for i in 0..8 {
        b.w16(8, i);
        assert_eq!(b.r8(0xd), b.r8(0xc));
        assert!(i < 6 || b.r8(0xc) == 0);
    }
}

#[test]
fn vector_04_status_after_reset() {
    let mut b = Bench::new();
    b.aux(&[0x80, 0x00]);
    assert_eq!((b.r8(0xe), b.r8(7) & 0x0f, b.r8(6)), (0x80, 0x00, 0x80));
}

#[test]
fn vector_05_gp_and_buffer_survive_reset() {
    let mut b = Bench::new();
    b.aux(&[0x40]);
    b.w16(8, 0x0123);
    b.load(&[0x5a]);
    b.aux(&[0x80, 0x00]);
    assert_eq!(b.r16(8), 0x0124);
    assert_eq!(b.dump(0x0123, 1), [0x5a]);
}

#[test]
fn vector_06_station_address_survives_reset() {
    let mut b = Bench::new();
    b.program_mac();
    b.aux(&[0x80, 0x00]);
    b.w8(6, 0xa8);
    b.aux(&[0x48]);
    b.rx(60, MAC);
    assert!(b.irq());
}

#[test]
fn vector_07_commands_during_reset_have_no_effect() {
    let mut b = Bench::new();
    b.aux(&[0x80]);
    b.w8(6, 0xa8);
    b.aux(&[0xc8, 0x00, 0x48]);
    b.rx(60, BROADCAST);
    assert!(!b.irq());
    assert_eq!(b.r8(6), 0x80);
}

#[test]
fn vector_08_host_mode_shows_tx_busy() {
    let mut b = Bench::new();
    b.aux(&[0x40]);
    assert_eq!(b.r8(0xe), 0xc0);
}

#[test]
fn vector_09_data_port_counts_up() {
    let mut b = Bench::new();
    b.aux(&[0x40]);
    b.w16(8, 0);
    b.load(&[0xaa, 0xbb, 0xcc]);
    assert_eq!(b.r16(8), 3);
    assert_eq!(b.dump(0, 3), [0xaa, 0xbb, 0xcc]);
}

#[test]
fn vector_10_pointer_of_12_bits_address_of_11() {
    let mut b = Bench::new();
    b.aux(&[0x40]);
    b.w16(8, 0x07ff);
    b.load(&[0x5a]);
    assert_eq!(b.r16(8), 0x0800);
    b.load(&[0xa5]);
    assert_eq!(b.r16(8), 0x0801);
    assert_eq!(b.dump(0, 1), [0xa5]);
}

#[test]
fn vector_11_pointer_wraps_at_1000h() {
    let mut b = Bench::new();
    b.w16(8, 0x07ff);
    for _ in 0..2049 {
        b.r8(0xf);
    }
    assert_eq!(b.r16(8), 0);
}

#[test]
fn vector_12_high_byte_of_gp_has_three_bits() {
    let mut b = Bench::new();
    b.w16(8, 0xffff);
    assert_eq!(b.r16(8), 0x07ff);
    let mut b = Bench::with(Quirks { gp_write_full: true, ..Quirks::HARDWARE });
    b.w16(8, 0xffff);
    assert_eq!(b.r16(8), 0xffff);
}

#[test]
fn vector_13_status_after_open() {
    let mut b = Bench::open();
    assert_eq!(b.r8(0xe), 0x49);
    let mut b = Bench::with(Quirks { txbusy_in_receive: true, ..Quirks::HARDWARE }).opened();
    assert_eq!(b.r8(0xe), 0xc9);
}

#[test]
fn vector_14_only_offset_a_clears_the_receive_pointer() {
    let mut b = Bench::open();
    b.rx(60, MAC);
    b.w8(0xb, 0);
    assert_eq!(b.r16(0xa), 0x3c);
    b.w8(0xa, 0x55);
    assert_eq!(b.r16(0xa), 0);
}

#[test]
fn vector_15_loading_ends_at_the_end_of_the_buffer() {
    let mut b = Bench::open();
    b.load_60();
    assert_eq!(b.r16(8), 0x0800);
}
