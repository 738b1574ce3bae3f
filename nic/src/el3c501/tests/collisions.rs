//! Several cards on one coax: collisions, back-off, fairness of arithmetic.

use super::bench::{BROADCAST, MAC, OTHER, frame};
use crate::el3c501::lan::PlugId;
use crate::el3c501::{Fault, LanConfig, Parity, Quirks, SharedLan, Timing, Xmit};
use crate::{Duration, Instant, MacAddr};

struct Hosts {
    lan: SharedLan,
    ids: Vec<PlugId>,
}

impl Hosts {
    fn new(timing: Timing, seed: u64, macs: &[MacAddr]) -> Self {
        Self::with(timing, seed, macs, Parity::default())
    }

    fn with(timing: Timing, seed: u64, macs: &[MacAddr], parity: Parity) -> Self {
        let lan = SharedLan::new(LanConfig { timing, seed, irq_latency: Duration::ZERO });
        let add = |mac: &MacAddr| lan.lock().add_host(*mac, Quirks::HARDWARE, parity).unwrap();
        let ids = macs.iter().map(add).collect();
        Self { lan, ids }
    }

    fn send(&self, at: Instant, host: usize, bytes: &[u8]) -> Xmit {
        let mut lan = self.lan.lock();
        lan.advance(at);
        lan.start_xmit(at, self.ids[host], bytes)
    }

    /// Until nothing is due; answers when that was. Gives up after ten seconds of virtual time.
    fn settle(&self) -> Instant {
        let mut lan = self.lan.lock();
        while let Some(at) = lan.next_deadline() {
            assert!(at < Instant::from_millis(10_000), "still busy at {at:?}");
            lan.advance(at);
        }
        lan.segment().now()
    }

    fn inbox(&self, host: usize) -> Vec<Vec<u8>> {
        let mut lan = self.lan.lock();
        let ring = lan.inbox(self.ids[host]).unwrap();
        let mut frames = Vec::new();
        while let Some(bytes) = ring.front() {
            frames.push(bytes.to_vec());
            ring.pop();
        }
        frames
    }
}

#[test]
fn a_frame_reaches_the_host_it_is_for() {
    let hosts = Hosts::new(Timing::Wire, 1, &[MAC, OTHER]);
    let bytes = frame(100, OTHER);
    hosts.send(Instant::ZERO, 0, &bytes);
    assert_eq!(hosts.settle(), Instant::ZERO + Timing::Wire.frame(100));
    assert_eq!((hosts.inbox(0).len(), hosts.inbox(1)), (0, vec![bytes]));
}

#[test]
fn two_cards_collide_back_off_and_both_get_through() {
    for seed in 0..20 {
        let hosts = Hosts::new(Timing::Wire, seed, &[MAC, OTHER]);
        hosts.send(Instant::ZERO, 0, &frame(60, BROADCAST));
        hosts.send(Instant::from_micros(30), 1, &frame(200, BROADCAST));
        hosts.settle();
        let mut lan = hosts.lan.lock();
        let wire = lan.segment().counters();
        assert_eq!(wire.frames, 2, "seed {seed}");
        assert!(wire.collisions >= 1, "seed {seed}");
        for id in &hosts.ids {
            let stats = lan.stats(*id);
            assert_eq!((stats.tx_packets, stats.tx_aborted_errors), (1, 0), "seed {seed}");
            assert_eq!(stats.collisions, wire.collisions, "both report every collision; seed {seed}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_wire() {
    let run = |seed| {
        let hosts = Hosts::new(Timing::Wire, seed, &[MAC, OTHER]);
        hosts.send(Instant::ZERO, 0, &frame(60, BROADCAST));
        hosts.send(Instant::ZERO, 1, &frame(60, BROADCAST));
        let end = hosts.settle();
        (end, hosts.lan.lock().segment().counters())
    };
    assert!((0..10).all(|seed| run(seed) == run(seed)));
    assert!((1..10).any(|seed| run(seed) != run(0)), "the seed matters");
}

#[test]
fn who_hears_the_carrier_waits_for_silence_and_the_gap() {
    let hosts = Hosts::new(Timing::Wire, 1, &[MAC, OTHER]);
    hosts.send(Instant::ZERO, 0, &frame(1514, BROADCAST));
    hosts.send(Instant::from_nanos(51_200), 1, &frame(60, BROADCAST)); // just outside the window
    let expected = Timing::Wire.frame(1514) + Timing::Wire.gap() + Timing::Wire.frame(60);
    assert_eq!(hosts.settle(), Instant::ZERO + expected);
    assert_eq!(hosts.lan.lock().segment().counters().collisions, 0);
}

#[test]
fn a_transmission_waits_for_the_frame_that_comes_in() {
    let (end, frame_for_other) = (Instant::ZERO + Timing::Wire.frame(1514), frame(1514, OTHER));
    let during = Instant::from_micros(600);
    for (parity, arrives) in [(Parity::default(), 1), (Parity::LINUX, 0)] {
        let hosts = Hosts::with(Timing::Wire, 1, &[MAC, OTHER], parity);
        hosts.send(Instant::ZERO, 0, &frame_for_other);
        let taken = hosts.send(during, 1, &frame(60, MAC)) == Xmit::Accepted;
        assert_eq!(taken, arrives == 0, "{parity:?}");
        if !taken {
            assert_eq!(hosts.send(end, 1, &frame(60, MAC)), Xmit::Accepted);
        }
        hosts.settle();
        assert_eq!((hosts.inbox(0).len(), hosts.inbox(1).len()), (1, arrives), "{parity:?}");
    }
}

#[test]
fn a_frame_for_another_does_not_hold_a_transmission_up() {
    let third = MacAddr([0x02, 0x60, 0x8c, 0, 0, 9]);
    let hosts = Hosts::new(Timing::Wire, 1, &[MAC, OTHER]);
    hosts.send(Instant::ZERO, 0, &frame(1514, third));
    assert_eq!(hosts.send(Instant::from_micros(600), 1, &frame(60, MAC)), Xmit::Accepted);
}

#[test]
fn sixteen_collisions_abort_and_the_next_frame_goes() {
    let hosts = Hosts::new(Timing::Wire, 3, &[MAC, OTHER]);
    hosts.lan.lock().segment().inject(Fault::Collision, 16);
    hosts.send(Instant::ZERO, 0, &frame(60, OTHER));
    let end = hosts.settle();
    assert!(end > Instant::from_millis(1), "back-off takes its time: {end:?}");
    hosts.send(end, 0, &frame(60, OTHER));
    hosts.settle();
    let stats = hosts.lan.lock().stats(hosts.ids[0]);
    assert_eq!((stats.collisions, stats.tx_aborted_errors, stats.tx_packets, stats.tx_errors), (15, 1, 1, 0));
    assert_eq!(hosts.inbox(1).len(), 1);
}

#[test]
fn free_running_cards_never_collide() {
    let hosts = Hosts::new(Timing::FreeRun, 1, &[MAC, OTHER]);
    hosts.send(Instant::ZERO, 0, &frame(60, BROADCAST));
    hosts.send(Instant::ZERO, 1, &frame(60, BROADCAST));
    assert_eq!(hosts.settle(), Instant::from_nanos(2));
    let counters = hosts.lan.lock().segment().counters();
    assert_eq!((counters.frames, counters.collisions), (2, 0));
}

/// Sends as fast as the card takes frames; answers frames per second of virtual time.
fn saturate(len: usize, frames: u32) -> f64 {
    let hosts = Hosts::new(Timing::Wire, 1, &[MAC, OTHER]);
    let (bytes, mut now, mut sent) = (frame(len, OTHER), Instant::ZERO, 0);
    while sent < frames {
        match hosts.send(now, 0, &bytes) {
            Xmit::Accepted => sent += 1,
            Xmit::Busy => now = hosts.lan.lock().next_deadline().unwrap(),
        }
        hosts.inbox(1);
    }
    let end = hosts.settle() + Timing::Wire.gap();
    assert_eq!(hosts.lan.lock().stats(hosts.ids[1]).rx_packets, u64::from(frames), "the receiver keeps up");
    f64::from(frames) / end.saturating_since(Instant::ZERO).as_secs_f64()
}

#[test]
fn saturation_reaches_the_arithmetic_of_the_wire_and_no_more() {
    for (len, most) in [(60, 14_880.95), (1514, 812.74)] {
        let rate = saturate(len, 2_000);
        assert!(rate <= most + 0.01 && rate > most - 0.1, "{len} bytes: {rate} frames a second, {most} possible");
    }
}

#[test]
fn slow_handlers_lose_back_to_back_frames() {
    let lan = SharedLan::new(LanConfig { irq_latency: Duration::from_micros(20), ..LanConfig::default() });
    let host = lan.lock().add_host(MAC, Quirks::HARDWARE, Parity::default()).unwrap();
    let tap = lan.lock().add_tap().unwrap();
    for _ in 0..10 {
        assert!(lan.lock().tap_send(Instant::ZERO, tap, &frame(60, MAC), 60));
    }
    lan.lock().advance(Instant::from_millis(10));
    assert_eq!(lan.lock().stats(host).rx_packets, 5, "each second frame begins while the card holds the one before");
}
