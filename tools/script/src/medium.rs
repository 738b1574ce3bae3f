//! What stands between the host under test and its peer: memory, the simulated wire, or the coax of a 3C501.
//!
//! The same script runs over all of them, and what left must be the same.

use crate::memory::memory;
use std::fmt;
use std::str::FromStr;
use xmit_nic::el3c501::{El3c501Port, LanConfig, Parity, Quirks, SegmentTap, SharedLan};
use xmit_nic::sim::{Impairment, Wire};
use xmit_nic::{Duration, MacAddr, Port};

/// A way from the host under test to its peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Medium {
    /// Two queues; no time passes.
    Memory,
    /// A simulated wire of 1 Gbit/s and 20 us.
    Wire,
    /// A 3C501 on a coax of 10 Mbit/s, the peer on a tap.
    El3c501,
}

/// Both ends of a medium: the host's, then the peer's.
pub(crate) type Ends = (Box<dyn Port>, Box<dyn Port>);

impl Medium {
    /// Every medium.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Wire, Self::El3c501];

    /// Makes the two ends, with these station addresses.
    ///
    /// # Errors
    /// If the medium does not take the addresses, or no descriptor is left.
    pub(crate) fn open(self, ours: MacAddr, peer: MacAddr, seed: u64) -> Result<Ends, String> {
        match self {
            Self::Memory => Ok(memory(ours, peer)),
            Self::Wire => {
                let (rate_bps, delay) = (1_000_000_000, Duration::from_micros(20));
                let wire = Wire::new(seed).impair(Impairment { rate_bps, delay, ..Impairment::NONE });
                let (a, b) = wire.ports().map_err(|error| error.to_string())?;
                Ok((Box::new(a.named("sim0", ours)), Box::new(b.named("sim1", peer))))
            }
            Self::El3c501 => {
                let lan = SharedLan::new(LanConfig { seed, ..LanConfig::default() });
                let card = El3c501Port::open(&lan, "el0", ours, Quirks::default(), Parity::default());
                let tap = SegmentTap::open(&lan, "tap0", peer);
                let (card, tap) = (card.map_err(|e| e.to_string())?, tap.map_err(|e| e.to_string())?);
                Ok((Box::new(card), Box::new(tap)))
            }
        }
    }
}

impl fmt::Display for Medium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Wire => "wire",
            Self::El3c501 => "3c501",
        })
    }
}

impl FromStr for Medium {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|medium| medium.to_string() == text);
        found.ok_or("the media are memory, wire and 3c501")
    }
}
