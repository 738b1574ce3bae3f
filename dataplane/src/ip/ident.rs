//! IP identification (`__ip_select_ident`): counters shared by destinations that hash alike, begun at random
//! values, so that an observer learns nothing of our other traffic (RFC 7739's reasoning).

use std::net::Ipv4Addr;
use xmit_nic::rng::Rng;

const COUNTERS: usize = 2048;

/// The identification counters of a lane.
#[derive(Debug)]
pub struct Idents {
    counters: Box<[u16]>,
    key: u64,
}

impl Idents {
    /// Counters begun at values from `rng`.
    pub fn new(rng: &mut Rng) -> Self {
        let counters = (0..COUNTERS).map(|_| rng.next_u64() as u16).collect();
        Self { counters, key: rng.next_u64() | 1 }
    }

    /// The next identification for a datagram that may be fragmented.
    pub fn next(&mut self, source: Ipv4Addr, destination: Ipv4Addr, protocol: u8) -> u16 {
        let flow = (u64::from(source.to_bits()) << 32 | u64::from(destination.to_bits())) ^ u64::from(protocol) << 24;
        let index = (flow.wrapping_add(1).wrapping_mul(self.key) >> 48) as usize % COUNTERS;
        let counter = &mut self.counters[index];
        *counter = counter.wrapping_add(1);
        *counter
    }
}
