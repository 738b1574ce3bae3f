//! Who has which address and port of one protocol, over all lanes: the control thread's book (`struct
//! inet_bind_hashbucket`).
//!
//! Explicit binds are settled here; ephemeral ports are partitioned between lanes by remainder, and chosen at random
//! inside the partition (RFC 6056). Plain data: the control thread owns one, a lane without a daemon another.
//!
//! Invariant: an address stays taken on a lane while flows of its port are left there, though the socket is closed
//! ([`Left::Flows`]); a socket may join it under the same rules as one that lives (`inet_bind_conflict`).

use crate::errno::{EACCES, EADDRINUSE, EADDRNOTAVAIL, EINVAL};
use crate::snapshot::Snapshot;
use crate::tcp::siblings::candidates;
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
    /// The user of its program.
    pub uid: u32,
    /// With whom it shares.
    pub sharing: Sharing,
}

/// What lets two sockets have one address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sharing {
    /// `SO_REUSEADDR`.
    pub reuse_address: bool,
    /// `SO_REUSEPORT`.
    pub reuse_port: bool,
    /// It listens: `SO_REUSEADDR` alone does not make two listeners share.
    pub listening: bool,
    /// `IP_FREEBIND`: the address need not be this host's.
    pub free: bool,
}

/// Whether something of a closed socket is left on its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Nothing.
    Nothing,
    /// Connections or TIME_WAITs of its port.
    Flows,
}

/// The first and last ephemeral port (`ip_local_port_range`).
pub const EPHEMERAL: (u16, u16) = (32_768, 60_999);

/// The first port that every user may bind (`ip_unprivileged_port_start`).
pub const UNPRIVILEGED: u16 = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    ip: Ipv4Addr,
    binder: Binder,
    /// The socket is closed; its flows are not.
    closed: bool,
}

/// All binds of one protocol.
#[derive(Debug)]
pub struct Binds {
    lanes: u16,
    range: (u16, u16),
    by_port: HashMap<u16, Vec<Entry>>,
    rng: Rng,
}

impl Binds {
    /// An empty book for `lanes` lanes.
    pub fn new(lanes: u16, seed: u64) -> Self {
        Self { lanes: lanes.max(1), range: EPHEMERAL, by_port: HashMap::new(), rng: Rng::new(seed) }
    }

    /// Ephemeral ports are those of `range` from now on.
    pub fn set_range(&mut self, range: (u16, u16)) {
        self.range = range;
    }

    /// Gives `wanted` to `binder`; port 0 asks for any.
    ///
    /// # Errors
    /// Linux's number: `EADDRNOTAVAIL`, `EADDRINUSE`, `EACCES`.
    pub fn bind(&mut self, snapshot: &Snapshot, wanted: SocketAddrV4, binder: Binder) -> Result<SocketAddrV4, i32> {
        let ip = *wanted.ip();
        let ours =
            binder.sharing.free || ip.is_unspecified() || ip.is_broadcast() || ip.is_multicast() || ip.is_loopback();
        if !ours && !snapshot.is_local(ip) && !is_subnet_broadcast(snapshot, ip) {
            return Err(EADDRNOTAVAIL);
        }
        let port = match wanted.port() {
            0 => self.choose(ip, binder.lane).ok_or(EADDRINUSE)?,
            port if port < UNPRIVILEGED && !binder.privileged => return Err(EACCES),
            port if self.conflicts(ip, port, &binder) => return Err(EADDRINUSE),
            port => port,
        };
        self.by_port.entry(port).or_default().push(Entry { ip, binder, closed: false });
        Ok(SocketAddrV4::new(ip, port))
    }

    /// The socket in `slot` of `session`, which has `address`, begins to listen (`inet_csk_listen_start`).
    ///
    /// # Errors
    /// `EADDRINUSE` if another listens there already, `EINVAL` if it does not have the address.
    pub fn listen(
        &mut self,
        session: u32,
        slot: u32,
        address: SocketAddrV4,
        sharing: Sharing,
    ) -> Result<SocketAddrV4, i32> {
        let own = |entry: &Entry| entry.is(session, slot) && entry.ip == *address.ip();
        let found = self.entries(address.port()).iter().find(|entry| own(entry));
        let binder = Binder { sharing, ..found.ok_or(EINVAL)?.binder };
        if self.conflicts(*address.ip(), address.port(), &binder) {
            return Err(EADDRINUSE);
        }
        if let Some(entry) = self.by_port.get_mut(&address.port()).and_then(|all| all.iter_mut().find(|e| own(e))) {
            entry.binder = binder;
        }
        Ok(address)
    }

    /// Gives `binder` the address of the socket in slot `other` of the same session, on another lane.
    ///
    /// # Errors
    /// `EINVAL` if that socket has none.
    pub fn share(&mut self, other: u32, binder: Binder) -> Result<SocketAddrV4, i32> {
        let shared = self.all().find(|(_, entry)| entry.is(binder.session, other)).ok_or(EINVAL)?;
        let (port, Entry { ip, binder: theirs, .. }) = shared;
        let sharing = theirs.sharing;
        let entry = Entry { ip, binder: Binder { sharing, ..binder }, closed: false };
        self.by_port.entry(port).or_default().push(entry);
        Ok(SocketAddrV4::new(ip, port))
    }

    /// Takes `address` back from the socket in `slot` of `session`. Answers the address if nobody of its lane is left there:
    /// what a session says late must not take away what another was given since.
    pub fn release(&mut self, session: u32, slot: u32, address: SocketAddrV4, left: Left) -> Option<Binder> {
        let entries = self.by_port.get_mut(&address.port())?;
        let theirs = |entry: &Entry| entry.of(session, slot) && entry.ip == *address.ip();
        // Of an open and a closed one the open one is meant; a closed one, if its session ended before it said this.
        let at = entries.iter().position(|entry| theirs(entry) && !entry.closed);
        let at = at.or_else(|| entries.iter().position(theirs))?;
        let binder = entries[at].binder;
        if left == Left::Flows {
            entries[at].close();
            return None;
        }
        entries.swap_remove(at);
        self.forget_empty(address.port());
        Some(binder)
    }

    /// Takes back all that `session` had. With `left`, its lanes will say when nothing is left of it ([`Binds::idle`]); the
    /// answer is what is free at once.
    pub fn release_session(&mut self, session: u32, left: Left) -> Vec<(SocketAddrV4, Binder)> {
        let of_session: Vec<_> = self.iter().filter(|(_, b)| b.session == session).collect();
        let released = of_session.into_iter().filter_map(|(address, binder)| {
            self.release(session, binder.slot, address, left).map(|binder| (address, binder))
        });
        released.collect()
    }

    /// Lane `lane` has no flow of `port` left: what closed sockets held of it is free.
    pub fn idle(&mut self, lane: u16, port: u16) -> Vec<(SocketAddrV4, Binder)> {
        let Some(entries) = self.by_port.get_mut(&port) else { return Vec::new() };
        let gone = |entry: &mut Entry| entry.closed && entry.binder.lane == lane;
        let freed = entries.extract_if(.., gone).map(|e| (SocketAddrV4::new(e.ip, port), e.binder)).collect();
        self.forget_empty(port);
        freed
    }

    /// Every bind of a socket that is open.
    pub fn iter(&self) -> impl Iterator<Item = (SocketAddrV4, Binder)> + '_ {
        let open = self.all().filter(|(_, entry)| !entry.closed);
        open.map(|(port, entry)| (SocketAddrV4::new(entry.ip, port), entry.binder))
    }

    /// Where lane `lane` has to take packets for `address` that nobody there waits for: the first other lane that has it.
    pub fn lane_for(&self, address: SocketAddrV4, lane: u16) -> Option<u16> {
        let theirs = self.entries(address.port()).iter().filter(|e| e.ip == *address.ip() && e.binder.lane != lane);
        // Who is open goes before what is left of another.
        theirs.min_by_key(|entry| (entry.closed, entry.binder.lane)).map(|entry| entry.binder.lane)
    }

    /// The lane whose ephemeral port `port` is.
    pub fn lane_of(&self, port: u16) -> Option<u16> {
        (self.range.0..=self.range.1).contains(&port).then(|| port % self.lanes)
    }

    fn entries(&self, port: u16) -> &[Entry] {
        self.by_port.get(&port).map(Vec::as_slice).unwrap_or_default()
    }

    fn all(&self) -> impl Iterator<Item = (u16, Entry)> + '_ {
        self.by_port.iter().flat_map(|(port, entries)| entries.iter().map(|entry| (*port, *entry)))
    }

    fn forget_empty(&mut self, port: u16) {
        if self.by_port.get(&port).is_some_and(Vec::is_empty) {
            self.by_port.remove(&port);
        }
    }

    /// `inet_bind_conflict` over the port's bucket.
    fn conflicts(&self, ip: Ipv4Addr, port: u16, binder: &Binder) -> bool {
        self.entries(port).iter().any(|entry| entry.conflicts(ip, binder))
    }

    /// A free port of the lane's partition, from a random start. Bounded by the size of the partition.
    fn choose(&mut self, ip: Ipv4Addr, lane: u16) -> Option<u16> {
        let start = self.rng.next_u64();
        // Whoever asks for any port shares it with nobody (`relax` = false).
        let taken = |port: &u16| self.entries(*port).iter().any(|entry| entry.overlaps(ip));
        candidates(self.range, lane, self.lanes, start).find(|port| !taken(port))
    }
}

impl Entry {
    fn of(&self, session: u32, slot: u32) -> bool {
        (self.binder.session, self.binder.slot) == (session, slot)
    }

    fn is(&self, session: u32, slot: u32) -> bool {
        !self.closed && self.of(session, slot)
    }

    fn close(&mut self) {
        self.closed = true;
        self.binder.sharing.listening = false;
    }

    /// The same address, or one has none (`inet_rcv_saddr_equal`).
    fn overlaps(&self, ip: Ipv4Addr) -> bool {
        ip.is_unspecified() || self.ip.is_unspecified() || self.ip == ip
    }

    /// `inet_bind_conflict`: both want `SO_REUSEADDR` and this one does not listen, or both want `SO_REUSEPORT` and are
    /// of one user. The shares of one listener, on several lanes, never conflict.
    fn conflicts(&self, ip: Ipv4Addr, new: &Binder) -> bool {
        let (old, theirs) = (&self.binder, &self.binder.sharing);
        let itself = self.is(new.session, new.slot);
        let by_address = new.sharing.reuse_address && theirs.reuse_address && !theirs.listening;
        let by_port = new.sharing.reuse_port && theirs.reuse_port && old.uid == new.uid;
        let one_listener = old.session == new.session && old.lane != new.lane && self.ip == ip && new.sharing.listening;
        self.overlaps(ip) && !(itself || by_address || by_port || one_listener)
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
        Binder { lane, session, slot: 0, privileged: false, uid: 1000, sharing: Sharing::default() }
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
        assert_eq!(binds.release_session(1, Left::Nothing), [(any(5000), binder(0, 1))]);
        assert_eq!(binds.bind(&snapshot, loopback, binder(0, 2)), Ok(loopback));
    }

    #[test]
    fn a_late_release_takes_nothing_from_the_next_owner() {
        let (snapshot, mut binds) = (Snapshot::default(), Binds::new(1, 1));
        binds.bind(&snapshot, any(5000), binder(0, 1)).unwrap();
        binds.release_session(1, Left::Nothing);
        binds.bind(&snapshot, any(5000), binder(0, 2)).unwrap();
        assert_eq!(binds.release(1, 0, any(5000), Left::Nothing), None);
        assert_eq!(binds.bind(&snapshot, any(5000), binder(0, 3)), Err(EADDRINUSE));
        assert!(binds.release(2, 0, any(5000), Left::Nothing).is_some());
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

    fn tcp(lane: u16, session: u32, slot: u32, sharing: Sharing) -> Binder {
        Binder { slot, sharing, ..binder(lane, session) }
    }

    #[test]
    fn a_listener_comes_back_while_its_connections_end_if_both_reuse_the_address() {
        let (snapshot, mut binds) = (Snapshot::default(), Binds::new(1, 1));
        let reuse = Sharing { reuse_address: true, ..Sharing::default() };
        binds.bind(&snapshot, any(5000), tcp(0, 1, 0, reuse)).unwrap();
        assert_eq!(binds.bind(&snapshot, any(5000), tcp(0, 2, 0, Sharing::default())), Err(EADDRINUSE));
        binds.bind(&snapshot, any(5000), tcp(0, 2, 0, reuse)).unwrap();
        let listening = Sharing { listening: true, ..reuse };
        assert_eq!(binds.listen(1, 0, any(5000), listening), Ok(any(5000)));
        assert_eq!(binds.listen(2, 0, any(5000), listening), Err(EADDRINUSE), "one listens");
        assert_eq!(binds.bind(&snapshot, any(5000), tcp(0, 3, 0, reuse)), Err(EADDRINUSE));
        assert_eq!(binds.release(1, 0, any(5000), Left::Flows), None);
        assert_eq!(binds.listen(2, 0, any(5000), listening), Ok(any(5000)));
        binds.release(2, 0, any(5000), Left::Nothing).unwrap();
        assert_eq!(binds.bind(&snapshot, any(5000), tcp(0, 3, 0, Sharing::default())), Err(EADDRINUSE), "flows");
        assert_eq!(binds.idle(0, 5000).len(), 1);
        assert!(binds.bind(&snapshot, any(5000), tcp(0, 3, 0, Sharing::default())).is_ok());
    }

    #[test]
    fn a_group_is_of_one_user_and_a_listener_shares_with_itself_alone() {
        let (snapshot, mut binds) = (Snapshot::default(), Binds::new(2, 1));
        let group = Sharing { reuse_port: true, listening: true, ..Sharing::default() };
        binds.bind(&snapshot, any(80 + 8000), tcp(0, 1, 0, group)).unwrap();
        binds.bind(&snapshot, any(8080), tcp(1, 2, 0, group)).unwrap();
        let stranger = Binder { uid: 7, ..tcp(1, 3, 0, group) };
        assert_eq!(binds.bind(&snapshot, any(8080), stranger), Err(EADDRINUSE));
        assert_eq!((binds.lane_for(any(8080), 0), binds.lane_for(any(8080), 1)), (Some(1), Some(0)));

        let alone = Sharing { listening: true, ..Sharing::default() };
        binds.bind(&snapshot, any(9000), tcp(0, 1, 4, alone)).unwrap();
        assert_eq!(binds.share(4, tcp(1, 1, 5, Sharing::default())), Ok(any(9000)));
        assert_eq!(binds.listen(1, 5, any(9000), alone), Ok(any(9000)));
        assert_eq!(binds.share(4, tcp(1, 2, 5, Sharing::default())), Err(EINVAL), "another session's");
        assert_eq!(binds.lane_for(any(9000), 0), Some(1));
        assert!(binds.release(1, 5, any(9000), Left::Nothing).is_some());
        assert_eq!(binds.lane_for(any(9000), 0), None);
    }
}
