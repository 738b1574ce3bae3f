//! A pcap file as a port: what it received is what the file holds, what is sent goes to another capture.

use super::{CaptureTap, Direction, PcapFile, PcapRecord};
use crate::{Burst, Caps, Duration, Instant, MacAddr, Pool, Port, PortStats, Wakeup};

/// When the packets of a file arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As fast as they are taken.
    Fastest,
    /// By their time stamps, the first at the first `now`. One that claims to be older than the first comes at once.
    Recorded,
}

/// A port that plays a file. Packets of which only a part was captured arrive as that part.
pub struct PcapPort {
    caps: Caps,
    file: PcapFile,
    pace: Pace,
    next: usize,
    started: Option<Instant>,
    sent: Option<CaptureTap>,
    stats: PortStats,
}

impl PcapPort {
    /// Plays `file`; what is sent is offered to `sent`, or counted only.
    pub fn new(name: &str, mac: MacAddr, file: PcapFile, pace: Pace, sent: Option<CaptureTap>) -> Self {
        let caps = Caps::plain(name, mac, "capture file");
        Self { caps, file, pace, next: 0, started: None, sent, stats: PortStats::default() }
    }

    /// True once every packet was received.
    pub fn is_finished(&self) -> bool {
        self.next >= self.file.records().len()
    }

    fn due(&self, record: &PcapRecord) -> Instant {
        let first = self.file.records().first().map_or(0, |r| r.nanos);
        match (self.pace, self.started) {
            (Pace::Recorded, Some(started)) => started + Duration::from_nanos(record.nanos.saturating_sub(first)),
            _ => Instant::ZERO,
        }
    }
}

impl Port for PcapPort {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn rx_burst(&mut self, now: Instant, pool: &mut Pool, burst: &mut Burst) {
        self.started.get_or_insert(now);
        while !burst.is_full() {
            let Some(record) = self.file.records().get(self.next) else { break };
            if self.due(record) > now {
                break;
            }
            let Some(frame) = pool.acquire() else { break };
            self.next += 1;
            self.stats.receive(self.file.data(record), frame, pool, burst);
        }
    }

    fn tx_burst(&mut self, now: Instant, pool: &mut Pool, burst: &mut Burst) {
        for frame in burst.drain(..) {
            let kept = self.sent.as_ref().is_none_or(|tap| tap.offer(now, Direction::Outbound, frame.bytes()));
            if kept {
                self.stats.tx_packets += 1;
                self.stats.tx_bytes += frame.len() as u64;
            } else {
                self.stats.tx_dropped += 1;
            }
            pool.release(frame);
        }
    }

    fn service(&mut self, _now: Instant, _pool: &mut Pool) {}

    fn sleep(&mut self, now: Instant) -> Wakeup {
        let due = |record| if self.started.is_none() { now } else { self.due(record).max(now) };
        Wakeup { at: self.file.records().get(self.next).map(due), ..Wakeup::default() }
    }

    fn stats(&self) -> PortStats {
        self.stats
    }

    fn shutdown(&mut self, _pool: &mut Pool) {
        // Received frames belong to the caller and sent ones were copied: the port holds none.
    }
}
