//! The XDP programs of the daemon's NICs: which addresses and ports come to it.

use crate::network::{Network, NetworkInterface};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use tracing::warn;
use xmit_nic::xdp::{Protocol, Steering, SteeringCounters, XdpError};
use xmit_shared::session::Transport;

/// What a program sends to the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Entry {
    /// Every packet to an address of our own.
    Address(Ipv4Addr),
    /// A port of an address that the kernel has too.
    Port(Protocol, Ipv4Addr, u16),
}

/// A bound address of a protocol.
type Bind = (Protocol, SocketAddrV4);

fn protocol(transport: Transport) -> Protocol {
    match transport {
        Transport::Udp => Protocol::Udp,
        Transport::Tcp => Protocol::Tcp,
    }
}

/// One NIC with its program.
#[derive(Debug)]
struct Steered {
    /// Place of the interface in the configuration.
    interface: u16,
    steering: Steering,
    /// The interface's addresses, and its broadcasts where they are taken too.
    addresses: BTreeSet<Ipv4Addr>,
    /// The kernel has its addresses too: only open ports are steered.
    by_ports: bool,
    /// What the program was told.
    entries: BTreeSet<Entry>,
}

impl Steered {
    /// What `bind` brings: nothing on a NIC whose addresses are ours alone. A bind to all addresses steers the port of
    /// each address that this host has, so that packets routed through it stay with the kernel.
    fn entries_of(&self, (protocol, bind): Bind) -> impl Iterator<Item = Entry> + '_ {
        let ours = self.addresses.iter().filter(move |a| bind.ip().is_unspecified() || *a == bind.ip());
        ours.filter(|_| self.by_ports).map(move |address| Entry::Port(protocol, *address, bind.port()))
    }

    fn wanted(&self, binds: &BTreeMap<Bind, u32>) -> BTreeSet<Entry> {
        if self.by_ports {
            binds.keys().flat_map(|bind| self.entries_of(*bind)).collect()
        } else {
            self.addresses.iter().copied().map(Entry::Address).collect()
        }
    }

    /// Steers `wanted` and nothing else. What a program refused is not noted as steered.
    fn steer_only(&mut self, wanted: &BTreeSet<Entry>) -> Result<(), XdpError> {
        let gone: Vec<_> = self.entries.difference(wanted).copied().collect();
        let new: Vec<_> = wanted.difference(&self.entries).copied().collect();
        let removed = gone.into_iter().map(|entry| self.remove(entry)).fold(Ok(()), Result::and);
        new.into_iter().map(|entry| self.add(entry)).fold(removed, Result::and)
    }

    fn add(&mut self, entry: Entry) -> Result<(), XdpError> {
        if self.entries.contains(&entry) {
            return Ok(());
        }
        match entry {
            Entry::Address(address) => self.steering.add_address(address)?,
            Entry::Port(protocol, address, port) => self.steering.open_port(Some(address), protocol, port)?,
        }
        self.entries.insert(entry);
        Ok(())
    }

    fn remove(&mut self, entry: Entry) -> Result<(), XdpError> {
        if !self.entries.contains(&entry) {
            return Ok(());
        }
        match entry {
            Entry::Address(address) => self.steering.remove_address(address)?,
            Entry::Port(protocol, address, port) => self.steering.close_port(Some(address), protocol, port)?,
        };
        self.entries.remove(&entry);
        Ok(())
    }
}

/// All NICs with a program.
#[derive(Debug, Default)]
pub struct Steer {
    nics: Vec<Steered>,
    /// Bound addresses, with how many sockets have each.
    binds: BTreeMap<Bind, u32>,
}

impl Steer {
    /// Adds the program of the interface at place `interface`.
    pub fn add(&mut self, interface: u16, steering: Steering, by_ports: bool) {
        let (addresses, entries) = (BTreeSet::new(), BTreeSet::new());
        self.nics.push(Steered { interface, steering, addresses, by_ports, entries });
    }

    /// Counters of the program of `interface`.
    pub fn counters(&self, interface: u16) -> Option<SteeringCounters> {
        let nic = self.nics.iter().find(|nic| nic.interface == interface)?;
        nic.steering.counters().ok()
    }

    /// Makes what is steered follow the addresses of `network`.
    ///
    /// # Errors
    /// The first entry that a program did not take; all others are as they should be, and it is tried again.
    pub fn follow(&mut self, network: &Network) -> Result<(), XdpError> {
        let mut outcome = Ok(());
        for nic in &mut self.nics {
            nic.addresses = network.interfaces.get(usize::from(nic.interface)).map(addresses).unwrap_or_default();
            let wanted = nic.wanted(&self.binds);
            outcome = outcome.and(nic.steer_only(&wanted));
        }
        outcome
    }

    /// True if a NIC is shared with the kernel by ports.
    pub fn by_ports(&self) -> bool {
        self.nics.iter().any(|nic| nic.by_ports)
    }

    /// Steers `transport` to `address` here, on the NICs that are shared by ports.
    ///
    /// # Errors
    /// If a program has no room for it; then it is steered nowhere.
    pub fn open(&mut self, transport: Transport, address: SocketAddrV4) -> Result<(), XdpError> {
        let bind = (protocol(transport), address);
        *self.binds.entry(bind).or_insert(0) += 1;
        let opened = self.nics.iter_mut().try_for_each(|nic| {
            let entries: Vec<_> = nic.entries_of(bind).collect();
            entries.into_iter().try_for_each(|entry| nic.add(entry))
        });
        if opened.is_err() {
            self.close(transport, address);
        }
        opened
    }

    /// No longer steers `transport` to `address` here, unless another bind wants it.
    pub fn close(&mut self, transport: Transport, address: SocketAddrV4) {
        let bind = (protocol(transport), address);
        let Some(count) = self.binds.get_mut(&bind) else { return };
        *count -= 1;
        if *count > 0 {
            return;
        }
        self.binds.remove(&bind);
        let wildcard = (bind.0, SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, address.port()));
        for nic in &mut self.nics {
            // An address and all addresses may share a port (`SO_REUSEADDR`), and then share entries.
            let kept = |entry: &Entry| match *entry {
                Entry::Port(protocol, ip, port) => {
                    let exact = (protocol, SocketAddrV4::new(ip, port));
                    self.binds.contains_key(&wildcard) || self.binds.contains_key(&exact)
                }
                Entry::Address(_) => true,
            };
            let entries: Vec<_> = nic.entries_of(bind).filter(|entry| !kept(entry)).collect();
            for entry in entries {
                if let Err(error) = nic.remove(entry) {
                    warn!("{address} still comes to the daemon on {}: {error}", nic.steering.interface().name);
                }
            }
        }
    }

    /// Takes all programs off their NICs.
    pub fn detach(&mut self) {
        self.nics.iter_mut().for_each(|nic| nic.steering.detach());
    }
}

/// What is steered on a NIC: its addresses, and the broadcasts that reach them if the operator wants that.
fn addresses(interface: &NetworkInterface) -> BTreeSet<Ipv4Addr> {
    let own = interface.addresses.iter().map(|a| a.addr());
    let networks = interface.addresses.iter().filter_map(|a| a.broadcast());
    let all = networks.chain([Ipv4Addr::BROADCAST]).filter(|_| interface.broadcasts);
    own.chain(all).collect()
}
