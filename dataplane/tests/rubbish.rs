//! Frames that are nearly right, by the thousand: no panic, no frame lost, and none that no counter knows of.

#![allow(clippy::unwrap_used)] // a test that cannot go on says so

use xmit_nic::rng::Rng;
use xmit_nic::sim::Wire;
use xmit_nic::{Burst, Duration, Instant, Pool, Port};
use xmit_script::packet::{Pattern, describe};
use xmit_script::{HOST_MAC, Host, Setup};
use xmit_shared::session::{Op, Transport};

const SEEDS: u64 = 20;
const FRAMES: usize = 5_000;

/// What the rubbish is made of.
const SEEDLINGS: &[&str] = &[
    "arp request who-has 10.0.0.2 tell 10.0.0.1",
    "arp reply 10.0.0.1 is-at 02:00:00:00:00:01 to 10.0.0.2",
    "icmp echo request 10.0.0.1 > 10.0.0.2 id 1 seq 1 56 bytes",
    "icmp echo request 10.0.0.1 > 10.0.0.2 id 1 seq 1 56 bytes options rr",
    "icmp port unreachable 10.0.0.1 > 10.0.0.2 quoting udp 10.0.0.2:7 > 10.0.0.1:9 20 bytes",
    "icmp timestamp request 10.0.0.1 > 10.0.0.2 12 bytes",
    "udp 10.0.0.1:1000 > 10.0.0.2:7 \"hello\"",
    "udp 10.0.0.1:1000 > 10.0.0.2:8 200 bytes options ts",
    "udp 10.0.0.1:1000 > 10.0.0.255:7 \"hello\" no checksum",
    "udp 10.0.0.1:1000 > 10.0.0.2:7 1400 bytes vlan 0",
    "ip protocol 6 10.0.0.1 > 10.0.0.2 40 bytes",
];

/// One to four changes: a byte, the length, or a byte whose checksum is made right again.
fn spoil(frame: &mut Vec<u8>, rng: &mut Rng) {
    for _ in 0..=rng.below(4) {
        let at = rng.below(frame.len().max(1) as u64) as usize;
        match rng.below(8) {
            0 => frame.truncate(at),
            1 => frame.resize(frame.len() + rng.below(100) as usize, rng.next_u64() as u8),
            _ => {
                // The headers are where mistakes matter.
                let at = if rng.below(4) > 0 { at % 60 } else { at };
                if let Some(byte) = frame.get_mut(at) {
                    *byte = rng.next_u64() as u8;
                }
            }
        }
    }
    if rng.below(2) == 0 {
        mend(frame);
    }
}

/// Makes the IP header's checksum right, so that what stands behind it is looked at.
fn mend(frame: &mut [u8]) {
    let Some(first) = frame.get(14) else { return };
    let len = usize::from(first & 15) * 4;
    let Some(header) = frame.get_mut(14..14 + len).filter(|h| h.len() >= 20) else { return };
    header[10..12].fill(0);
    let sum = xmit_dataplane::wire::checksum::checksum(header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
}

fn frames_of(seed: u64) {
    let mut rng = Rng::new(seed);
    let mut now = Instant::from_millis(1000);
    let (ours, mut peer) = Wire::new(seed).ports().unwrap();
    let setup = Setup::default();
    let mut host = Host::new(setup.snapshot(), 256, now, seed).unwrap();
    host.add_port(Box::new(ours.named("sim0", HOST_MAC)), setup.queue());
    let mut client = host.attach().unwrap();
    client.submit(0, Op::Open(Transport::Udp)).unwrap();
    client.submit(0, Op::Bind("0.0.0.0:7".parse().unwrap())).unwrap();
    for _ in 0..8 {
        host.turn(now);
    }
    let mut pool = Pool::anonymous(1, 128).unwrap();
    let defaults = setup.defaults();
    let seedlings: Vec<_> = SEEDLINGS.iter().map(|t| Pattern::parse(t).unwrap().build(&defaults).unwrap()).collect();
    for _ in 0..FRAMES {
        let mut bytes = seedlings[rng.below(seedlings.len() as u64) as usize].clone();
        spoil(&mut bytes, &mut rng);
        let mut burst = Burst::new();
        let mut frame = pool.acquire().unwrap();
        assert!(frame.fill(&bytes));
        burst.push(frame);
        let sum = |host: &Host| host.counters().values().sum::<u64>();
        let before = sum(&host);
        peer.tx_burst(now, &mut pool, &mut burst);
        host.turn(now);
        let known = sum(&host) > before || peer.stats().tx_dropped > 0;
        assert!(known, "seed {seed}: no counter knows of {}", describe(&bytes));
        while client.receive(0, &mut []).is_some() {}
        now += Duration::from_millis(rng.below(20));
        host.turn(now);
        peer.rx_burst(now, &mut pool, &mut burst);
        burst.drain(..).for_each(|frame| pool.release(frame));
    }
    let (free, total) = host.shutdown();
    assert_eq!(free, total, "seed {seed}: frames are lost");
}

#[test]
fn rubbish_is_counted_and_harms_nobody() {
    (0..SEEDS).for_each(frames_of);
}
