//! What a stranger can make a host do: floods of SYNs and RSTs, storms of ACKs, tiny windows, holes without end. Memory and
//! work stay within their bounds, counted in objects, answers and turns, and who behaves is served on.

#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on says so

#[path = "../../tools/fuzz/src/stranger.rs"]
#[allow(unreachable_pub)] // public in the crate of the fuzz targets
mod stranger;

use std::net::{Ipv4Addr, SocketAddrV4};
use stranger::{Known, PORT, Stranger};
use xmit_dataplane::tcp::out_of_order::RANGES_MAX;
use xmit_dataplane::wire::tcp::Flags;
use xmit_dataplane::wire::tcp_options::Options;
use xmit_nic::Duration;
use xmit_nic::rng::Rng;
use xmit_shared::session::{Op, SocketOption};

const FLOOD: u32 = 100_000;
const MILLI: Duration = Duration::from_millis(1);
const FROM: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 3), 2000);

fn mss(mss: u16) -> Options<'static> {
    Options { mss: Some(mss), ..Options::NONE }
}

/// A listening host, a connection with it, and the connection's slot.
fn connected(seed: u64, window: u16, mss_of_peer: u16) -> (Stranger, Known, u32) {
    let mut stranger = Stranger::new(seed, 1024);
    let listener = stranger.end.listen(stranger.now, PORT, 128, 2).unwrap();
    let known = stranger.connect(FROM, 1000, window, mss(mss_of_peer));
    let slot = stranger.end.client.accept(listener).unwrap().unwrap().slot;
    stranger.take();
    (stranger, known, slot)
}

/// Data in order arrives still: the connection lives.
fn lives(stranger: &mut Stranger, known: &mut Known, slot: u32) {
    stranger.send(known, Flags::ACK, 60_000, Options::NONE, b"still here");
    known.seq = known.seq.wrapping_add(10);
    let mut read = [0; 32];
    assert_eq!(stranger.end.client.read(slot, &mut read).unwrap(), 10);
    assert_eq!(&read[..10], b"still here");
}

fn ends(stranger: Stranger) {
    let (free, total) = stranger.end.host.shutdown();
    assert_eq!(free, total, "frames are lost");
}

#[test]
fn a_syn_flood_fills_a_queue_and_no_more() {
    const BACKLOG: u32 = 256;
    let mut stranger = Stranger::new(1, 1024);
    let listener = stranger.end.listen(stranger.now, PORT, BACKLOG, 4).unwrap();
    let mut rng = Rng::new(1);
    let mut answers = 0;
    for i in 0..FLOOD {
        let from = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 3 + (i % 250) as u8), 1024 + (i / 250) as u16);
        let syn = Known { from, seq: rng.next_u64() as u32, ack: 0 };
        stranger.send(&syn, Flags::SYN, 60_000, mss(1460), &[]);
        answers += stranger.take().len() as u32;
        let tcp = &stranger.end.host.lane().stack.tcp;
        assert!(tcp.table.requests.len() <= BACKLOG as usize + 1, "SYN {i}: {}", tcp.table.requests.len());
        assert_eq!((tcp.table.connections.len(), tcp.commons.slab.in_use()), (0, 0), "SYN {i}");
    }
    assert!(answers <= FLOOD, "{answers} answers to {FLOOD} SYNs");
    let cookies = stranger.end.host.counter("TcpExtSyncookiesSent").unwrap();
    assert!(cookies >= u64::from(FLOOD - BACKLOG - 1), "{cookies} cookies");
    assert!(stranger.turns <= 8 * FLOOD as usize, "{} turns", stranger.turns);
    // The queue is full, and who completes the handshake is served.
    let mut known = stranger.connect(SocketAddrV4::new(*FROM.ip(), 60_000), 77, 60_000, mss(1460));
    let slot = stranger.end.client.accept(listener).unwrap().expect("a connection from a cookie").slot;
    lives(&mut stranger, &mut known, slot);
    // And the queue empties itself.
    stranger.pass(Duration::from_secs(200));
    assert!(stranger.end.host.lane().stack.tcp.table.requests.is_empty());
    ends(stranger);
}

#[test]
fn guessed_resets_do_not_end_a_connection() {
    const SECONDS: u32 = 10;
    let (mut stranger, mut known, slot) = connected(2, 60_000, 1460);
    let mut rng = Rng::new(2);
    for _ in 0..SECONDS * 1000 {
        for _ in 0..FLOOD / SECONDS / 1000 {
            let guess = Known { seq: known.seq.wrapping_add(1 + rng.below(30_000) as u32), ..known };
            stranger.send(&guess, Flags::RST, 0, Options::NONE, &[]);
        }
        stranger.pass(MILLI);
    }
    let challenges = stranger.take();
    assert!(challenges.iter().all(|ack| ack.ack == known.seq), "{challenges:?}");
    let challenges = challenges.len() as u32;
    assert!((1..=2 * SECONDS + 1).contains(&challenges), "{challenges} challenge ACKs");
    assert_eq!(stranger.end.host.counter("TcpExtTCPChallengeACK"), Some(challenges.into()));
    lives(&mut stranger, &mut known, slot);
    // The exact number does end it.
    stranger.send(&known, Flags::RST, 0, Options::NONE, &[]);
    assert!(stranger.connection(&known).is_none());
    ends(stranger);
}

/// Each end takes what the other says for nonsense, and says so.
#[test]
fn an_ack_storm_comes_to_rest() {
    const SECONDS: u32 = 10;
    let mut ends_of = [connected(3, 60_000, 1460), connected(4, 60_000, 1460)];
    let (mut answers, mut kicks) = ([0; 2], 0);
    for ms in 0..SECONDS * 1000 {
        let mut waiting = [usize::from(ms % 10 == 0), 0];
        kicks += waiting[0];
        let mut rounds = 0;
        while waiting != [0, 0] {
            rounds += 1;
            assert!(rounds < 10, "they do not come to rest");
            let mut next = [0, 0];
            for (i, (stranger, known, _)) in ends_of.iter_mut().enumerate() {
                for _ in 0..waiting[i] {
                    let stale = Known { seq: known.seq.wrapping_sub(100_000), ..*known };
                    stranger.send(&stale, Flags::ACK, 60_000, Options::NONE, &[]);
                }
                next[1 - i] = stranger.take().len();
                answers[i] += next[1 - i];
            }
            waiting = next;
        }
        ends_of.iter_mut().for_each(|(stranger, ..)| stranger.pass(MILLI));
    }
    let bound = (2 * SECONDS + 1) as usize;
    assert!(answers.iter().all(|a| (1..=bound).contains(a)), "{answers:?} answers after {kicks} beginnings");
    for (mut stranger, mut known, slot) in ends_of {
        lives(&mut stranger, &mut known, slot);
        ends(stranger);
    }
}

#[test]
fn tiny_windows_cost_no_more_than_their_bytes() {
    const BYTES: usize = 2000;
    let (mut stranger, mut known, slot) = connected(5, 10, 1);
    let mut rng = Rng::new(5);
    let data: Vec<u8> = (0..BYTES).map(|i| i as u8).collect();
    assert_eq!(stranger.end.client.write(slot, &data, false).unwrap(), BYTES);
    let (first, mut segments) = (known.ack, 0);
    for _ in 0..20 * BYTES {
        stranger.pass(Duration::from_millis(50));
        for heard in stranger.take() {
            segments += 1;
            let end = heard.seq.wrapping_add(heard.len);
            assert!(heard.len <= 10, "{heard:?} does not fit the window");
            if heard.seq == known.ack {
                known.ack = end;
            }
            stranger.send(&known, Flags::ACK, 1 + rng.below(10) as u16, Options::NONE, &[]);
        }
        if known.ack.wrapping_sub(first) as usize >= BYTES {
            break;
        }
    }
    assert_eq!(known.ack.wrapping_sub(first) as usize, BYTES, "the transfer stalled after {segments} segments");
    assert!(segments <= 2 * BYTES, "{segments} segments");
    assert!(stranger.turns <= 8 * segments + 64, "{} turns for {segments} segments", stranger.turns);
    ends(stranger);
}

#[test]
fn holes_of_one_byte_are_kept_up_to_a_bound() {
    const HOLES: u32 = 10_000;
    let (mut stranger, known, slot) = connected(6, 60_000, 1460);
    for i in 1..=HOLES {
        let ahead = Known { seq: known.seq.wrapping_add(2 * i), ..known };
        stranger.send(&ahead, Flags::ACK, 60_000, Options::NONE, &[(2 * i) as u8]);
        let kept = stranger.end.host.lane().stack.tcp.commons.ranges.in_use();
        assert!(kept <= usize::from(RANGES_MAX), "{kept} ranges after {i} holes");
    }
    assert_eq!(stranger.end.host.lane().stack.tcp.commons.ranges.in_use(), usize::from(RANGES_MAX));
    let answers = stranger.take().len();
    assert!(answers <= HOLES as usize, "{answers} answers");
    // What fills the holes brings everything, each byte at its place.
    let filling: Vec<u8> = (0..1000).map(|i| i as u8).collect();
    stranger.send(&known, Flags::ACK, 60_000, Options::NONE, &filling);
    let mut read = vec![0; 4000];
    let len = stranger.end.client.read(slot, &mut read).unwrap();
    assert!(len >= filling.len());
    assert!(read[..len].iter().enumerate().all(|(i, byte)| *byte == i as u8));
    assert_eq!(stranger.end.host.lane().stack.tcp.commons.ranges.in_use(), 0);
    ends(stranger);
}

/// A thousand pieces of one byte, in any order, as far as the small window goes: what has no place is sent again, and in the end
/// everything is there once.
#[test]
fn a_thousand_pieces_of_one_byte_fit_a_small_window() {
    const PIECES: u32 = 1000;
    let mut stranger = Stranger::new(8, 1024);
    let listener = stranger.end.listen(stranger.now, PORT, 128, 2).unwrap();
    stranger.end.call(stranger.now, listener, Op::SetOption(SocketOption::ReceiveBuffer, 4096)).unwrap();
    let known = stranger.connect(FROM, 1000, 60_000, mss(1460));
    let slot = stranger.end.client.accept(listener).unwrap().unwrap().slot;
    let mut order: Vec<u32> = (1..=PIECES).collect();
    let mut rng = Rng::new(8);
    let mut rounds = 0;
    loop {
        (1..order.len()).for_each(|i| order.swap(i, rng.below(i as u64 + 1) as usize));
        for piece in &order {
            let ahead = Known { seq: known.seq.wrapping_add(*piece), ..known };
            stranger.send(&ahead, Flags::ACK, 60_000, Options::NONE, &[*piece as u8]);
            let c = stranger.connection(&known).unwrap();
            assert_eq!(
                (c.receive.nxt.number(), c.receive.wnd.0),
                (known.seq, 2920),
                "nothing is taken from the window"
            );
            let kept = stranger.end.host.lane().stack.tcp.commons.ranges.in_use();
            assert!(kept <= usize::from(RANGES_MAX), "{kept} ranges");
        }
        rounds += 1;
        let kept = stranger.end.host.lane().stack.tcp.commons.ranges.in_use();
        if kept == 1 {
            break;
        }
        assert!(rounds < 100, "{kept} ranges after {rounds} rounds");
    }
    stranger.send(&known, Flags::ACK, 60_000, Options::NONE, &[0]);
    let mut read = vec![0; 4000];
    let len = stranger.end.client.read(slot, &mut read).unwrap();
    assert_eq!(len, PIECES as usize + 1);
    assert!(read[..len].iter().enumerate().all(|(i, byte)| *byte == i as u8));
    assert_eq!(stranger.end.host.lane().stack.tcp.commons.ranges.in_use(), 0);
    ends(stranger);
}

#[test]
fn data_far_outside_the_window_leaves_nothing() {
    let (mut stranger, mut known, slot) = connected(7, 60_000, 1460);
    let mut rng = Rng::new(7);
    for _ in 0..FLOOD {
        let away = (1 << 24) + rng.below((1 << 32) - (1 << 25)) as u32;
        let far = Known { seq: known.seq.wrapping_add(away), ..known };
        stranger.send(&far, Flags::ACK, 60_000, Options::NONE, b"nonsense");
    }
    let tcp = &stranger.end.host.lane().stack.tcp;
    assert_eq!((tcp.commons.ranges.in_use(), tcp.commons.slab.in_use()), (0, 0));
    let answers = stranger.take();
    assert!(answers.len() <= FLOOD as usize, "{} answers", answers.len());
    assert!(answers.iter().all(|ack| ack.ack == known.seq && ack.window > 0), "no answer moves anything");
    assert_eq!(stranger.end.client.read(slot, &mut [0; 32]).unwrap(), 0);
    lives(&mut stranger, &mut known, slot);
    ends(stranger);
}
