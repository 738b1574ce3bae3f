//! Streams through both ends of a session, and clients that write rubbish over them.

use super::layout::Layout;
use super::*;
use crate::clock::monotonic;
use crate::memory::Memory;
use crate::stream::{ReceiveReader, StreamView};
use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;
use proptest::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};

fn small() -> SessionConfig {
    SessionConfig { slots: 5, stream_tx_bytes: 1 << 14, stream_rx_bytes: 1 << 15, ..SessionConfig::default() }
}

/// One turn of a lane that answers every byte with itself and lets its rings grow.
fn echo_turn(lane: &mut LaneEnd, slot: u32) -> Result<u32, crate::Rubbish> {
    let len = lane.tx_look(slot)?.len.min(lane.rx_room(slot)?);
    let mut bytes = vec![0; len as usize];
    assert!(lane.tx_copy_at(slot, 0, &mut bytes));
    assert_eq!(lane.rx_write_at(slot, 0, &bytes), len);
    lane.rx_advance(slot, len);
    lane.tx_release(slot, len);
    lane.tx_resize(slot, 2 * lane.tx_size(slot));
    lane.rx_resize(slot, 2 * lane.rx_size(slot));
    lane.rx_watch(slot, 1000)?;
    Ok(len)
}

#[test]
fn a_stream_is_echoed_while_its_rings_grow() {
    let (mut lanes, mut client) = in_process(&small()).unwrap();
    let (lane, shared) = (&mut lanes[0], client.shared.clone());
    assert!(
        lane.open_stream(3, 0, u32::MAX) && !lane.open_stream(3, 0, 0) && !lane.open(3) && !lane.open_stream(5, 0, 0)
    );
    assert_eq!((lane.tx_size(3), lane.rx_size(3)), (4096, 1 << 15));
    let slot = &mut client.slots[3];
    slot.stream_tx.restart();
    slot.stream_rx.restart();
    let (mut sent, mut received) = (0usize, 0usize);
    while received < 300_000 {
        let data: Vec<u8> = (sent..sent + 7000).map(|i| (i % 251) as u8).collect();
        sent += slot.stream_tx.write(&data).unwrap();
        slot.stream_tx.publish(false);
        shared.kick(0, 3);
        lane.collect_dirty();
        assert_eq!(lane.next_dirty(), Some(3));
        echo_turn(lane, 3).unwrap();
        let mut out = vec![0; slot.stream_rx.available().unwrap() as usize];
        slot.stream_rx.copy_at(0, &mut out);
        assert!(out.iter().enumerate().all(|(i, byte)| *byte == ((received + i) % 251) as u8));
        slot.stream_rx.consume(out.len() as u32);
        received += out.len();
    }
    assert_eq!(lane.tx_size(3), 1 << 14);
    lane.close(3);
    assert_eq!((lane.tx_look(3), lane.rx_room(3)), (Ok(Outgoing::default()), Ok(0)));
    assert!(lane.open(3), "the next socket in the slot may be another kind");
    assert_eq!(lane.tx_size(3), 0);
}

/// What stands where nothing was received, of a stream whose receive ring begins with `size` bytes.
fn leftover(lane: &mut LaneEnd, rx: &mut ReceiveReader<impl StreamView>, size: u32) -> Vec<u8> {
    assert!(lane.open_stream(3, 4096, size));
    rx.restart();
    lane.rx_advance(3, size);
    let mut out = vec![1; rx.available().unwrap() as usize];
    rx.copy_at(0, &mut out);
    lane.close(3);
    out
}

#[test]
fn a_ring_that_the_next_stream_does_not_begin_with_goes_back() {
    let (mut lanes, mut client) = in_process(&small()).unwrap();
    let (lane, rx) = (&mut lanes[0], &mut client.slots[3].stream_rx);
    assert!(lane.open_stream(3, 4096, 1 << 14));
    lane.rx_write_at(3, 0, &[9; 1 << 14]);
    lane.close(3);
    assert!(leftover(lane, rx, 1 << 14).iter().all(|byte| *byte == 9), "kept for the next");
    assert!(leftover(lane, rx, 4096).iter().all(|byte| *byte == 0));
    assert!(leftover(lane, rx, 1 << 14).iter().all(|byte| *byte == 0));
}

/// The lane receives, and the client reads.
fn consume(lane: &mut LaneEnd, rx: &mut ReceiveReader<impl StreamView>, expected: &[u8]) {
    lane.rx_room(3).unwrap();
    assert_eq!(lane.rx_write_at(3, 0, expected), expected.len() as u32);
    lane.rx_advance(3, expected.len() as u32);
    let mut out = vec![0; rx.available().unwrap() as usize];
    rx.copy_at(0, &mut out);
    assert_eq!(out, expected);
    rx.consume(out.len() as u32);
    lane.rx_room(3).unwrap();
}

#[test]
fn an_idle_stream_gives_back_what_it_does_not_need() {
    let config = SessionConfig { memory_max: (256 + 24) << 10, tx_bytes: 1 << 17, rx_bytes: 1 << 17, ..small() };
    let (mut lanes, mut client) = in_process(&config).unwrap();
    let (lane, rx) = (&mut lanes[0], &mut client.slots[3].stream_rx);
    assert!(lane.open_stream(3, 4096, 4096) && !lane.has_moved(3));
    rx.restart();
    assert!(lane.rx_resize(3, 1 << 14) && lane.has_moved(3));
    consume(lane, rx, &[1; 4096]);
    consume(lane, rx, &[2; 1 << 14]);
    assert!(!lane.open(1), "36 of 280 KiB are charged, two datagram rings want 256");
    // What has not been read stays.
    lane.rx_write_at(3, 0, &[3; 100]);
    lane.rx_advance(3, 100);
    lane.give_back(3, true);
    assert_eq!(rx.available(), Ok(100));
    let mut out = [0; 100];
    rx.copy_at(0, &mut out);
    assert_eq!(out, [3; 100]);
    rx.consume(100);
    lane.rx_room(3).unwrap();
    assert!(lane.open(1), "20 KiB are charged: the ring before is given back");
    lane.close(1);
    lane.give_back(3, true);
    // The lane shows what it has not written: nothing of what was there before.
    lane.rx_advance(3, 5000);
    assert_eq!(rx.available(), Ok(5000));
    let mut out = [9; 5000];
    rx.copy_at(0, &mut out);
    assert_eq!(out, [0; 5000]);
    rx.consume(5000);
    consume(lane, rx, &[4; 10_000]);
}

#[test]
fn streams_do_not_grow_beyond_the_sessions_memory() {
    let config = SessionConfig { lanes: 2, memory_max: (256 << 10) + (48 << 10), slots: 16, ..small() };
    let config = SessionConfig { tx_bytes: 1 << 17, rx_bytes: 1 << 17, ..config };
    let (mut lanes, _client) = in_process(&config).unwrap();
    assert!(lanes[0].open(0) && !lanes[1].open(1), "one datagram socket of 256 KiB");
    assert!(lanes[0].open_stream(2, 4096, 4096) && lanes[1].open_stream(3, 4096, 4096));
    assert!(lanes[0].tx_resize(2, 8192), "16 KiB: both rings that it had");
    assert!(!lanes[1].rx_resize(3, 1 << 14), "32 KiB more do not fit");
    assert!(lanes[1].rx_resize(3, 8192));
    assert!(lanes[0].open_stream(4, 1 << 14, 1 << 15), "a connection has rings whatever is left");
    assert_eq!((lanes[0].tx_size(4), lanes[0].rx_size(4)), (4096, 4096));
    lanes[0].close(4);
    lanes[0].close(2);
    assert!(lanes[1].tx_resize(3, 8192), "what was closed is free");
}

#[test]
fn a_writer_is_woken_for_a_third_of_its_ring() {
    let (mut lanes, mut client) = in_process(&small()).unwrap();
    let lane = &mut lanes[0];
    assert!(lane.open_stream(0, 4096, 4096));
    let slot = &mut client.slots[0];
    slot.stream_tx.restart();
    assert_eq!(slot.stream_tx.write(&[1; 5000]), Ok(4096));
    slot.stream_tx.publish(false);
    slot.status.want_room();
    client.shared.sleeper().prepare();
    lane.tx_look(0).unwrap();
    lane.tx_release(0, 1000);
    assert!(!lane.ring_client());
    lane.tx_release(0, 400);
    assert!(lane.ring_client());
    client.shared.sleeper().prepare();
    lane.tx_sent(0, 2600);
    assert!(!lane.ring_client(), "sending makes no room");
    lane.set_notsent_lowat(0, 100);
    lane.tx_sent(0, 2650);
    assert!(lane.ring_client(), "unless it is what the writer waits for");
}

#[test]
fn connections_are_announced_in_the_listeners_ring() {
    let (mut lanes, mut client) = in_process(&small()).unwrap();
    let lane = &mut lanes[0];
    let addr = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 80);
    assert!(lane.open_stream(1, 4096, 4096));
    client.slots[1].stream_rx.restart();
    let accepted = |slot| Accepted { slot, peer: addr, local: addr };
    let announced = (0..1000).take_while(|slot| lane.announce(1, &accepted(*slot)).unwrap()).count();
    assert_eq!(announced, 4096 / 32);
    let rx = &mut client.slots[1].stream_rx;
    let mut bytes = [0; 32];
    assert_eq!(rx.available(), Ok(4096));
    rx.copy_at(32, &mut bytes);
    assert_eq!(Accepted::decode(&bytes), accepted(1));
    rx.consume(32);
    assert!(lane.announce(1, &accepted(9)).unwrap());
    assert!(!lane.announce(2, &accepted(9)).unwrap(), "not open");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn rubbish_over_streams_never_harms_the_lane(
        noise in prop::collection::vec((0usize..32, any::<u32>(), any::<bool>()), 1..300),
    ) {
        let layout = Layout::new(&small()).unwrap();
        let memory = Memory::anonymous(layout.total()).unwrap();
        let (mut lanes, _bell, _lane_bells) = lane_ends(&memory, &layout).unwrap();
        lanes[0].open_stream(2, 4096, 4096);
        for (word, value, small) in noise {
            let value = if small { value % 9000 } else { value };
            memory.word32(layout.slot(2).client + word * 4).unwrap().store(value, Ordering::Relaxed);
            match echo_turn(&mut lanes[0], 2) {
                Ok(len) => prop_assert!(len <= 1 << 15),
                Err(_) => {
                    // The daemon would close the session; here the slot is used again, to meet more rubbish.
                    lanes[0].close(2);
                    lanes[0].open_stream(2, 4096, 4096);
                }
            }
        }
    }
}

#[test]
fn a_client_that_scribbles_over_a_running_stream_harms_itself_only() {
    let layout = Layout::new(&small()).unwrap();
    let (fd, memory) = Memory::sealed("xmit-test", layout.total()).unwrap();
    let theirs = Memory::from_sealed(fd.as_fd()).unwrap();
    let (mut lanes, _bell, _lane_bells) = lane_ends(&memory, &layout).unwrap();
    lanes[0].open_stream(2, 4096, 4096);
    let (at, done) = (layout.slot(2).client, AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut state = 0x9e37_79b9_7f4a_7c15_u64; // xorshift: the same rubbish in every run
            while !done.load(Ordering::Acquire) {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let value = (state >> 32) as u32 & (u32::MAX >> (state % 32));
                theirs.word32(at + state as usize % 32 * 4).unwrap().store(value, Ordering::Relaxed);
            }
        });
        let (mut closed, end) = (0, monotonic() + Duration::from_secs(10));
        while closed < 100 && monotonic() < end {
            if echo_turn(&mut lanes[0], 2).is_err() {
                closed += 1;
                lanes[0].close(2);
                lanes[0].open_stream(2, 4096, 4096);
            }
        }
        done.store(true, Ordering::Release);
        assert_eq!(closed, 100, "the rubbish is noticed, again and again");
    });
}
