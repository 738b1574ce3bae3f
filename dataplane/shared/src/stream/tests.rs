//! Both directions against a plain queue of bytes, with moves between rings at any time, and against peers that write rubbish.

use super::*;
use crate::Rubbish;
use crate::memory::Memory;
use crate::sync::Ordering;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::Arc;

const MAX: u32 = 64 << 10;

struct Both {
    memory: Arc<Memory>,
    send: (SendWriter, SendReader),
    receive: (ReceiveReader, ReceiveWriter),
}

fn both(first: u32) -> Both {
    let memory = Memory::anonymous(4096 + 4 * MAX as usize).unwrap();
    let ring = |offset| StreamRing {
        client: memory.line(0).unwrap(),
        lane: memory.line(64).unwrap(),
        bytes: memory.bytes(offset, 2 * MAX as usize).unwrap(),
        size_max: MAX,
        skew: 64 * offset as u32 / 1000,
    };
    let (tx, rx) = (4096, 4096 + 2 * MAX as usize);
    let mut both = Both {
        send: (SendWriter::new(ring(tx)), SendReader::new(ring(tx))),
        receive: (ReceiveReader::new(ring(rx)), ReceiveWriter::new(ring(rx))),
        memory,
    };
    both.reopen(first);
    both
}

impl Both {
    fn reopen(&mut self, first: u32) {
        self.send.1.open(first);
        self.receive.1.open(first);
        self.send.0.restart();
        self.receive.0.restart();
    }
}

#[derive(Clone, Debug)]
enum Step {
    Write(usize),
    Take(usize),
    Resize(u32),
    GiveBack,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0usize..40_000).prop_map(Step::Write),
        4 => (0usize..40_000).prop_map(Step::Take),
        1 => (12u32..17).prop_map(|log| Step::Resize(1 << log)),
        1 => Just(Step::GiveBack),
    ];
    prop::collection::vec(step, 1..120)
}

fn pattern(from: usize, len: usize) -> Vec<u8> {
    (from..from + len).map(|i| (i * 31 + (i >> 8)) as u8).collect()
}

proptest! {
    #[test]
    fn sending_behaves_like_a_queue(steps in steps()) {
        let mut both = both(4096);
        let (writer, reader) = &mut both.send;
        let (mut model, mut written) = (VecDeque::<u8>::new(), 0);
        for step in steps {
            match step {
                Step::Write(len) => {
                    let (data, room) = (pattern(written, len), writer.room().unwrap() as usize);
                    let taken = writer.write(&data).unwrap();
                    prop_assert_eq!(taken, len.min(room));
                    writer.publish(len % 3 == 0);
                    model.extend(&data[..taken]);
                    written += taken;
                }
                Step::Take(len) => {
                    let outgoing = reader.look().unwrap();
                    prop_assert_eq!(outgoing.len as usize, model.len());
                    prop_assert!(outgoing.pushed <= outgoing.len);
                    let mut out = vec![0; model.len()];
                    prop_assert!(reader.copy_at(0, &mut out));
                    prop_assert!(model.iter().eq(&out), "retransmission sees the same bytes");
                    let half = model.len() / 2;
                    let mut out = vec![0; model.len() - half];
                    prop_assert!(reader.copy_at(half as u32, &mut out) && !reader.copy_at(half as u32 + 1, &mut out));
                    prop_assert!(model.iter().skip(half).eq(&out));
                    reader.release(len as u32);
                    model.drain(..len.min(model.len()));
                }
                Step::Resize(size) => drop(reader.resize(size)),
                Step::GiveBack => drop(reader.give_back()),
            }
        }
    }

    #[test]
    fn receiving_behaves_like_a_queue(steps in steps()) {
        let mut both = both(4096);
        let (reader, writer) = &mut both.receive;
        let (mut model, mut written, mut promised) = (VecDeque::<u8>::new(), 0, 0);
        for step in steps {
            match step {
                Step::Write(len) => {
                    let room = writer.room().unwrap() as usize;
                    prop_assert!(written + room >= promised, "a window was taken back");
                    promised = written + room;
                    let data = pattern(written, len);
                    // The second half comes first, out of order.
                    let half = len / 2;
                    let late = writer.write_at(half as u32, &data[half..]) as usize;
                    prop_assert_eq!(late, (len - half).min(room.saturating_sub(half)));
                    let early = writer.write_at(0, &data[..half]) as usize;
                    prop_assert_eq!(early, half.min(room));
                    writer.advance((early + late) as u32);
                    model.extend(&data[..early + late]);
                    written += early + late;
                }
                Step::Take(len) => {
                    prop_assert_eq!(reader.available().unwrap() as usize, model.len());
                    let mut out = vec![0; model.len() + 5];
                    prop_assert_eq!(reader.copy_at(0, &mut out), model.len());
                    prop_assert!(model.iter().eq(&out[..model.len()]));
                    reader.consume(len as u32);
                    model.drain(..len.min(model.len()));
                }
                Step::Resize(size) => drop(writer.resize(size)),
                Step::GiveBack => drop(writer.give_back(writer.unread() == 0)),
            }
        }
    }

    /// Whatever stands in the words and rings: an error or bounded work, on both sides.
    #[test]
    fn rubbish_is_an_error_or_bounded(noise in prop::collection::vec((0usize..32, any::<u32>(), any::<bool>()), 1..200)) {
        let mut both = both(8192);
        let (send, receive) = (&mut both.send, &mut both.receive);
        for (word, value, small) in noise {
            let value = if small { value % 70_000 } else { value };
            both.memory.word32(word * 4).unwrap().store(value, Ordering::Relaxed);
            let mut out = vec![0; 4 * MAX as usize];
            if let Ok(outgoing) = send.1.look() {
                prop_assert!(outgoing.len <= 2 * MAX && outgoing.pushed <= outgoing.len);
                prop_assert!(outgoing.urgent.is_none_or(|urgent| urgent <= outgoing.len));
                prop_assert!(send.1.copy_at(0, &mut out[..outgoing.len as usize]));
                send.1.release(value % 5000);
            }
            send.1.resize(4096 << (value % 5));
            if let Ok(room) = receive.1.room() {
                prop_assert!(room <= 2 * MAX);
                prop_assert!(receive.1.write_at(value % 9000, &[5; 3000]) <= 3000);
                receive.1.advance(value % 3000);
            }
            let _ = receive.1.watch(value % 3000);
            receive.1.resize(4096 << (value % 6));
            let _ = send.0.write(&[1; 5000]);
            send.0.publish(small);
            let _ = send.0.outstanding();
            if let Ok(len) = receive.0.available() {
                prop_assert!(len <= 2 * MAX);
                prop_assert_eq!(receive.0.copy_at(0, &mut out), len as usize);
                receive.0.consume(len / 2);
            }
            receive.0.urgent();
            receive.0.info();
        }
    }
}

/// However much it carried: what was never touched is still zero.
#[test]
fn a_stream_that_is_read_at_once_stays_in_two_lines() {
    let mut both = both(MAX);
    let data = [7; 100];
    for _ in 0..2000 {
        let ((writer, lane), (reader, filler)) = (&mut both.send, &mut both.receive);
        assert_eq!(writer.write(&data), Ok(100));
        writer.publish(false);
        assert_eq!(lane.look().unwrap().len, 100);
        let mut out = [0; 100];
        assert!(lane.copy_at(0, &mut out) && out == data);
        lane.release(100);
        assert_eq!((filler.write_at(0, &data), filler.room().unwrap()), (100, MAX));
        filler.advance(100);
        assert_eq!((reader.available(), reader.copy_at(0, &mut out)), (Ok(100), 100));
        assert_eq!(out, data);
        reader.consume(100);
        filler.room().unwrap();
    }
    let mut all = vec![0; 4 * MAX as usize];
    assert!(both.memory.bytes(4096, all.len()).unwrap().read(0, &mut all));
    assert_eq!(all.iter().filter(|byte| **byte != 0).count(), 2 * 100);
}

/// 60 bytes come and are read.
fn carry((reader, writer): &mut (ReceiveReader, ReceiveWriter)) {
    writer.write_at(0, &[1; 60]);
    writer.advance(60);
    reader.available().unwrap();
    reader.consume(60);
}

/// 40 bytes come ahead of 40 others, and both are found where they belong.
fn carry_behind_a_hole((reader, writer): &mut (ReceiveReader, ReceiveWriter)) {
    writer.write_at(40, &[3; 40]);
    assert_eq!(writer.room(), Ok(4096), "all was read, and 40 bytes wait ahead");
    writer.write_at(0, &[2; 40]);
    writer.advance(80);
    let mut out = [0; 80];
    assert_eq!((reader.available(), reader.copy_at(0, &mut out)), (Ok(80), 80));
    assert!(out[..40] == [2; 40] && out[40..] == [3; 40]);
}

#[test]
fn what_is_placed_ahead_stays_where_it_is() {
    let mut both = both(4096);
    carry(&mut both.receive);
    carry_behind_a_hole(&mut both.receive);
}

/// In a slot that was used before, what arrives first may be ahead of a hole.
#[test]
fn the_next_stream_of_a_slot_begins_at_an_origin_of_its_own() {
    let mut both = both(4096);
    for _ in 0..3 {
        carry(&mut both.receive);
        both.receive.1.room().unwrap();
    }
    both.reopen(4096);
    carry_behind_a_hole(&mut both.receive);
}

#[test]
fn rings_that_were_left_go_back() {
    let mut both = both(4096);
    let (reader, writer) = &mut both.receive;
    writer.write_at(0, &[9; 4096]);
    writer.advance(4096);
    assert!(writer.resize(8192));
    for len in [4096, 8192] {
        assert_eq!(reader.available(), Ok(len));
        reader.consume(len);
        writer.room().unwrap();
        writer.write_at(0, &[9; 8192]);
        writer.advance(8192);
    }
    reader.available().unwrap();
    reader.consume(8192);
    writer.room().unwrap();
    assert!(writer.give_back(true));
    let mut all = vec![1; 2 * MAX as usize];
    assert!(both.memory.bytes(4096 + 2 * MAX as usize, all.len()).unwrap().read(0, &mut all));
    assert!(all.iter().all(|byte| *byte == 0));
}

/// Also while it leaves a ring, which it may do for as long as it is light.
#[test]
fn a_stream_that_shrinks_stays_in_two_lines() {
    let mut both = both(MAX);
    let (writer, lane) = &mut both.send;
    writer.room().unwrap();
    assert!(lane.resize(4096));
    for _ in 0..600 {
        assert_eq!(writer.write(&[7; 100]), Ok(100));
        writer.publish(false);
        assert_eq!(lane.look().unwrap().len, 100);
        lane.release(100);
    }
    let mut all = vec![0; 2 * MAX as usize];
    assert!(both.memory.bytes(4096, all.len()).unwrap().read(0, &mut all));
    assert_eq!(all.iter().filter(|byte| **byte != 0).count(), 100);
}

#[test]
fn each_lie_has_its_error() {
    let mut both = both(4096);
    let set = |word: usize, value: u32| both.memory.word32(word * 4).unwrap().store(value, Ordering::Relaxed);
    both.send.0.write(&[1; 100]).unwrap();
    both.send.0.publish(false);
    assert_eq!(both.send.1.look().unwrap().len, 100);
    set(word::SEND_TAIL, 99);
    assert_eq!(both.send.1.look(), Err(Rubbish::Backwards { seen: 100, claimed: 99 }));
    set(word::SEND_TAIL, 4097);
    assert_eq!(both.send.1.look(), Err(Rubbish::Position { claimed: 4097, capacity: 4096 }));
    set(word::RECEIVE_HEAD, 1);
    assert_eq!(both.receive.1.room(), Err(Rubbish::Backwards { seen: 0, claimed: 1 }));
    set(16 + word::SEND_HEAD, 101);
    assert_eq!(both.send.0.room(), Err(Rubbish::Backwards { seen: 100, claimed: 101 }));
    set(16 + word::RECEIVE_TAIL, 5000);
    assert!(matches!(both.receive.0.available(), Err(Rubbish::Position { claimed: 5000, .. })));
    set(16 + word::RECEIVE_RING, 31 << 5 | 12);
    assert!(matches!(both.receive.0.available(), Err(Rubbish::Size(_))));
}

#[test]
fn positions_wrap_at_the_end_of_u32() {
    // Only positions matter here, so the bytes of 4 GiB are not copied.
    let mut both = both(4096);
    let data = pattern(0, 4096);
    let (writer, reader) = &mut both.send;
    let mut out = vec![0; 4096];
    let rounds = u32::MAX / MAX + 2;
    assert!(reader.resize(MAX));
    writer.write(&data).unwrap();
    writer.publish(false);
    reader.look().unwrap();
    reader.release(4096);
    for _ in 0..rounds {
        assert_eq!(writer.room(), Ok(MAX));
        writer.skip(MAX);
        assert_eq!(reader.look().unwrap().len, MAX);
        reader.release(MAX);
    }
    assert_eq!(writer.write(&data), Ok(4096));
    writer.publish(false);
    assert_eq!(reader.look().unwrap(), Outgoing { len: 4096, pushed: 4096, ..Outgoing::default() });
    assert!(reader.copy_at(0, &mut out) && out == data);
}

#[test]
fn marks_tell_what_may_wait_and_what_is_urgent() {
    let mut both = both(4096);
    let (writer, reader) = &mut both.send;
    writer.write(b"header").unwrap();
    writer.publish(true);
    assert_eq!(reader.look().unwrap(), Outgoing { len: 6, ..Outgoing::default() });
    writer.write(b"body").unwrap();
    writer.publish(false);
    assert_eq!(reader.look().unwrap().pushed, 10);
    writer.write(b"!").unwrap();
    writer.publish_urgent();
    writer.write(b"more").unwrap();
    writer.publish(true);
    let outgoing = Outgoing { len: 15, record: false, pushed: 11, urgent: Some(11), flags: StreamFlags::default() };
    assert_eq!(reader.look().unwrap(), outgoing);
    reader.release(10);
    assert_eq!(reader.look().unwrap().urgent, Some(1));
    reader.release(1);
    assert_eq!(reader.look().unwrap(), Outgoing { len: 4, ..Outgoing::default() });
    reader.sent(1);
    assert_eq!(writer.outstanding(), Ok((4, 3)));
    writer.set_flags(StreamFlags::CORK.with(StreamFlags::NODELAY, true), true);
    let outgoing = reader.look().unwrap();
    assert!(outgoing.pushed == 4 && outgoing.flags.contains(StreamFlags::CORK));
}

#[test]
fn an_urgent_byte_is_marked_before_or_after_it_came() {
    let mut both = both(4096);
    let (reader, writer) = &mut both.receive;
    assert_eq!(reader.urgent(), (0, -1));
    writer.write_at(0, b"ab");
    writer.advance(2);
    writer.mark_urgent(3);
    assert_eq!(reader.urgent(), (1, 4), "the fifth byte, not yet there");
    writer.write_at(0, b"cd!");
    writer.advance(3);
    assert_eq!(reader.available(), Ok(5));
    reader.consume(5);
    assert_eq!(reader.urgent(), (1, -1));
}

#[test]
fn records_are_shown_one_after_the_other() {
    let mut both = both(4096);
    let (writer, reader) = &mut both.send;
    let shown = |reader: &mut SendReader| reader.look().map(|out| (out.len, out.record));
    for _ in 0..RECORDS {
        assert!(writer.has_record_room());
        writer.write(&[1; 10]).unwrap();
        writer.publish_record();
    }
    assert!(!writer.has_record_room());
    writer.write(&[1; 5]).unwrap();
    writer.publish(false);
    for end in (10..=40).step_by(10) {
        assert_eq!(shown(reader), Ok((end, true)));
        assert_eq!(shown(reader), Ok((end, true)), "until it is taken");
        assert!(!reader.copy_at(end, &mut [0]));
        reader.take_record();
    }
    assert_eq!(shown(reader), Ok((45, false)));
    assert!(writer.has_record_room());
    reader.release(45);
    writer.write(&[1; 5]).unwrap();
    writer.publish_record();
    assert_eq!(shown(reader), Ok((5, true)));
    both.memory.word32(word::SEND_RECORD_COUNT * 4).unwrap().store(99, Ordering::Relaxed);
    assert!(matches!(both.send.1.look(), Err(Rubbish::Position { .. })));
}

#[test]
fn the_lane_is_told_of_a_window_that_opens() {
    let mut both = both(4096);
    let (reader, writer) = &mut both.receive;
    writer.write_at(0, &[1; 4096]);
    writer.advance(4096);
    assert_eq!(writer.room(), Ok(0));
    assert_eq!(reader.available(), Ok(4096));
    assert!(!reader.consume(10), "nobody asked");
    assert_eq!(writer.room(), Ok(10));
    assert_eq!(writer.watch(1000), Ok(true));
    assert!(!reader.consume(500));
    assert!(reader.consume(501));
    assert_eq!(writer.watch(1000), Ok(false), "consumed already");
    writer.watch(0).unwrap();
    assert!(!reader.consume(5000), "never more than was shown, and nobody asks");
    assert_eq!(writer.room(), Ok(4096));
    for read in 0..4 {
        writer.advance(1);
        assert_eq!((writer.watch(1), reader.available()), (Ok(true), Ok(1)), "a single byte, behind {read}");
        assert!(reader.consume(1));
        assert_eq!(writer.room(), Ok(4096));
    }
}

#[test]
fn a_slot_starts_anew() {
    let mut both = both(4096);
    both.send.0.write(&[1; 10]).unwrap();
    both.send.0.publish(false);
    both.receive.1.write_at(0, b"old");
    both.receive.1.advance(3);
    both.receive.1.resize(8192);
    both.reopen(8192);
    assert_eq!(both.send.1.look(), Ok(Outgoing::default()));
    assert_eq!((both.receive.0.available(), both.receive.1.room()), (Ok(0), Ok(8192)));
    assert_eq!(both.send.0.room(), Ok(8192));
}

#[test]
fn tcp_info_is_read_as_it_was_written() {
    let mut both = both(4096);
    let info = TcpInfo { state: 1, rtt: 1234, pacing_rate: u64::MAX, total_rto_time: 9, ..TcpInfo::default() };
    assert_eq!(TcpInfo::decode(&info.encode()), info);
    assert_eq!(info.encode()[68..72], 1234u32.to_ne_bytes());
    both.receive.1.write_info(&info);
    assert_eq!(both.receive.0.info(), Some(info));
    both.memory.word32((16 + word::INFO_SEQUENCE) * 4).unwrap().store(3, Ordering::Relaxed);
    assert_eq!(both.receive.0.info(), None, "being written");
}

#[test]
fn accepted_connections_survive_their_ring() {
    let addr = |port| SocketAddrV4::new(Ipv4Addr::new(10, 1, 2, 3), port);
    let accepted = Accepted { slot: 77, peer: addr(65_535), local: addr(80) };
    assert_eq!(Accepted::decode(&accepted.encode()), accepted);
    Accepted::decode(&[0xff; ACCEPTED_BYTES]);
}
