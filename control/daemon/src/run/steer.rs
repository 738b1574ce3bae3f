//! The XDP programs of the daemon's NICs: which addresses and ports come to it.

use crate::network::{Network, NetworkInterface};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use tracing::warn;
use xmit_nic::xdp::{Protocol, Steering, SteeringCounters, XdpError};

/// One NIC with its program.
#[derive(Debug)]
pub struct Steered {
    /// Place of the interface in the configuration.
    pub interface: u16,
    /// Its program.
    pub steering: Steering,
    /// Own addresses that are steered now.
    addresses: BTreeSet<Ipv4Addr>,
    /// The kernel has its addresses too: only open ports are steered.
    by_ports: bool,
}

impl Steered {
    /// Steers `wanted` and nothing else. What a program refused is not noted as steered.
    fn steer_only(&mut self, wanted: &BTreeSet<Ipv4Addr>) -> Result<(), XdpError> {
        let mut outcome = Ok(());
        let differing: Vec<_> = self.addresses.symmetric_difference(wanted).copied().collect();
        for address in differing {
            let is_new = wanted.contains(&address);
            let changed = match is_new {
                true => self.steering.add_address(address).map(|_| ()),
                false => self.steering.remove_address(address).map(|_| ()),
            };
            match changed {
                Ok(()) if is_new => _ = self.addresses.insert(address),
                Ok(()) => _ = self.addresses.remove(&address),
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }
}

/// All NICs with a program.
#[derive(Debug, Default)]
pub struct Steer {
    nics: Vec<Steered>,
    /// Open ports, with how many binds want each.
    ports: BTreeMap<(Option<Ipv4Addr>, u16), u32>,
}

impl Steer {
    /// Adds the program of the interface at place `interface`.
    pub fn add(&mut self, interface: u16, steering: Steering, by_ports: bool) {
        self.nics.push(Steered { interface, steering, addresses: BTreeSet::new(), by_ports });
    }

    /// The NICs.
    pub fn nics(&self) -> &[Steered] {
        &self.nics
    }

    /// The program of `interface`, to open ports on.
    pub fn steering_mut(&mut self, interface: u16) -> Option<&mut Steering> {
        self.nics.iter_mut().find(|nic| nic.interface == interface).map(|nic| &mut nic.steering)
    }

    /// Counters of the program of `interface`.
    pub fn counters(&self, interface: u16) -> Option<SteeringCounters> {
        let nic = self.nics.iter().find(|nic| nic.interface == interface)?;
        nic.steering.counters().ok()
    }

    /// Makes the steered addresses those of `network`.
    ///
    /// # Errors
    /// The last address that a program did not take; all others are as they should be, and it is tried again.
    pub fn follow(&mut self, network: &Network) -> Result<(), XdpError> {
        let mut outcome = Ok(());
        for nic in &mut self.nics {
            let wanted = network.interfaces.get(usize::from(nic.interface)).map(own_addresses).unwrap_or_default();
            if let Err(error) = nic.steer_only(&wanted) {
                outcome = Err(error);
            }
        }
        outcome
    }

    /// Steers UDP to `address` here, on the NICs that are shared by ports.
    ///
    /// # Errors
    /// If a program has no room for it; then it is steered nowhere.
    pub fn open_udp(&mut self, address: SocketAddrV4) -> Result<(), XdpError> {
        let key = port_key(address);
        let count = self.ports.entry(key).or_insert(0);
        *count += 1;
        if *count > 1 {
            return Ok(());
        }
        let opened = by_ports(&mut self.nics).try_for_each(|s| s.open_port(key.0, Protocol::Udp, key.1));
        if opened.is_err() {
            self.close_udp(address);
        }
        opened
    }

    /// No longer steers UDP to `address` here, unless another bind wants it.
    pub fn close_udp(&mut self, address: SocketAddrV4) {
        let key = port_key(address);
        let Some(count) = self.ports.get_mut(&key) else { return };
        *count -= 1;
        if *count > 0 {
            return;
        }
        self.ports.remove(&key);
        for steering in by_ports(&mut self.nics) {
            if let Err(error) = steering.close_port(key.0, Protocol::Udp, key.1) {
                warn!("UDP port {} still comes to the daemon on {}: {error}", key.1, steering.interface().name);
            }
        }
    }

    /// Takes all programs off their NICs.
    pub fn detach(&mut self) {
        self.nics.iter_mut().for_each(|nic| nic.steering.detach());
    }
}

fn by_ports(nics: &mut [Steered]) -> impl Iterator<Item = &mut Steering> {
    nics.iter_mut().filter(|nic| nic.by_ports).map(|nic| &mut nic.steering)
}

fn own_addresses(interface: &NetworkInterface) -> BTreeSet<Ipv4Addr> {
    if interface.adopted { BTreeSet::new() } else { interface.addresses.iter().map(|a| a.address).collect() }
}

fn port_key(address: SocketAddrV4) -> (Option<Ipv4Addr>, u16) {
    ((!address.ip().is_unspecified()).then_some(*address.ip()), address.port())
}
