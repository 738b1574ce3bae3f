//! Vectors 16 to 24, 33, 38 to 42: transmission, collisions, loopback. 22 with the driver stands in `driver`.

use super::bench::{Bench, MAC, OTHER, frame};
use crate::el3c501::{Fault, Quirks};

#[test]
fn vector_16_transmission_takes_its_time() {
    let mut b = Bench::open();
    b.load_60();
    b.send_60();
    assert!(!b.irq());
    assert_eq!(b.r8(0xe), 0xc4);
    b.pass(57_599);
    assert!(!b.irq());
    b.pass(1);
    assert!(b.irq(), "57.6 us after the trigger");
}

#[test]
fn vector_17_after_transmission() {
    let mut b = Bench::open();
    let bytes = b.load_60();
    b.send_60();
    b.run();
    assert_eq!((b.r8(0xe), b.irq()), (0x45, true));
    assert_eq!((b.r8(7) & 0x0f, b.irq()), (0x08, false));
    assert_eq!(b.r16(8), 0x0800);
    assert_eq!(b.heard(), [bytes]);
}

#[test]
fn vector_18_tx_status_stays_readable() {
    let mut b = Bench::open();
    b.load_60();
    b.send_60();
    b.run();
    b.r8(7);
    assert_eq!(b.r8(7) & 0x0f, 0x08);
}

#[test]
fn vector_19_polling_without_interrupt() {
    let mut b = Bench::open();
    b.load_60();
    b.w8(7, 0x00);
    b.send_60();
    assert_eq!(b.r8(0xe) & 0x80, 0x80);
    b.run();
    assert!(!b.irq());
    assert_eq!((b.r8(0xe) & 0x80, b.r8(7) & 0x0f), (0, 0x08));
}

#[test]
fn vector_20_only_a_change_triggers() {
    let mut b = Bench::open();
    b.load_60();
    b.send_60();
    b.run();
    assert_eq!(b.heard().len(), 1);
    b.send_60();
    b.run();
    assert_eq!(b.heard().len(), 0, "the same code again");
    b.resend_60();
    b.run();
    assert_eq!(b.heard().len(), 1);
}

#[test]
fn vector_21_collision_and_retry() {
    let mut b = Bench::open();
    let bytes = b.load_60();
    b.segment.inject(Fault::Collision, 1);
    b.send_60();
    b.run();
    assert_eq!((b.r8(0xe) & 0x80, b.irq()), (0, true));
    assert_eq!(b.r8(7) & 0x0f, 0x02);
    assert_eq!(b.dump(0x7c4, 60), bytes);
    assert!(b.heard().is_empty());
    b.resend_60();
    b.run();
    assert_eq!(b.r8(7) & 0x0f, 0x08);
    assert_eq!(b.heard(), [bytes]);
}

/// Sixteen collisions of one frame; the statuses seen.
fn collide_16_times(b: &mut Bench) -> Vec<u8> {
    b.segment.inject(Fault::Collision, 16);
    b.load_60();
    b.send_60();
    let mut seen = Vec::new();
    for _ in 0..16 {
        b.run();
        assert!(b.irq());
        seen.push(b.r8(7) & 0x0f);
        if seen.len() < 16 {
            b.resend_60();
        }
    }
    seen
}

#[test]
fn vector_22_sixteenth_collision_gives_up() {
    let mut b = Bench::open();
    let mut expected = vec![0x02; 15];
    expected.push(0x06);
    assert_eq!(collide_16_times(&mut b), expected);
    assert!(b.heard().is_empty());
}

#[test]
fn vector_23_count_restarts_after_giving_up() {
    let mut b = Bench::open();
    collide_16_times(&mut b);
    b.load_60();
    b.send_60();
    b.run();
    assert_eq!(b.r8(7) & 0x0f, 0x08);
    assert_eq!(collide_16_times(&mut b)[0], 0x02);
}

#[test]
fn vector_24_underflow_interrupts_only_when_asked_to() {
    for (command, irq) in [(0x0b, true), (0x0a, false)] {
        let mut b = Bench::open();
        b.load_60();
        b.w8(7, command);
        b.segment.inject(Fault::Underflow, 1);
        b.send_60();
        b.run();
        assert_eq!((b.irq(), b.r8(7) & 0x0f), (irq, 0x01));
        assert!(b.heard().is_empty());
    }
}

#[test]
fn vector_33_tx_busy_from_transmit_to_receive() {
    for (txbusy_in_receive, status) in [(false, 0x49), (true, 0xc9)] {
        let mut b = Bench::with(Quirks { txbusy_in_receive, ..Quirks::HARDWARE }).opened();
        b.load_60();
        b.send_60();
        b.run();
        b.aux(&[0x48]);
        assert_eq!(b.r8(0xe), status);
    }
}

/// Loads a frame of `len` bytes and sends it around inside the card.
fn loop_back(len: u16, rx_command: u8, aux: u8) -> (Bench, Vec<u8>) {
    let (mut b, bytes) = (Bench::open(), frame(len.into(), OTHER));
    b.aux(&[0x40]);
    b.w16(8, 0x800 - len);
    b.load(&bytes);
    b.w16(8, 0x800 - len);
    b.w16(0xa, 0);
    b.w8(6, rx_command);
    b.w8(7, 0x08);
    b.aux(&[aux]);
    b.run();
    assert!(b.heard().is_empty(), "loopback stays inside the card");
    (b, bytes)
}

#[test]
fn vector_38_loopback() {
    let (mut b, bytes) = loop_back(60, 0x68, 0x4c);
    assert_eq!((b.r8(0xe), b.r8(7), b.r8(6)), (0x4c, 0x08, 0x30));
    assert_eq!((b.r16(0xa), b.r16(8)), (0x3c, 0x800));
    assert_eq!(b.dump(0, 60), bytes);
}

#[test]
fn vector_39_loopback_of_a_short_frame() {
    let (mut b, _) = loop_back(30, 0x68, 0x4c);
    assert_eq!((b.r8(6), b.r16(0xa)), (0x18, 0x1e));
}

#[test]
fn vector_40_loopback_with_a_bad_check_sequence() {
    let (mut b, _) = loop_back(60, 0x62, 0x4e);
    assert_eq!((b.r8(6), b.r8(0xe)), (0x12, 0x4e));
}

#[test]
fn vector_41_low_offsets_read_as_the_statuses() {
    let mut b = Bench::open();
    b.rx(60, MAC);
    assert_eq!((b.r8(0), b.irq(), b.r8(4)), (0x30, false, 0xb0));
    b.load_60();
    b.send_60();
    b.run();
    assert_eq!((b.r8(1) & 0x0f, b.irq()), (0x08, false));
}

#[test]
fn vector_42_dma_request_is_kept() {
    let mut b = Bench::new();
    b.aux(&[0x20]);
    assert_eq!(b.r8(0xe), 0xa0);
    b.aux(&[0x00]);
    assert_eq!(b.r8(0xe), 0x80);
}

#[test]
fn bad_check_sequence_is_seen_on_the_wire() {
    let mut b = Bench::open();
    b.load_60();
    b.w16(8, 0x7c4);
    b.aux(&[0x46]);
    b.run();
    assert_eq!((b.heard().len(), b.heard_bad(), b.r8(7) & 0x0f), (0, 1, 0x08));
}

#[test]
fn giants_and_empty_frames_never_reach_the_wire() {
    for start in [0x000, 0x1ff, 0x800] {
        let mut b = Bench::with(Quirks { gp_write_full: true, ..Quirks::HARDWARE }).opened();
        b.aux(&[0x40]);
        b.w16(8, start);
        b.aux(&[0x44]);
        b.run();
        assert_eq!((b.r8(7) & 0x0f, b.r8(0xe) & 0x80, b.irq(), b.heard().len()), (0, 0, false, 0), "{start:#x}");
    }
}

#[test]
fn frame_cut_off_in_the_middle_arrives_damaged() {
    let mut b = Bench::open();
    b.load_60();
    b.send_60();
    b.pass(20_000);
    b.aux(&[0x40]);
    b.run();
    assert_eq!((b.heard().len(), b.heard_bad(), b.irq()), (0, 1, false));
    assert_eq!(b.segment.counters().broken, 1);
}
