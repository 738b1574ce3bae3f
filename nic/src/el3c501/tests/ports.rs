//! Cards and taps as ports of lanes.

use super::bench::{BROADCAST, GROUP, MAC, OTHER, frame};
use crate::el3c501::timing::earlier;
use crate::el3c501::{El3c501Port, LanConfig, Parity, Quirks, RxFilter, SegmentTap, SharedLan, Timing};
use crate::join::Join;
use crate::sim::Wire;
use crate::{Burst, Duration, Instant, MacAddr, Pool, Port};

fn lan(timing: Timing) -> SharedLan {
    SharedLan::new(LanConfig { timing, seed: 7, ..LanConfig::default() })
}

fn card(lan: &SharedLan, mac: MacAddr) -> El3c501Port {
    El3c501Port::open(lan, "el0", mac, Quirks::HARDWARE, Parity::default()).unwrap()
}

fn pool() -> Pool {
    Pool::anonymous(1, 256).unwrap()
}

fn offer(pool: &mut Pool, frames: &[Vec<u8>]) -> Burst {
    let build = |bytes: &Vec<u8>| {
        let mut frame = pool.acquire().unwrap();
        assert!(frame.fill(bytes));
        frame
    };
    frames.iter().map(build).collect()
}

/// Runs both ports until neither has anything due; answers what each received.
fn exchange(ports: [&mut dyn Port; 2], pool: &mut Pool, mut out: [Burst; 2]) -> [Vec<Vec<u8>>; 2] {
    let (mut now, mut got) = (Instant::ZERO, [vec![], vec![]]);
    for _ in 0..10_000 {
        let mut next = None;
        for i in 0..2 {
            let mut burst = Burst::new();
            ports[i].rx_burst(now, pool, &mut burst);
            for frame in burst.drain(..) {
                got[i].push(frame.bytes().to_vec());
                pool.release(frame);
            }
            ports[i].tx_burst(now, pool, &mut out[i]);
            ports[i].service(now, pool);
            next = earlier(next, ports[i].sleep(now).at);
        }
        let Some(at) = next else {
            assert!(out.iter().all(Burst::is_empty));
            return got;
        };
        now = at.max(now);
    }
    panic!("still busy at {now:?}");
}

#[test]
fn a_burst_passes_one_by_one() {
    for timing in [Timing::Wire, Timing::FreeRun] {
        let (lan, mut pool) = (lan(timing), pool());
        let (mut a, mut b) = (card(&lan, MAC), card(&lan, OTHER));
        let frames: Vec<_> = (0..20).map(|i| frame(60 + 70 * i, OTHER)).collect();
        let mut out = offer(&mut pool, &frames);
        a.tx_burst(Instant::ZERO, &mut pool, &mut out);
        assert_eq!(out.len(), 19, "one place for transmission");
        let [_, got] = exchange([&mut a, &mut b], &mut pool, [out, Burst::new()]);
        assert_eq!(got, frames, "{timing:?}");
        assert_eq!((a.stats().tx_packets, b.stats().rx_packets), (20, 20));
        assert_eq!(pool.census().free, 256);
    }
}

#[test]
fn too_long_frames_are_dropped_and_counted() {
    let (lan, mut pool) = (lan(Timing::Wire), pool());
    let mut a = card(&lan, MAC);
    let mut out = offer(&mut pool, &[frame(1515, OTHER), frame(60, OTHER), frame(1600, OTHER), frame(60, OTHER)]);
    a.tx_burst(Instant::ZERO, &mut pool, &mut out);
    assert_eq!((out.len(), a.stats().tx_dropped), (1, 2));
    out.drain(..).for_each(|f| pool.release(f));
    assert_eq!(pool.census().free, 256);
}

#[test]
fn tap_and_card_talk_and_short_frames_are_padded() {
    let (lan, mut pool) = (lan(Timing::Wire), pool());
    let (mut a, mut tap) = (card(&lan, MAC), SegmentTap::open(&lan, "wire", OTHER).unwrap());
    let frames: Vec<_> = (0..30).map(|i| frame(42 + i, MAC)).collect();
    let out = [Burst::new(), offer(&mut pool, &frames)];
    let [got, _] = exchange([&mut a, &mut tap], &mut pool, out);
    assert_eq!(got.len(), 30, "the handler is quick enough for back-to-back frames");
    assert!(got.iter().zip(&frames).all(|(got, sent)| got.len() >= 60 && got.starts_with(sent)));
    let replies = vec![frame(60, BROADCAST)];
    let out = [offer(&mut pool, &replies), Burst::new()];
    let [_, heard] = exchange([&mut a, &mut tap], &mut pool, out);
    assert_eq!(heard, replies);
    assert_eq!((tap.stats().tx_packets, tap.stats().rx_packets), (30, 1));
}

/// The card is deaf from the load to the end of its transmission; a peer that saturates the wire keeps it so.
#[test]
fn card_that_wants_to_send_is_deaf() {
    let (lan, mut pool) = (lan(Timing::Wire), pool());
    let (mut a, mut tap) = (card(&lan, MAC), SegmentTap::open(&lan, "wire", OTHER).unwrap());
    let frames: Vec<_> = (0..30).map(|_| frame(60, MAC)).collect();
    let out = [offer(&mut pool, &[frame(60, BROADCAST)]), offer(&mut pool, &frames)];
    let [got, heard] = exchange([&mut a, &mut tap], &mut pool, out);
    assert_eq!((heard.len(), tap.stats().tx_packets), (1, 30));
    assert!(got.len() < 30, "{} heard", got.len());
}

#[test]
fn unpadded_tap_frames_are_flagged_short() {
    let (lan, mut pool) = (lan(Timing::Wire), pool());
    let mut a = card(&lan, MAC);
    let mut tap = SegmentTap::open(&lan, "wire", OTHER).unwrap().without_padding();
    let out = [Burst::new(), offer(&mut pool, &[frame(30, MAC), frame(60, MAC)])];
    let [got, _] = exchange([&mut a, &mut tap], &mut pool, out);
    assert_eq!((got, a.stats().rx_length_errors), (vec![frame(60, MAC)], 1));
}

#[test]
fn a_card_hears_what_a_tap_sends_back_to_back() {
    for timing in [Timing::Wire, Timing::FreeRun] {
        let (lan, mut pool) = (lan(timing), pool());
        let mut a = card(&lan, MAC);
        let mut tap = SegmentTap::open(&lan, "wire", OTHER).unwrap();
        let frames: Vec<_> = (0..10).map(|i| frame(60 + i, MAC)).collect();
        let out = [Burst::new(), offer(&mut pool, &frames)];
        let [got, _] = exchange([&mut a, &mut tap], &mut pool, out);
        assert_eq!(got, frames, "{timing:?}");
    }
}

#[test]
fn all_multicast_opens_the_filter() {
    let (lan, mut pool) = (lan(Timing::FreeRun), pool());
    let (mut a, mut b) = (card(&lan, MAC), card(&lan, OTHER));
    for (all, heard) in [(false, 0), (true, 1), (false, 0)] {
        b.set_all_multicast(all);
        let out = [offer(&mut pool, &[frame(60, GROUP)]), Burst::new()];
        assert_eq!(exchange([&mut a, &mut b], &mut pool, out)[1].len(), heard);
    }
}

#[test]
fn frames_wait_when_the_pool_is_empty() {
    let (lan, mut pool) = (lan(Timing::FreeRun), Pool::anonymous(1, 1).unwrap());
    let (mut a, mut b) = (card(&lan, MAC), card(&lan, OTHER));
    let mut out = offer(&mut pool, &[frame(60, OTHER)]);
    a.tx_burst(Instant::ZERO, &mut pool, &mut out);
    let hog = pool.acquire().unwrap();
    let mut got = Burst::new();
    b.rx_burst(Instant::from_micros(1), &mut pool, &mut got);
    assert!(got.is_empty());
    pool.release(hog);
    b.rx_burst(Instant::from_micros(1), &mut pool, &mut got);
    assert_eq!(got.len(), 1);
    got.drain(..).for_each(|f| pool.release(f));
}

/// What the kernel says the counter of an eventfd is.
fn eventfd_count(fd: std::os::fd::RawFd) -> u64 {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap();
    let line = info.lines().find_map(|l| l.strip_prefix("eventfd-count:")).unwrap();
    u64::from_str_radix(line.trim(), 16).unwrap()
}

#[test]
fn a_sleeper_is_woken_by_what_others_send() {
    let (lan, mut pool) = (lan(Timing::Wire), pool());
    let (mut a, mut b) = (card(&lan, MAC), card(&lan, OTHER));
    let wakeup = b.sleep(Instant::ZERO);
    assert_eq!((wakeup.at, wakeup.fds.len()), (None, 1));
    assert_eq!(eventfd_count(wakeup.fds[0]), 0);
    let mut out = offer(&mut pool, &[frame(60, OTHER)]);
    a.tx_burst(Instant::ZERO, &mut pool, &mut out);
    assert_eq!(eventfd_count(wakeup.fds[0]), 1);
    let again = b.sleep(Instant::ZERO);
    assert_eq!(eventfd_count(wakeup.fds[0]), 0, "silenced");
    let end = Instant::ZERO + Timing::Wire.frame(60);
    assert_eq!(again.at, Some(end));
    assert_eq!(b.sleep(end).at, Some(end), "a frame waits to be collected");
}

#[test]
fn ports_of_two_threads_share_a_segment() {
    let lan = lan(Timing::FreeRun);
    let (a, b) = (card(&lan, MAC), card(&lan, OTHER));
    let (sent, received) = (std::sync::atomic::AtomicBool::new(false), std::sync::atomic::AtomicU64::new(0));
    let run = |mut port: El3c501Port, frames: u64| {
        let (mut pool, mut now) = (pool(), 0);
        let mut burst = Burst::new();
        for _ in 0..1_000_000 {
            now += 100;
            let now = Instant::from_nanos(now);
            port.rx_burst(now, &mut pool, &mut burst);
            received.fetch_add(burst.len() as u64, std::sync::atomic::Ordering::Relaxed);
            burst.drain(..).for_each(|f| pool.release(f));
            if port.stats().tx_packets < frames {
                burst = offer(&mut pool, &[frame(60, OTHER)]);
                port.tx_burst(now, &mut pool, &mut burst);
                burst.drain(..).for_each(|f| pool.release(f));
            } else if frames > 0 {
                sent.store(true, std::sync::atomic::Ordering::Release);
                return;
            } else if received.load(std::sync::atomic::Ordering::Relaxed) >= 50
                && sent.load(std::sync::atomic::Ordering::Acquire)
            {
                return;
            }
            std::thread::yield_now();
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| run(a, 50));
        scope.spawn(|| run(b, 0));
    });
    assert!(received.into_inner() >= 50);
}

#[test]
fn a_card_before_a_bridge_hears_what_is_for_the_hosts_behind_it() {
    for (filter, heard) in [(RxFilter::Normal, 2), (RxFilter::Promiscuous, 3)] {
        let (lan, mut pool) = (lan(Timing::Wire), pool());
        let (mut a, mut b) = (card(&lan, MAC), card(&lan, OTHER));
        b.set_filter(filter);
        let behind = MacAddr([2, 0, 0, 0, 0, 9]);
        let out = offer(&mut pool, &[frame(100, behind), frame(100, OTHER), frame(100, BROADCAST)]);
        let [_, got] = exchange([&mut a, &mut b], &mut pool, [out, Burst::new()]);
        assert_eq!(got.len(), heard, "{filter:?}");
    }
}

/// The wire of a card leads on, over a join, to any other port: here to the far end of a simulated wire.
#[test]
fn a_card_talks_to_the_far_end_of_a_simulated_wire() {
    let (lan, mut pool) = (lan(Timing::Wire), pool());
    let mut near = card(&lan, MAC);
    let wire_side = SegmentTap::open(&lan, "wire", OTHER).unwrap();
    let (sim, mut far) = Wire::new(1).ports().unwrap();
    let mut join = Join::new(Box::new(wire_side), Box::new(sim), Pool::anonymous(2, 64).unwrap());
    let (there, back) = (vec![frame(200, OTHER)], vec![frame(300, MAC)]);
    let mut out = [offer(&mut pool, &there), Burst::new()];
    let (mut now, mut got, mut answered) = (Instant::ZERO, [vec![], vec![]], 0);
    while got.iter().any(Vec::is_empty) {
        for (port, index) in [(&mut near as &mut dyn Port, 0), (&mut far, 1)] {
            let mut burst = Burst::new();
            port.rx_burst(now, &mut pool, &mut burst);
            for frame in burst.drain(..) {
                got[index].push(frame.bytes().to_vec());
                pool.release(frame);
            }
            port.tx_burst(now, &mut pool, &mut out[index]);
            port.service(now, &mut pool);
        }
        if got[1].len() > answered {
            // The answer comes when the question has: a card that is about to send is deaf.
            out[1] = offer(&mut pool, &back);
            answered = got[1].len();
        }
        join.turn(now);
        now += Duration::from_micros(10);
        assert!(now < Instant::from_millis(100), "nothing came through: {got:?}");
    }
    assert_eq!(got, [back, there]);
    near.shutdown(&mut pool);
    far.shutdown(&mut pool);
    let theirs = join.shutdown();
    assert_eq!((pool.census().free, theirs.census().free), (pool.total(), theirs.total()));
}
