//! Loom models of both directions: whole blocks of 32 bytes, because the model watches them for races.

use super::*;
use crate::memory::Line;

fn ring(client: &Line, lane: &Line, bytes: &Bytes) -> StreamRing {
    StreamRing { client: client.clone(), lane: lane.clone(), bytes: bytes.clone(), size_max: 64, skew: 0 }
}

fn setup() -> (Line, Line, Bytes) {
    (Line::private(), Line::private(), Bytes::new(128))
}

/// Reads `count` blocks, each filled with its number.
fn read_blocks(reader: &mut ReceiveReader, count: u8) {
    for expected in 1..=count {
        while reader.available().unwrap() < 32 {
            loom::thread::yield_now();
        }
        let mut out = [0; 32];
        assert_eq!(reader.copy_at(0, &mut out), 32);
        assert_eq!(out, [expected; 32]);
        reader.consume(32);
    }
}

/// A lane that places out of order and moves to a larger ring, against a client that reads.
#[test]
fn loom_received_bytes_are_shown_whole_and_in_order() {
    loom::model(|| {
        let (client, lane, bytes) = setup();
        let mut writer = ReceiveWriter::new(ring(&client, &lane, &bytes));
        let mut reader = ReceiveReader::new(ring(&client, &lane, &bytes));
        writer.open(32);
        reader.restart();
        let thread = loom::thread::spawn(move || {
            assert_eq!(writer.write_at(0, &[1; 32]), 32);
            writer.advance(32);
            assert!(writer.resize(64));
            assert_eq!(writer.write_at(32, &[9; 32]), 0, "the larger ring is 64 bytes, 32 of them unread");
            assert_eq!(writer.write_at(0, &[2; 32]), 32);
            writer.advance(32);
            while writer.room().unwrap() < 32 {
                loom::thread::yield_now();
            }
            assert_eq!(writer.write_at(0, &[3; 32]), 32);
            writer.advance(32);
        });
        read_blocks(&mut reader, 3);
        thread.join().unwrap();
    });
}

/// A lane that begins anew where its ring begins whenever the client has read everything: no byte is looked for at its old place.
#[test]
fn loom_received_bytes_are_found_behind_a_new_origin() {
    loom::model(|| {
        let (client, lane, bytes) = setup();
        let mut writer = ReceiveWriter::new(ring(&client, &lane, &bytes));
        let mut reader = ReceiveReader::new(ring(&client, &lane, &bytes));
        writer.open(64);
        reader.restart();
        writer.write_at(0, &[1; 32]);
        writer.advance(32);
        let thread = loom::thread::spawn(move || {
            while writer.room().unwrap() < 64 {
                loom::thread::yield_now();
            }
            assert_eq!(writer.write_at(0, &[2; 32]), 32);
            writer.advance(32);
        });
        read_blocks(&mut reader, 2);
        thread.join().unwrap();
    });
}

/// A client that writes while the lane sends, moves the stream to a larger ring, and releases.
#[test]
fn loom_sent_bytes_stay_until_they_are_released() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let (client, lane, bytes) = setup();
        let mut writer = SendWriter::new(ring(&client, &lane, &bytes));
        let mut reader = SendReader::new(ring(&client, &lane, &bytes));
        reader.open(32);
        writer.restart();
        let thread = loom::thread::spawn(move || {
            let mut next = 1;
            while next <= 3 {
                if writer.write(&[next; 32]).unwrap() == 32 {
                    writer.publish(false);
                    next += 1;
                } else {
                    loom::thread::yield_now();
                }
            }
        });
        let (mut expected, mut moved) = (1, false);
        while expected <= 3 {
            let outgoing = reader.look().unwrap();
            if outgoing.len >= 32 {
                assert!(outgoing.pushed <= outgoing.len);
                let mut out = [0; 32];
                assert!(reader.copy_at(0, &mut out));
                assert_eq!(out, [expected; 32]);
                if !moved {
                    moved = reader.resize(64);
                }
                reader.release(32);
                expected += 1;
            } else {
                loom::thread::yield_now();
            }
        }
        assert!(moved);
        thread.join().unwrap();
    });
}

/// `ReceiveWriter::watch` against `ReceiveReader::consume`: the client tells, or the lane sees.
#[test]
fn loom_an_opening_window_is_never_missed() {
    loom::model(|| {
        let (client, lane, bytes) = setup();
        let mut writer = ReceiveWriter::new(ring(&client, &lane, &bytes));
        let mut reader = ReceiveReader::new(ring(&client, &lane, &bytes));
        writer.open(64);
        reader.restart();
        writer.write_at(0, &[7; 32]);
        writer.advance(32);
        let thread = loom::thread::spawn(move || {
            assert_eq!(reader.available().unwrap(), 32);
            reader.consume(32)
        });
        let waits = writer.watch(32).unwrap();
        let told = thread.join().unwrap();
        assert!(told || !waits, "the lane waits, and nobody tells it");
    });
}
