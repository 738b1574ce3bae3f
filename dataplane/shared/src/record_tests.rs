//! The record ring against a queue of vectors, and against a peer that writes rubbish.

use super::*;
use crate::memory::Memory;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::Arc;

const SIZE: u32 = 1024;

fn ring(memory: &Arc<Memory>) -> RecordRing {
    RecordRing {
        head: memory.word32(0).unwrap(),
        tail: memory.word32(64).unwrap(),
        bytes: memory.bytes(128, SIZE as usize).unwrap(),
        size: SIZE,
    }
}

fn pair() -> (RecordWriter, RecordReader, Arc<Memory>) {
    let memory = Memory::anonymous(128 + SIZE as usize).unwrap();
    (RecordWriter::new(ring(&memory)), RecordReader::new(ring(&memory)), memory)
}

fn meta(port: u16) -> Meta {
    Meta { ttl: 64, tos: 8, ifindex: 3, time: 99, ..Meta::of(SocketAddrV4::new(Ipv4Addr::new(10, 1, 2, 3), port)) }
}

proptest! {
    #[test]
    fn behaves_like_a_queue_of_datagrams(ops in prop::collection::vec(prop::option::of(0usize..500), 0..200)) {
        let (mut writer, mut reader, _memory) = pair();
        let mut model: VecDeque<(u16, Vec<u8>)> = VecDeque::new();
        let mut used = 0;
        for (i, op) in ops.into_iter().enumerate() {
            if let Some(len) = op {
                let payload: Vec<u8> = (0..len).map(|b| (b + i) as u8).collect();
                let (a, b) = payload.split_at(len / 3);
                let fits = used + record_bytes(len as u32) <= u64::from(SIZE);
                prop_assert_eq!(writer.push(&meta(i as u16), &[a, b]).is_ok(), fits);
                if fits {
                    used += record_bytes(len as u32);
                    model.push_back((i as u16, payload));
                }
            } else if let Some((port, payload)) = model.pop_front() {
                let header = reader.peek().unwrap().unwrap();
                prop_assert_eq!(header, Meta { len: payload.len() as u32, ..meta(port) });
                let mut out = vec![0; payload.len() + 5];
                prop_assert_eq!(reader.copy(&mut out), payload.len());
                prop_assert_eq!(&out[..payload.len()], &payload[..]);
                reader.consume();
                used -= record_bytes(payload.len() as u32);
            } else {
                prop_assert_eq!(reader.peek().unwrap(), None);
            }
        }
    }

    #[test]
    fn rubbish_is_an_error_or_a_bounded_record(
        noise in prop::collection::vec((0usize..(128 + SIZE as usize) / 4, any::<u32>()), 1..300),
        tails in prop::collection::vec(any::<u32>(), 1..20),
    ) {
        let (mut writer, mut reader, memory) = pair();
        for (word, value) in noise {
            memory.word32(word * 4).unwrap().store(value, Ordering::Relaxed);
        }
        for tail in tails {
            memory.word32(64).unwrap().store(tail, Ordering::Relaxed);
            let mut bytes = 0;
            while let Ok(Some(header)) = reader.peek() {
                prop_assert!(header.len <= SIZE);
                let mut out = vec![0; header.len as usize];
                prop_assert_eq!(reader.copy(&mut out), header.len as usize);
                reader.consume();
                bytes += record_bytes(header.len);
                prop_assert!(bytes <= u64::from(SIZE), "more than the ring holds without a new position");
            }
            memory.word32(0).unwrap().store(tail, Ordering::Relaxed);
            let _ = writer.push(&meta(1), &[&[0; 100]]);
        }
    }
}

#[test]
fn header_changed_after_peek_has_no_effect() {
    let (mut writer, mut reader, memory) = pair();
    writer.push(&meta(7), &[b"hello"]).unwrap();
    writer.push(&meta(8), &[b"world"]).unwrap();
    assert_eq!(reader.peek().unwrap().unwrap().len, 5);
    memory.word32(128).unwrap().store(60_000, Ordering::Relaxed);
    let mut out = [0; 100];
    assert_eq!(reader.copy(&mut out), 5);
    reader.consume();
    assert_eq!(reader.peek().unwrap().unwrap().peer.port(), 8);
}

#[test]
fn each_lie_has_its_error() {
    let (mut writer, mut reader, memory) = pair();
    writer.push(&meta(7), &[b"hello"]).unwrap();
    memory.word32(128).unwrap().store(33, Ordering::Relaxed);
    assert_eq!(reader.peek(), Err(Rubbish::Record { len: 33, available: 64 }));
    memory.word32(128).unwrap().store(u32::MAX, Ordering::Relaxed);
    assert_eq!(reader.peek(), Err(Rubbish::Record { len: u32::MAX, available: 64 }));
    let (_writer, mut reader, memory) = pair();
    memory.word32(64).unwrap().store(SIZE + 32, Ordering::Relaxed);
    assert_eq!(reader.peek(), Err(Rubbish::Position { claimed: SIZE + 32, capacity: SIZE }));
    memory.word32(64).unwrap().store(8, Ordering::Relaxed);
    assert_eq!(reader.peek(), Err(Rubbish::Record { len: 0, available: 8 }));
    let (mut writer, _reader, memory) = pair();
    memory.word32(0).unwrap().store(1, Ordering::Relaxed);
    assert!(matches!(writer.room(), Err(Rubbish::Position { .. })));
}

#[test]
fn a_record_that_can_never_fit_is_told_apart_from_a_full_ring() {
    let (mut writer, mut reader, _memory) = pair();
    assert_eq!(writer.push(&meta(1), &[&[0; SIZE as usize]]), Err(PushError::TooLarge));
    writer.push(&meta(1), &[&[0; SIZE as usize - 32]]).unwrap();
    assert_eq!(writer.push(&meta(1), &[]), Err(PushError::Full));
    reader.restart();
    writer.push(&meta(2), &[]).unwrap();
    assert_eq!(reader.peek().unwrap().unwrap().peer.port(), 2);
}

#[test]
fn a_slot_can_move_to_another_pair_of_ends() {
    let (mut writer, mut reader, memory) = pair();
    for port in 0..5 {
        writer.push(&meta(port), &[&[0; 100]]).unwrap();
    }
    reader.peek().unwrap().unwrap();
    reader.consume();
    let (mut writer, mut reader) = (RecordWriter::new(ring(&memory)), RecordReader::new(ring(&memory)));
    writer.restart();
    reader.restart();
    assert_eq!(reader.peek(), Ok(None), "what was left is dropped");
    writer.push(&meta(9), &[b"new"]).unwrap();
    assert_eq!(reader.peek().unwrap().unwrap().peer.port(), 9);
    memory.word32(64).unwrap().store(77, Ordering::Relaxed);
    writer.restart();
    assert!(matches!(writer.push(&meta(9), &[b"x"]), Err(PushError::Rubbish(_))));
}
