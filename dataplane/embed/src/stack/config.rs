//! What `xm_init` is told: `local_ip=A,prefix_len=N,gateway_ip=A,remote_ip=A,mtu=N`, and `seed=N` for runs that repeat exactly.
//!
//! There is no link layer, so there are no neighbours to ask for: whatever is not local leaves by the one way out.

use crate::errno::{Result, fail};
use std::net::Ipv4Addr;
use std::str::FromStr;
use xmit_dataplane::route::{Fib, InterfaceId, Prefix, Route, RouteKind};
use xmit_dataplane::snapshot::{InterfaceAddress, InterfaceConfig, Snapshot, StaticNeighbour};
use xmit_nic::MacAddr;

/// The configuration of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    local: Ipv4Addr,
    prefix_len: u8,
    gateway: Ipv4Addr,
    mtu: u16,
    /// Where randomness comes from; the kernel if `None`.
    pub(crate) seed: Option<u64>,
}

/// The stack's own station address. Never on a wire.
pub(super) const OUR_MAC: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 2]);
/// That of everybody else.
pub(super) const THEIR_MAC: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 1]);
/// The only interface.
pub(super) const INTERFACE: InterfaceId = InterfaceId(0);

/// The least MTU of IPv4 (RFC 791 §3.1).
const MTU_MIN: u16 = 68;

impl Default for Config {
    /// Addresses of private and documentation networks (RFC 1918, RFC 5737).
    fn default() -> Self {
        let (local, gateway) = (Ipv4Addr::new(192, 168, 0, 2), Ipv4Addr::new(192, 168, 0, 1));
        Self { local, prefix_len: 16, gateway, mtu: 1500, seed: None }
    }
}

impl Config {
    /// Reads the text; what it leaves out has a default.
    ///
    /// # Errors
    /// `EINVAL` for a word that is none of these, or a value that cannot be.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut config = Self::default();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let Some((name, value)) = word.split_once('=') else { return fail(libc::EINVAL) };
            match name.trim() {
                "local_ip" => config.local = number(value)?,
                "prefix_len" => config.prefix_len = number(value)?,
                "gateway_ip" => config.gateway = number(value)?,
                // Everybody is behind the one way out; the word is checked and needs no route of its own.
                "remote_ip" => _ = number::<Ipv4Addr>(value)?,
                "mtu" => config.mtu = number(value)?,
                "seed" => config.seed = Some(number(value)?),
                _ => return fail(libc::EINVAL),
            }
        }
        if config.prefix_len > 32 || config.mtu < MTU_MIN {
            return fail(libc::EINVAL);
        }
        Ok(config)
    }

    /// The largest datagram.
    pub(crate) fn mtu(&self) -> u16 {
        self.mtu
    }

    /// The configuration as a lane sees it.
    pub(super) fn snapshot(&self) -> Snapshot {
        let address = InterfaceAddress { address: self.local, prefix_len: self.prefix_len };
        let mut interface = InterfaceConfig::new(INTERFACE, "xm0", OUR_MAC, self.mtu);
        interface.addresses.push(address);
        let route = |prefix, kind| Route::new(prefix, kind, INTERFACE);
        let loopback = Prefix::new(Ipv4Addr::new(127, 0, 0, 0), 8).unwrap_or(Prefix::host(Ipv4Addr::LOCALHOST));
        let out = Route {
            gateway: Some(self.gateway),
            preferred_source: Some(self.local),
            ..route(Prefix::DEFAULT, RouteKind::Unicast)
        };
        let broadcast = address.broadcast().map(|ip| route(Prefix::host(ip), RouteKind::Broadcast));
        let local = [route(Prefix::host(self.local), RouteKind::Local), route(loopback, RouteKind::Local), out];
        let fib = Fib::build(local.into_iter().chain(broadcast));
        let neighbours = vec![StaticNeighbour { interface: INTERFACE, address: self.gateway, mac: THEIR_MAC }];
        Snapshot { interfaces: vec![interface], fib, neighbours }
    }
}

fn number<T: FromStr>(text: &str) -> Result<T> {
    text.trim().parse().or(fail(libc::EINVAL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_and_checked() {
        assert_eq!(Config::parse(""), Ok(Config::default()));
        let config =
            Config::parse("local_ip=10.1.2.3,prefix_len=24,gateway_ip=10.1.2.1,remote_ip=192.0.2.1,mtu=1400").unwrap();
        assert_eq!((config.local, config.prefix_len, config.mtu), (Ipv4Addr::new(10, 1, 2, 3), 24, 1400));
        assert_eq!(Config::parse(" seed=7 , mtu = 9000").unwrap().seed, Some(7));
        for bad in ["mtu", "mtu=", "mtu=67", "mtu=70000", "prefix_len=33", "local_ip=::1", "remote_ip=x", "color=red"] {
            assert_eq!(Config::parse(bad), fail(libc::EINVAL), "{bad}");
        }
    }
}
