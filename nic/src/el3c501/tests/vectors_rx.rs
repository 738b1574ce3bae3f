//! Vectors 25 to 37: reception.

use super::bench::{BROADCAST, Bench, GROUP, MAC, OTHER, frame};
use crate::el3c501::Quirks;
use crate::el3c501::device::Heard;

#[test]
fn vector_25_a_good_frame() {
    let mut b = Bench::open();
    let bytes = b.rx(60, MAC);
    assert!(b.irq());
    assert_eq!(b.r8(0xe) & 0x7f, 0x48);
    assert_eq!((b.r8(6), b.irq()), (0x30, false));
    assert_eq!(b.r8(6), 0xb0);
    assert_eq!(b.r16(0xa), 0x3c);
    b.aux(&[0x40]);
    assert_eq!(b.dump(0, 60), bytes);
    assert_eq!(b.r16(8), 0x3c);
}

#[test]
fn vector_26_one_frame_blocks_the_next() {
    let mut b = Bench::open();
    let first = b.rx(60, MAC);
    b.rx(100, MAC);
    assert_eq!((b.r16(0xa), b.r8(6)), (0x3c, 0x30));
    assert_eq!(b.dump(0, 60), first);
}

#[test]
fn vector_27_address_match_modes() {
    let targets = [MAC, BROADCAST, GROUP, OTHER];
    let table = [
        (0x28, [false, false, false, false]),
        (0x68, [true, true, true, true]),
        (0xa8, [true, true, false, false]),
        (0xe8, [true, true, true, false]),
    ];
    for (command, taken) in table {
        for (to, taken) in targets.into_iter().zip(taken) {
            let mut b = Bench::open();
            b.w8(6, command);
            b.rx(60, to);
            assert_eq!(b.irq(), taken, "command {command:#x}, to {to}");
        }
    }
}

#[test]
fn vector_28_the_programmed_address_counts_not_the_prom() {
    let mut b = Bench::open();
    OTHER.0.into_iter().enumerate().for_each(|(i, byte)| b.w8(i as u8, byte));
    b.rx(60, MAC);
    assert!(!b.irq());
    b.rx(60, OTHER);
    assert!(b.irq());
}

#[test]
fn vector_29_a_short_frame() {
    let mut b = Bench::open();
    b.rx(30, MAC);
    assert!(b.irq());
    assert_eq!((b.r8(6), b.r16(0xa)), (0x18, 0x1e));

    let mut b = Bench::with(Quirks { pad_wire_shorts: true, ..Quirks::HARDWARE }).opened();
    b.rx(30, MAC);
    assert_eq!((b.r8(6), b.r16(0xa)), (0x30, 0x3c));
}

#[test]
fn vector_30_a_bad_check_sequence() {
    for (keep_rxptr_on_discard, pointer) in [(false, 0), (true, 60)] {
        let mut b = Bench::with(Quirks { keep_rxptr_on_discard, ..Quirks::HARDWARE }).opened();
        b.rx_bad_fcs(60, MAC);
        assert_eq!((b.irq(), b.r16(0xa)), (false, pointer));
    }
    let mut b = Bench::open();
    b.w8(6, 0xaa);
    b.rx_bad_fcs(60, MAC);
    assert_eq!((b.irq(), b.r8(6)), (true, 0x12));
}

#[test]
fn vector_31_overflow_keeps_what_fits() {
    let mut b = Bench::with(Quirks { keep_rxptr_on_discard: true, ..Quirks::HARDWARE });
    b.w8(6, 0x41);
    b.aux(&[0x48]);
    b.rx(1514, OTHER);
    assert_eq!((b.r16(0xa), b.irq()), (0x5ea, false));
    let second = b.rx(600, OTHER);
    assert_eq!((b.irq(), b.r8(6), b.r16(0xa)), (true, 0x01, 0x800));
    assert_eq!(b.dump(0x5ea, 534), second[..534]);
}

#[test]
fn vector_32_either_enable_lets_the_line_rise() {
    let mut b = Bench::new();
    b.program_mac();
    b.w8(6, 0xa8);
    b.aux(&[0x08]);
    b.rx(60, MAC);
    let mut line = vec![b.irq()];
    for aux in [0x48, 0x08, 0x09] {
        b.aux(&[aux]);
        line.push(b.irq());
    }
    assert_eq!(line, [false, true, false, true]);
    assert_eq!(b.r8(0xe) & 1, 0, "IRE cannot be read");
}

/// A card whose transmission is over, still in mode 01, and a frame that then arrived.
fn frame_after_transmission(quirks: Quirks) -> Bench {
    let mut b = Bench::with(quirks).opened();
    b.load_60();
    b.send_60();
    b.run();
    b.r8(7);
    b.rx(60, MAC);
    b
}

#[test]
fn vector_34_a_frame_survives_the_way_from_transmit_to_receive() {
    let mut b = frame_after_transmission(Quirks::HARDWARE);
    assert_eq!((b.r8(0xe), b.irq()), (0x44, true));
    b.aux(&[0x48]);
    assert_eq!((b.r16(0xa), b.r8(6)), (0x3c, 0x30));
}

#[test]
fn vector_35_linux_throws_that_frame_away() {
    for (rearm_on_status_read, hears_again) in [(true, true), (false, false)] {
        let mut b = frame_after_transmission(Quirks { rearm_on_status_read, ..Quirks::HARDWARE });
        b.aux(&[0x48]);
        b.w16(0xa, 0);
        b.r8(6);
        assert_eq!((b.r16(0xa), b.irq()), (0, false));
        b.rx(60, MAC);
        assert_eq!(b.irq(), hears_again);
        b.r8(6);
        b.aux(&[0x40]);
        b.w16(0xa, 0);
        b.aux(&[0x48]);
        b.rx(60, MAC);
        assert!(b.irq(), "a change of mode helps in any case");
    }
}

#[test]
fn vector_36_nothing_is_stored_while_the_host_owns_the_buffer() {
    let mut b = Bench::new();
    b.program_mac();
    b.aux(&[0x40]);
    b.w8(6, 0xa8);
    b.rx(60, MAC);
    assert_eq!((b.r8(6), b.r16(0xa)), (0x80, 0));
    assert_eq!(b.dump(0, 60), [0; 60]);
}

#[test]
fn vector_37_data_port_is_closed_while_receiving() {
    let mut b = Bench::open();
    b.w16(8, 0x10);
    b.load(&[0xee]);
    assert_eq!(b.r16(8), 0x10);
    b.aux(&[0x40]);
    assert_eq!(b.dump(0x10, 1), [0]);
}

#[test]
fn a_frame_that_began_before_the_receiver_was_armed_is_not_heard() {
    let mut b = Bench::open();
    let bytes = frame(60, MAC);
    b.aux(&[0x40]);
    b.card().hear_start();
    b.aux(&[0x48]);
    b.card().hear_end(Heard::good(&bytes));
    assert!(!b.irq());
}

#[test]
fn an_unread_status_blocks_also_after_a_change_of_mode() {
    let mut b = Bench::open();
    b.rx(60, MAC);
    b.aux(&[0x40]);
    b.w16(0xa, 0);
    b.aux(&[0x48]);
    b.rx(100, MAC);
    assert_eq!((b.r16(0xa), b.r8(6)), (0, 0x30));
    b.rx(100, MAC);
    assert_eq!((b.r16(0xa), b.r8(6)), (100, 0x30));
}

#[test]
fn dribble_is_an_error_of_its_own() {
    let mut b = Bench::open();
    b.w8(6, 0xac);
    let bytes = frame(60, MAC);
    b.rx_heard(Heard { dribble: true, ..Heard::good(&bytes) });
    assert_eq!((b.irq(), b.r8(6)), (true, 0x14));
}
