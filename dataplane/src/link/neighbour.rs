//! One neighbour: its states and what time does to them (`nud_state`, `neigh_timer_handler`).

use crate::limits;
use crate::qdisc::Priority;
use crate::route::InterfaceId;
use crate::timers::TimerId;
use crate::wire::ethernet;
use arrayvec::ArrayVec;
use std::net::Ipv4Addr;
use xmit_nic::{Duration, Frame, Instant, MacAddr};

/// A confirmed address is believed for this long (`base_reachable_time`, 30 s, varied by half either way).
pub(super) const REACHABLE_TIME: Duration = Duration::from_secs(30);
/// A stale address in use is probed after this long without confirmation (`delay_first_probe_time`).
pub(super) const DELAY_PROBE_TIME: Duration = Duration::from_secs(5);
/// Between two probes (`retrans_time`).
pub(super) const RETRANS_TIME: Duration = Duration::from_secs(1);
/// Broadcast probes before a resolution fails (`mcast_solicit`).
pub(super) const BROADCAST_PROBES: u8 = 3;
/// Unicast probes before a known address is given up (`ucast_solicit`).
pub(super) const UNICAST_PROBES: u8 = 3;

/// Longest link header: Ethernet with one 802.1Q tag, in bytes.
pub(super) const LINK_HEADER_MAX: usize = 18;

/// What is known about a neighbour (`NUD_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeighbourState {
    /// Nothing; nobody asked yet.
    None,
    /// Being asked for by broadcast; `probes` requests were sent.
    Incomplete {
        /// Requests sent so far.
        probes: u8,
    },
    /// Confirmed; believed until then.
    Reachable {
        /// End of the belief.
        until: Instant,
    },
    /// Known but unconfirmed; using it starts the delay.
    Stale,
    /// In use and unconfirmed; probed when the delay ends.
    Delay,
    /// Being asked by unicast; `probes` requests were sent.
    Probe {
        /// Requests sent so far.
        probes: u8,
    },
    /// Did not answer. The next packet starts over.
    Failed,
    /// Told by the control thread.
    Permanent,
}

impl NeighbourState {
    /// The state as `ip neigh` says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Incomplete { .. } => "INCOMPLETE",
            Self::Reachable { .. } => "REACHABLE",
            Self::Stale => "STALE",
            Self::Delay => "DELAY",
            Self::Probe { .. } => "PROBE",
            Self::Failed => "FAILED",
            Self::Permanent => "PERMANENT",
        }
    }
}

/// One entry of the neighbour table.
#[derive(Debug)]
pub struct Neighbour {
    /// The interface it is reached by.
    pub interface: InterfaceId,
    /// Its IP address.
    pub address: Ipv4Addr,
    /// Its station address; meaningful in the valid states.
    pub mac: MacAddr,
    /// What is known.
    pub state: NeighbourState,
    /// Last use by a sent packet.
    pub used: Instant,
    pub(super) header: [u8; LINK_HEADER_MAX],
    pub(super) header_len: u8,
    pub(super) pending: ArrayVec<(Frame, Priority), { limits::NEIGHBOUR_PENDING_MAX }>,
    pub(super) timer: Option<TimerId>,
}

impl Neighbour {
    pub(super) fn new(interface: InterfaceId, address: Ipv4Addr, now: Instant) -> Self {
        Self {
            interface,
            address,
            mac: MacAddr::ZERO,
            state: NeighbourState::None,
            used: now,
            header: [0; LINK_HEADER_MAX],
            header_len: 0,
            pending: ArrayVec::new(),
            timer: None,
        }
    }

    /// True if packets can be sent to it at once (`NUD_VALID`).
    #[inline]
    pub fn is_valid(&self) -> bool {
        use NeighbourState::{Delay, Permanent, Probe, Reachable, Stale};
        matches!(self.state, Reachable { .. } | Stale | Delay | Probe { .. } | Permanent)
    }

    /// Packets that wait for its address.
    pub fn waiting(&self) -> usize {
        self.pending.len()
    }

    /// True if the entry may make room for another: nobody waits for it and it is not in fresh use.
    pub(super) fn is_recyclable(&self) -> bool {
        use NeighbourState::{Failed, None, Stale};
        self.pending.is_empty() && matches!(self.state, None | Failed | Stale)
    }

    /// The ready link header (`hh->hh_data`).
    #[inline]
    pub(super) fn header(&self) -> &[u8] {
        &self.header[..usize::from(self.header_len)]
    }

    /// Remembers `mac` and makes the link header that output copies.
    pub(super) fn learn(&mut self, mac: MacAddr, ours: MacAddr, vlan: Option<ethernet::VlanTag>) {
        self.mac = mac;
        let header = ethernet::Header { destination: mac, source: ours, vlan, ethertype: ethernet::EtherType::IPV4 };
        self.header_len = header.emit(&mut self.header) as u8;
    }
}
