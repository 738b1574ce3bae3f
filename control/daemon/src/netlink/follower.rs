//! The kernel's tables, kept up to date.
//!
//! Links, addresses and routes are read anew after a notice about them: the kernel removes routes silently when a link
//! or an address goes, so their notices cannot be added up. Neighbours change often and are told completely, so theirs
//! are added up. Notices that come close together cause one reading.

use super::dump::{Dump, NetlinkError, RECEIVE_BYTES, decode, failed, next};
use super::message;
use super::view::{KernelAddress, KernelInterface, KernelNeighbour, KernelView};
use mio::event::Source;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use netlink_packet_core::NetlinkPayload;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use rustix::io::Errno;
use rustix::net::{RecvFlags, sockopt};
use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;
use xmit_shared::Instant;

/// `RTNLGRP_*` of `linux/rtnetlink.h`: link, neigh, ipv4_ifaddr, ipv4_route.
const GROUPS: [u32; 4] = [1, 3, 5, 7];

/// The receive buffer asked for: some thousand notices, a burst of a routing daemon.
const NOTICE_BUFFER_BYTES: usize = 2 << 20;

/// The least time between two readings, so that a routing daemon at work does not keep the control thread reading.
const READING_INTERVAL: Duration = Duration::from_millis(50);

/// Notices taken in one call, so that a flood leaves time to others.
const NOTICES_PER_CALL: usize = 1024;

/// The kernel's tables of this network namespace, kept up to date.
#[derive(Debug)]
pub struct Follower {
    notices: Socket,
    dump: Dump,
    buffer: Vec<u8>,
    neighbours: BTreeMap<(u32, Ipv4Addr), KernelNeighbour>,
    stale: Stale,
    changed: bool,
    /// Notices were left in the socket because the call's share was used up.
    more: bool,
    next_reading: Instant,
    view: Arc<KernelView>,
    stats: FollowerStats,
}

/// Which tables are known to differ from the kernel's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Stale {
    links: bool,
    routes: bool,
    neighbours: bool,
}

impl Stale {
    const ALL: Self = Self { links: true, routes: true, neighbours: true };

    fn any(self) -> bool {
        self != Self::default()
    }
}

/// Counters of a [`Follower`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FollowerStats {
    /// Notices taken.
    pub notices: u64,
    /// Times that the kernel lost notices (`ENOBUFS`) and everything was read anew.
    pub overruns: u64,
    /// Readings of tables after the first.
    pub readings: u64,
    /// Readings begun again because a table changed meanwhile.
    pub interrupted: u64,
    /// Messages that were not understood.
    pub not_understood: u64,
}

impl Follower {
    /// Subscribes, then reads everything.
    ///
    /// # Errors
    /// No sockets, or the first reading failed.
    pub fn open() -> Result<Self, NetlinkError> {
        let notices = subscribe().map_err(failed("subscribe to changes"))?;
        let mut follower = Self {
            notices,
            dump: Dump::open()?,
            buffer: vec![0; RECEIVE_BYTES],
            neighbours: BTreeMap::new(),
            stale: Stale::ALL,
            changed: false,
            more: false,
            next_reading: Instant::ZERO,
            view: Arc::new(KernelView::default()),
            stats: FollowerStats::default(),
        };
        follower.read(Instant::ZERO)?;
        follower.next_reading = Instant::ZERO; // the first change is read at once
        follower.stats.readings = 0;
        Ok(follower)
    }

    /// What is known now.
    pub fn view(&self) -> &Arc<KernelView> {
        &self.view
    }

    /// Counters.
    pub fn stats(&self) -> FollowerStats {
        let (interrupted, ours) = (self.dump.interrupted, self.stats.not_understood);
        FollowerStats { interrupted, not_understood: ours + self.dump.not_understood, ..self.stats }
    }

    /// Takes waiting notices and reads anew what they ask for, at once or after [`Follower::next_deadline`].
    /// Called when the socket is readable and when the deadline has passed. True if the view is new.
    ///
    /// # Errors
    /// A reading failed: the last view stays, and the next call tries again.
    pub fn update(&mut self, now: Instant) -> Result<bool, NetlinkError> {
        let before = self.view.generation;
        self.take_notices().map_err(failed("hear of changes"))?;
        if self.stale.any() && now >= self.next_reading {
            self.read(now)?;
        } else if std::mem::take(&mut self.changed) {
            self.publish(KernelView::clone(&self.view));
        }
        Ok(self.view.generation != before)
    }

    /// When [`Follower::update`] has something to do even if the socket is not readable.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.more {
            return Some(Instant::ZERO);
        }
        self.stale.any().then_some(self.next_reading)
    }

    /// Has the kernel resolve a neighbour by ARP; what it finds comes as a change of the view.
    ///
    /// # Errors
    /// As [`Dump::resolve`].
    pub fn resolve(&mut self, interface: u32, address: Ipv4Addr) -> Result<(), NetlinkError> {
        self.dump.resolve(interface, address)
    }

    /// Leaves room for a few notices only, so that a test loses some.
    #[cfg(test)]
    pub(super) fn shrink_buffer(&self) {
        sockopt::set_socket_recv_buffer_size(&self.notices, 1).unwrap();
    }

    /// Bounded by [`NOTICES_PER_CALL`].
    fn take_notices(&mut self) -> io::Result<()> {
        self.more = true;
        for _ in 0..NOTICES_PER_CALL {
            let received = rustix::net::recv(&self.notices, &mut self.buffer[..], RecvFlags::TRUNC);
            let length = match received {
                Ok((_, length)) => length,
                Err(Errno::WOULDBLOCK) => {
                    self.more = false;
                    return Ok(());
                }
                Err(Errno::INTR) => continue,
                Err(Errno::NOBUFS) => {
                    self.stats.overruns += 1;
                    self.stale = Stale::ALL;
                    continue;
                }
                Err(error) => {
                    self.more = false;
                    return Err(error.into());
                }
            };
            if length > self.buffer.len() {
                self.stale = Stale::ALL;
                continue;
            }
            let buffer = std::mem::take(&mut self.buffer);
            let mut rest = &buffer[..length];
            while let Some(part) = next(&mut rest) {
                self.take_notice(part);
            }
            self.buffer = buffer;
        }
        Ok(())
    }

    fn take_notice(&mut self, part: &[u8]) {
        use RouteNetlinkMessage as M;
        self.stats.notices += 1;
        match decode(part) {
            Some((_, NetlinkPayload::InnerMessage(M::NewLink(_) | M::DelLink(_)))) => self.stale = Stale::ALL,
            Some((_, NetlinkPayload::InnerMessage(M::NewAddress(_) | M::DelAddress(_)))) => {
                self.stale = Stale { links: true, routes: true, ..self.stale };
            }
            Some((_, NetlinkPayload::InnerMessage(M::NewRoute(_) | M::DelRoute(_)))) => self.stale.routes = true,
            Some((_, NetlinkPayload::InnerMessage(M::NewNeighbour(m)))) => {
                if let Some(row) = message::neighbour(&m) {
                    self.changed |= self.neighbours.insert((row.interface, row.address), row) != Some(row);
                }
            }
            Some((_, NetlinkPayload::InnerMessage(M::DelNeighbour(m)))) => {
                if let Some(row) = message::neighbour(&m) {
                    self.changed |= self.neighbours.remove(&(row.interface, row.address)).is_some();
                }
            }
            Some(_) => {}
            None => {
                self.stats.not_understood += 1;
                self.stale = Stale::ALL;
            }
        }
    }

    /// Reads the stale tables. A table that changed while it was read, or could not be read, stays stale.
    fn read(&mut self, now: Instant) -> Result<(), NetlinkError> {
        self.next_reading = now + READING_INTERVAL;
        let mut wanted = KernelView::clone(&self.view);
        let mut still = Stale::default();
        if self.stale.links {
            let (links, addresses) = (self.dump.links()?, self.dump.addresses()?);
            still.links = !(links.whole && addresses.whole);
            wanted.interfaces = join(links.rows, addresses.rows);
        }
        if self.stale.routes {
            let routes = self.dump.routes()?;
            still.routes = !routes.whole;
            wanted.routes = routes.rows;
        }
        if self.stale.neighbours {
            let neighbours = self.dump.neighbours()?;
            still.neighbours = !neighbours.whole;
            self.neighbours = neighbours.rows.into_iter().map(|row| ((row.interface, row.address), row)).collect();
        }
        self.stats.readings += 1;
        self.stale = still;
        self.changed = false;
        self.publish(wanted);
        Ok(())
    }

    fn publish(&mut self, mut wanted: KernelView) {
        wanted.neighbours = self.neighbours.values().copied().collect();
        if !wanted.same_content(&self.view) {
            wanted.generation = self.view.generation + 1;
            self.view = Arc::new(wanted);
        }
    }
}

impl Source for Follower {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        SourceFd(&self.notices.as_raw_fd()).register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        SourceFd(&self.notices.as_raw_fd()).reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        SourceFd(&self.notices.as_raw_fd()).deregister(registry)
    }
}

/// Links by index, each with its addresses in the kernel's order.
fn join(mut links: Vec<KernelInterface>, addresses: Vec<(u32, KernelAddress)>) -> Vec<KernelInterface> {
    links.sort_by_key(|link| link.index);
    for (index, address) in addresses {
        if let Ok(position) = links.binary_search_by_key(&index, |link| link.index) {
            links[position].addresses.push(address);
        }
    }
    links
}

/// A socket that hears of every change, and never blocks.
fn subscribe() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    // The larger buffer needs CAP_NET_ADMIN; without it the system's limit holds, and overruns are handled anyway.
    if sockopt::set_socket_recv_buffer_size_force(&socket, NOTICE_BUFFER_BYTES).is_err() {
        sockopt::set_socket_recv_buffer_size(&socket, NOTICE_BUFFER_BYTES)?;
    }
    socket.set_non_blocking(true)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    for group in GROUPS {
        socket.add_membership(group)?;
    }
    Ok(socket)
}
