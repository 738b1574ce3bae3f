//! Which lane has which port.
//!
//! Ephemeral ports belong to lanes by remainder, so that a lane finds one for a connection without asking, and every lane
//! knows whose connection a segment may belong to that arrived at the wrong one. Ports that were bound are told.

use hashbrown::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};

/// The lanes of a host, as one of them knows them.
#[derive(Debug)]
pub struct Siblings {
    lane: u16,
    lanes: u16,
    elsewhere: HashMap<u16, Vec<(Ipv4Addr, u16)>, foldhash::fast::RandomState>,
}

impl Siblings {
    /// As lane `lane` of `lanes` knows them.
    pub fn new(lane: u16, lanes: u16) -> Self {
        Self { lane, lanes: lanes.max(1), elsewhere: HashMap::default() }
    }

    /// Another lane has `address` bound, or no longer does.
    pub fn set(&mut self, address: SocketAddrV4, lane: Option<u16>) {
        let owners = self.elsewhere.entry(address.port()).or_default();
        owners.retain(|(ip, _)| ip != address.ip());
        owners.extend(lane.map(|lane| (*address.ip(), lane)));
        if owners.is_empty() {
            self.elsewhere.remove(&address.port());
        }
    }

    /// True if another lane has the port bound, on any address.
    pub fn has(&self, port: u16) -> bool {
        self.elsewhere.contains_key(&port)
    }

    /// The other lane that a segment to `local` is for, if nothing here is: who bound the address, or whose ephemeral
    /// port it is. `range` is that of the ephemeral ports.
    #[inline]
    pub fn lane_of(&self, local: SocketAddrV4, range: (u16, u16)) -> Option<u16> {
        if self.lanes == 1 {
            return None;
        }
        let owners = self.elsewhere.get(&local.port()).map(Vec::as_slice).unwrap_or_default();
        let exact = owners.iter().find(|(ip, _)| ip == local.ip());
        let bound = exact.or_else(|| owners.iter().find(|(ip, _)| ip.is_unspecified())).map(|(_, lane)| *lane);
        let partition = || (range.0..=range.1).contains(&local.port()).then(|| local.port() % self.lanes);
        bound.or_else(partition).filter(|lane| *lane != self.lane)
    }

    /// The ephemeral ports of this lane, each once, from the one that `start` falls on (RFC 6056 section 3.3).
    pub fn candidates(&self, range: (u16, u16), start: u64) -> impl Iterator<Item = u16> + use<> {
        candidates(range, self.lane, self.lanes, start)
    }
}

/// The ports of `range` that are `lane`'s of `lanes`, each once, from the one that `start` falls on.
pub fn candidates((low, high): (u16, u16), lane: u16, lanes: u16, start: u64) -> impl Iterator<Item = u16> + use<> {
    let (low, high, lanes) = (u32::from(low), u32::from(high), u32::from(lanes));
    let first = low + (u32::from(lane) + lanes - low % lanes) % lanes;
    let size = if first > high { 0 } else { (high - first) / lanes + 1 };
    let start = start.checked_rem(u64::from(size)).unwrap_or(0) as u32;
    (0..size).map(move |i| (first + (start + i) % size * lanes) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const RANGE: (u16, u16) = (32_768, 60_999);

    #[test]
    fn every_ephemeral_port_is_one_lanes() {
        let all: Vec<BTreeSet<u16>> = (0..3).map(|lane| candidates(RANGE, lane, 3, 12_345).collect()).collect();
        assert_eq!(all.iter().map(BTreeSet::len).sum::<usize>(), usize::from(RANGE.1 - RANGE.0) + 1);
        assert!(all.iter().enumerate().all(|(lane, ports)| ports.iter().all(|port| usize::from(*port) % 3 == lane)));
        assert_eq!(candidates((10, 10), 1, 3, 7).collect::<Vec<_>>(), [10]);
        assert_eq!(candidates((11, 10), 0, 1, 7).count(), 0, "an empty range");
        assert_eq!(candidates((0, u16::MAX), 0, 1, u64::MAX).count(), 1 << 16);
    }

    #[test]
    fn a_segment_goes_to_who_bound_its_port_or_to_whose_ephemeral_port_it_is() {
        let mut siblings = Siblings::new(1, 2);
        let at = |text: &str| text.parse::<SocketAddrV4>().unwrap();
        assert_eq!(siblings.lane_of(at("10.0.0.1:40000"), RANGE), Some(0));
        assert_eq!(siblings.lane_of(at("10.0.0.1:40001"), RANGE), None, "ours");
        assert_eq!(siblings.lane_of(at("10.0.0.1:80"), RANGE), None, "nobody's");
        siblings.set(at("0.0.0.0:80"), Some(0));
        siblings.set(at("10.0.0.2:40001"), Some(0));
        assert_eq!(siblings.lane_of(at("10.0.0.1:80"), RANGE), Some(0));
        assert_eq!(siblings.lane_of(at("10.0.0.2:40001"), RANGE), Some(0));
        siblings.set(at("0.0.0.0:80"), None);
        assert_eq!(siblings.lane_of(at("10.0.0.1:80"), RANGE), None);
        assert!(!siblings.has(80) && siblings.has(40_001));
    }
}
