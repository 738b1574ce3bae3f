//! Who has which address and port, over all lanes: the control thread's book.
//!
//! Explicit binds are settled here; ephemeral ports are partitioned between lanes by remainder, and chosen at random
//! inside the partition (RFC 6056). Plain data: the control thread owns one, a lane without a daemon another.

use crate::snapshot::Snapshot;
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use xmit_nic::rng::Rng;

/// Who bound an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binder {
    /// The lane the socket lives on.
    pub lane: u16,
    /// The session it belongs to.
    pub session: u32,
    /// Its slot there.
    pub slot: u32,
    /// May bind ports below 1024 (`CAP_NET_BIND_SERVICE`).
    pub privileged: bool,
}

/// The first and last ephemeral port (`ip_local_port_range`).
pub const EPHEMERAL: (u16, u16) = (32_768, 60_999);

/// The first port that every user may bind (`ip_unprivileged_port_start`).
pub const UNPRIVILEGED: u16 = 1024;

const EACCES: i32 = 13;
const EADDRINUSE: i32 = 98;
const EADDRNOTAVAIL: i32 = 99;

/// All UDP binds of the daemon.
#[derive(Debug)]
pub struct Binds {
    lanes: u16,
    by_port: HashMap<u16, Vec<(Ipv4Addr, Binder)>>,
    rng: Rng,
}

impl Binds {
    /// An empty book for `lanes` lanes.
    pub fn new(lanes: u16, seed: u64) -> Self {
        Self { lanes: lanes.max(1), by_port: HashMap::new(), rng: Rng::new(seed) }
    }

    /// Gives `wanted` to `binder`; port 0 asks for any.
    ///
    /// # Errors
    /// Linux's number: `EADDRNOTAVAIL`, `EADDRINUSE`, `EACCES`.
    pub fn bind(&mut self, snapshot: &Snapshot, wanted: SocketAddrV4, binder: Binder) -> Result<SocketAddrV4, i32> {
        let ip = *wanted.ip();
        let ours = ip.is_unspecified() || ip.is_broadcast() || ip.is_multicast() || ip.is_loopback();
        if !ours && !snapshot.is_local(ip) && !is_subnet_broadcast(snapshot, ip) {
            return Err(EADDRNOTAVAIL);
        }
        let port = match wanted.port() {
            0 => self.choose(ip, binder.lane).ok_or(EADDRINUSE)?,
            port if port < UNPRIVILEGED && !binder.privileged => return Err(EACCES),
            port if self.conflicts(ip, port) => return Err(EADDRINUSE),
            port => port,
        };
        self.by_port.entry(port).or_default().push((ip, binder));
        Ok(SocketAddrV4::new(ip, port))
    }

    /// Takes `address` back from `session`. False if it does not have it: what a session says late must not take away
    /// what another was given since.
    pub fn release(&mut self, session: u32, address: SocketAddrV4) -> bool {
        let Some(owners) = self.by_port.get_mut(&address.port()) else { return false };
        let before = owners.len();
        owners.retain(|(ip, binder)| ip != address.ip() || binder.session != session);
        let released = owners.len() < before;
        if owners.is_empty() {
            self.by_port.remove(&address.port());
        }
        released
    }

    /// Takes back all that `session` had, and says what it was.
    pub fn release_session(&mut self, session: u32) -> Vec<(SocketAddrV4, Binder)> {
        let of_session: Vec<_> = self.iter().filter(|(_, b)| b.session == session).collect();
        for (address, _) in &of_session {
            self.release(session, *address);
        }
        of_session
    }

    /// Every bind.
    pub fn iter(&self) -> impl Iterator<Item = (SocketAddrV4, Binder)> + '_ {
        let flat = self.by_port.iter().flat_map(|(port, owners)| owners.iter().map(|o| (*port, *o)));
        flat.map(|(port, (ip, binder))| (SocketAddrV4::new(ip, port), binder))
    }

    /// Two sockets on one port conflict if they have the same address or one has none (`inet_rcv_saddr_equal`).
    fn conflicts(&self, ip: Ipv4Addr, port: u16) -> bool {
        let owners = self.by_port.get(&port).map(Vec::as_slice).unwrap_or_default();
        owners.iter().any(|(other, _)| ip.is_unspecified() || other.is_unspecified() || *other == ip)
    }

    /// A free port of the lane's partition, from a random start. Bounded by the size of the partition.
    fn choose(&mut self, ip: Ipv4Addr, lane: u16) -> Option<u16> {
        let (first, last) = EPHEMERAL;
        let first = first + (lane + self.lanes - first % self.lanes) % self.lanes;
        let size = (last - first) / self.lanes + 1;
        let start = self.rng.below(u64::from(size)) as u16;
        let candidates = (0..size).map(|i| first + (start + i) % size * self.lanes);
        candidates.into_iter().find(|port| !self.conflicts(ip, *port))
    }
}

fn is_subnet_broadcast(snapshot: &Snapshot, ip: Ipv4Addr) -> bool {
    let addresses = snapshot.interfaces.iter().flat_map(|i| &i.addresses);
    addresses.into_iter().any(|a| a.broadcast() == Some(ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binder(lane: u16, session: u32) -> Binder {
        Binder { lane, session, slot: 0, privileged: false }
    }

    fn any(port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port)
    }

    #[test]
    fn linux_numbers_for_what_cannot_be_bound() {
        let (snapshot, mut binds) = (Snapshot::default(), Binds::new(1, 1));
        assert_eq!(binds.bind(&snapshot, any(5000), binder(0, 1)), Ok(any(5000)));
        assert_eq!(binds.bind(&snapshot, any(5000), binder(0, 2)), Err(EADDRINUSE));
        let loopback = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 5000);
        assert_eq!(binds.bind(&snapshot, loopback, binder(0, 2)), Err(EADDRINUSE));
        let foreign = "192.0.2.1:5001".parse().unwrap();
        assert_eq!(binds.bind(&snapshot, foreign, binder(0, 2)), Err(EADDRNOTAVAIL));
        assert_eq!(binds.bind(&snapshot, any(53), binder(0, 2)), Err(EACCES));
        assert_eq!(binds.release_session(1), [(any(5000), binder(0, 1))]);
        assert_eq!(binds.bind(&snapshot, loopback, binder(0, 2)), Ok(loopback));
    }

    #[test]
    fn a_late_release_takes_nothing_from_the_next_owner() {
        let (snapshot, mut binds) = (Snapshot::default(), Binds::new(1, 1));
        binds.bind(&snapshot, any(5000), binder(0, 1)).unwrap();
        binds.release_session(1);
        binds.bind(&snapshot, any(5000), binder(0, 2)).unwrap();
        assert!(!binds.release(1, any(5000)));
        assert_eq!(binds.bind(&snapshot, any(5000), binder(0, 3)), Err(EADDRINUSE));
        assert!(binds.release(2, any(5000)));
    }

    #[test]
    fn ephemeral_ports_are_partitioned_and_run_out() {
        let (snapshot, mut binds) = (Snapshot::default(), Binds::new(3, 7));
        let mut count = 0;
        while let Ok(address) = binds.bind(&snapshot, any(0), binder(1, 1)) {
            assert_eq!(address.port() % 3, 1);
            assert!((EPHEMERAL.0..=EPHEMERAL.1).contains(&address.port()));
            count += 1;
        }
        assert_eq!(count, (EPHEMERAL.0..=EPHEMERAL.1).filter(|p| p % 3 == 1).count());
    }
}
