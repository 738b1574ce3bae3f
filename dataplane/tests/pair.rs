//! Two stacks on an unkind wire against a model, over many seeds. A failure names its seed; `XMIT_PCAP=directory` makes
//! every run a pcapng as well.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on says so

use std::collections::HashMap;
use std::net::SocketAddrV4;
use xmit_nic::Duration;
use xmit_nic::capture::PcapFile;
use xmit_nic::rng::Rng;
use xmit_nic::sim::{Direction, Impairment};
use xmit_script::{Client, Pair, PairConfig};

/// Seeds of each simulation, 0 and up, unless `XMIT_SEEDS` says how many.
const SEEDS: u64 = 100;
/// Requests of each run.
const REQUESTS: u32 = 30;
const PORT: u16 = 7;

/// What one direction was given and gave: every datagram is numbered, its bytes follow from seed and number.
#[derive(Debug, Default, PartialEq, Eq)]
struct Model {
    sent: Vec<Vec<u8>>,
    /// Numbers in the order in which they were received.
    received: Vec<u32>,
}

impl Model {
    /// A datagram that no other is like: number, direction, bytes that follow from the seed.
    fn send(&mut self, mark: u8, rng: &mut Rng) -> Vec<u8> {
        let number = self.sent.len() as u32;
        let mut data = [&number.to_be_bytes()[..], &[mark]].concat();
        data.extend((0..rng.below(1400)).map(|_| rng.next_u64() as u8));
        self.sent.push(data.clone());
        data
    }

    /// Nothing invented, nothing corrupted.
    fn receive(&mut self, data: &[u8]) -> Result<u32, String> {
        let head = data.first_chunk().ok_or_else(|| format!("invented: {data:?}"))?;
        let number = u32::from_be_bytes(*head);
        match self.sent.get(number as usize) {
            Some(sent) if sent == data => {
                self.received.push(number);
                Ok(number)
            }
            Some(_) => Err(format!("datagram {number} was corrupted and delivered")),
            None => Err(format!("datagram {number} was never sent")),
        }
    }

    /// Second copies only where the wire made them; order as sent where the wire does not reorder.
    fn judge(&self, wire: &Impairment, duplicated: u64) -> Result<(), String> {
        let mut copies: HashMap<u32, u64> = HashMap::new();
        self.received.iter().for_each(|number| *copies.entry(*number).or_default() += 1);
        let extra: u64 = copies.values().map(|n| n - 1).sum();
        if extra > duplicated {
            return Err(format!("{extra} second copies were delivered, the wire made {duplicated}"));
        }
        if wire.reorder_ppm == 0 && !self.received.is_sorted() {
            return Err(format!("out of order: {:?}", self.received));
        }
        Ok(())
    }
}

/// A wire whose faults follow from the seed; every third one is only lossy, every seventh damages frames.
fn wire_of(rng: &mut Rng, seed: u64) -> Impairment {
    Impairment {
        loss_ppm: rng.below(300_000) as u32,
        duplicate_ppm: if seed.is_multiple_of(3) { 0 } else { rng.below(200_000) as u32 },
        reorder_ppm: if seed.is_multiple_of(2) { 0 } else { rng.below(200_000) as u32 },
        corrupt_ppm: if seed.is_multiple_of(7) { rng.below(200_000) as u32 } else { 0 },
        delay: Duration::from_micros(rng.below(3_000)),
        jitter: Duration::from_micros(rng.below(2_000)),
        rate_bps: [0, 1_000_000, 10_000_000, 1_000_000_000][rng.below(4) as usize],
        ..Impairment::NONE
    }
}

fn receive(client: &mut Client, slot: u32) -> Option<(SocketAddrV4, Vec<u8>)> {
    let mut data = vec![0; 2048];
    let meta = client.receive(slot, &mut data)?;
    data.truncate(meta.len as usize);
    Some((meta.peer, data))
}

/// A program on `a` that asks and one on `b` that answers.
struct Exchange {
    pair: Pair,
    slots: (u32, u32),
    rng: Rng,
    requests: Model,
    answers: Model,
}

/// Tries before a request is given up: twenty seconds, in which a neighbour is asked for as many times. The worst wire
/// loses every second exchange.
const TRIES: u32 = 200;

impl Exchange {
    /// Repeats a request until it is answered. False if it never was.
    fn ask(&mut self) -> Result<bool, String> {
        let to = SocketAddrV4::new(self.pair.b.address, PORT);
        for _ in 0..TRIES {
            let request = self.requests.send(b'?', &mut self.rng);
            // A full ring is the network's loss: the next try repeats the request.
            let _ = self.pair.a.client.send(self.slots.0, Some(to), &request);
            let until = self.pair.now + Duration::from_millis(100);
            while self.pair.step(until) {
                if self.serve()? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Both programs take what is there. True if an answer arrived.
    fn serve(&mut self) -> Result<bool, String> {
        let (a, b) = self.slots;
        while let Some((from, data)) = receive(&mut self.pair.b.client, b) {
            self.requests.receive(&data)?;
            let answer = self.answers.send(b'!', &mut self.rng);
            let _ = self.pair.b.client.send(b, Some(from), &answer);
        }
        let mut heard = false;
        while let Some((_, data)) = receive(&mut self.pair.a.client, a) {
            self.answers.receive(&data)?;
            heard = true;
        }
        Ok(heard)
    }
}

/// One run. Answers what the two directions carried.
fn request_and_response(seed: u64) -> Result<[Model; 2], String> {
    let mut rng = Rng::new(seed);
    let wire = wire_of(&mut rng, seed);
    let mut pair = Pair::with(PairConfig { wire, frames: 256, ..PairConfig::new(seed) })?;
    let slots = pair.sockets(PORT)?;
    let mut exchange = Exchange { pair, slots, rng, requests: Model::default(), answers: Model::default() };
    for request in 0..REQUESTS {
        // Damaged ARP can mislead a host for as long as it believes a neighbour; nothing else keeps a request from its
        // answer.
        if !exchange.ask()? && wire.corrupt_ppm == 0 {
            return Err(format!("request {request} was never answered over {wire:?}"));
        }
    }
    // What is still under way arrives or is given up; late requests are answered late.
    for _ in 0..2 {
        exchange.pair.drive_for(Duration::from_secs(10));
        exchange.serve()?;
    }
    let Exchange { pair, requests, answers, .. } = exchange;
    requests.judge(&wire, pair.wire.stats(Direction::AToB).duplicated)?;
    answers.judge(&wire, pair.wire.stats(Direction::BToA).duplicated)?;
    conserved(pair)?;
    Ok([requests, answers])
}

/// Nobody holds a frame when the wire is quiet, and none is lost when the hosts end.
fn conserved(pair: Pair) -> Result<(), String> {
    for (name, host) in [("a", &pair.a.host), ("b", &pair.b.host)] {
        let census = host.census();
        if census.lane + census.receive + census.transmit > 0 {
            return Err(format!("host {name} holds frames: {census:?}"));
        }
    }
    match pair.finish()? {
        [0, 0] => Ok(()),
        lost => Err(format!("frames were lost: {lost:?}")),
    }
}

fn over_seeds(run: impl Fn(u64) -> Result<(), String>) {
    let seeds = std::env::var("XMIT_SEEDS").map_or(SEEDS, |count| count.parse().unwrap());
    for seed in 0..seeds {
        if let Err(what) = run(seed) {
            panic!("seed {seed}: {what}");
        }
    }
}

#[test]
fn requests_are_answered_over_unkind_wires() {
    over_seeds(|seed| request_and_response(seed).map(|_| ()));
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in [3, 7, 8] {
        assert_eq!(request_and_response(seed), request_and_response(seed), "seed {seed}");
    }
}

/// More than a slow wire carries, both ways: what is too much is dropped, and frames are conserved.
#[test]
fn a_flood_loses_datagrams_and_no_frames() {
    over_seeds(|seed| {
        let mut rng = Rng::new(seed);
        let wire = Impairment {
            rate_bps: 10_000_000,
            queue_frames_max: 1 + rng.below(20) as usize,
            delay: Duration::from_millis(1),
            ..Impairment::NONE
        };
        let mut pair = Pair::with(PairConfig { wire, frames: 32 + rng.below(64) as usize, ..PairConfig::new(seed) })?;
        let (a, b) = pair.sockets(PORT)?;
        let (to_a, to_b) = (SocketAddrV4::new(pair.a.address, PORT), SocketAddrV4::new(pair.b.address, PORT));
        let (mut ab, mut ba) = (Model::default(), Model::default());
        for _ in 0..100 {
            for _ in 0..rng.below(8) {
                let _ = pair.a.client.send(a, Some(to_b), &ab.send(b'>', &mut rng));
                let _ = pair.b.client.send(b, Some(to_a), &ba.send(b'<', &mut rng));
            }
            pair.drive_for(Duration::from_micros(rng.below(3_000)));
        }
        pair.drive_for(Duration::from_secs(10));
        while let Some((_, data)) = receive(&mut pair.b.client, b) {
            ab.receive(&data)?;
        }
        while let Some((_, data)) = receive(&mut pair.a.client, a) {
            ba.receive(&data)?;
        }
        ab.judge(&wire, 0)?;
        ba.judge(&wire, 0)?;
        if ab.received.is_empty() || ba.received.is_empty() {
            return Err("nothing came through".to_owned());
        }
        conserved(pair)
    });
}

#[test]
fn a_run_can_be_captured() {
    let path = std::env::temp_dir().join(format!("xmit-pair-{}.pcapng", std::process::id()));
    let mut pair = Pair::with(PairConfig { capture: Some(path.clone()), ..PairConfig::new(1) }).unwrap();
    let (a, _) = pair.sockets(PORT).unwrap();
    let to = SocketAddrV4::new(pair.b.address, PORT);
    pair.a.client.send(a, Some(to), b"seen by both").unwrap();
    pair.drive_for(Duration::from_millis(10));
    assert_eq!(pair.finish(), Ok([0, 0]));
    let file = PcapFile::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    // Question, answer and datagram, each at both ends.
    assert_eq!(file.records().len(), 6);
    let has_it = |data: &[u8]| data.windows(12).any(|bytes| bytes == b"seen by both");
    assert_eq!(file.records().iter().filter(|record| has_it(file.data(record))).count(), 2);
}
