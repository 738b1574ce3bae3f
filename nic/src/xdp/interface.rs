//! What the kernel says about an interface, asked by ioctl.
//!
//! `/sys` shows the namespace that mounted it, a socket the namespace it was made in; so every question here goes
//! through a socket made for it, in the network namespace of the calling thread. See netdevice(7) and
//! `linux/ethtool.h`. Called while ports are opened and by the doctor, never on the path of a packet.

use super::error::XdpError;
use crate::MacAddr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// One interface, as the kernel describes it at the moment of asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its index in this network namespace.
    pub index: u32,
    /// Its station address.
    pub mac: MacAddr,
    /// The largest IP datagram it takes, in bytes.
    pub mtu: u32,
    /// Receive/transmit queue pairs that are open now (`ethtool -l`).
    pub queues: u32,
    /// Administratively up.
    pub up: bool,
    /// The link is there as well.
    pub running: bool,
    /// The driver's name (`ethtool -i`), empty if it does not say.
    pub driver: String,
}

impl Interface {
    /// Looks `name` up in the network namespace of the calling thread.
    ///
    /// # Errors
    /// [`XdpError::NoSuchInterface`]; no permission or no memory for a socket.
    pub fn find(name: &str) -> Result<Self, XdpError> {
        let ask = Ask::new(name)?;
        let flags = i32::from(ask.flags()?);
        Ok(Self {
            name: name.to_owned(),
            index: ask.index()?,
            mac: ask.mac()?,
            mtu: ask.mtu()?,
            queues: ask.queues(),
            up: flags & libc::IFF_UP != 0,
            running: flags & libc::IFF_RUNNING != 0,
            driver: ask.driver().unwrap_or_default(),
        })
    }

    /// True if the sender's side leaves transport checksums to be finished by hardware that a virtual link has not:
    /// received packets then carry only the sum of the pseudo-header. `None` where the sender cannot be asked (the
    /// other end of a veth in another namespace).
    pub fn unfinished_checksums(&self) -> Option<bool> {
        match self.driver.as_str() {
            "veth" => self.veth_peer().and_then(|peer| Ask::new(&peer).ok()?.tx_checksum().ok()),
            "tun" | "bridge" | "dummy" => None,
            _ => Some(false),
        }
    }

    /// The other end of a veth, if it is in this namespace: the first of its ethtool statistics is the peer's index,
    /// which may mean another interface here, so the peer must be another veth that names us in turn.
    fn veth_peer(&self) -> Option<String> {
        let index = Ask::new(&self.name).ok()?.first_statistic()?;
        let name = rustix::net::netdevice::index_to_name(socket().ok()?, u32::try_from(index).ok()?).ok()?;
        let ask = Ask::new(&name).ok()?;
        (name != self.name && ask.driver()? == "veth" && ask.first_statistic()? == u64::from(self.index))
            .then_some(name)
    }
}

/// Names the network namespace of the calling thread, on kernels that can (5.14).
pub(super) fn namespace() -> Option<u64> {
    super::sockopt::netns_cookie(socket().ok()?.as_fd())
}

fn socket() -> io::Result<OwnedFd> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    Ok(socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?)
}

/// One interface name and a socket to ask about it.
struct Ask {
    socket: OwnedFd,
    name: String,
}

impl Ask {
    fn new(name: &str) -> Result<Self, XdpError> {
        // IFNAMSIZ counts the terminating zero.
        if name.is_empty() || name.len() >= libc::IFNAMSIZ || name.contains('\0') {
            return Err(XdpError::NoSuchInterface { interface: name.to_owned() });
        }
        let socket = socket().map_err(|e| XdpError::kernel("open a socket to ask about interfaces", e))?;
        Ok(Self { socket, name: name.to_owned() })
    }

    fn index(&self) -> Result<u32, XdpError> {
        // SAFETY: SIOCGIFINDEX filled `ifru_ifindex`; every bit pattern is an integer.
        self.request(libc::SIOCGIFINDEX as _).map(|r| unsafe { r.ifr_ifru.ifru_ifindex }.unsigned_abs())
    }

    fn mtu(&self) -> Result<u32, XdpError> {
        // SAFETY: SIOCGIFMTU filled `ifru_mtu`; every bit pattern is an integer.
        self.request(libc::SIOCGIFMTU as _).map(|r| unsafe { r.ifr_ifru.ifru_mtu }.unsigned_abs())
    }

    fn flags(&self) -> Result<i16, XdpError> {
        // SAFETY: SIOCGIFFLAGS filled `ifru_flags`; every bit pattern is an integer.
        self.request(libc::SIOCGIFFLAGS as _).map(|r| unsafe { r.ifr_ifru.ifru_flags })
    }

    fn mac(&self) -> Result<MacAddr, XdpError> {
        let request = self.request(libc::SIOCGIFHWADDR as _)?;
        // SAFETY: SIOCGIFHWADDR filled `ifru_hwaddr`; every bit pattern is a byte.
        let bytes = unsafe { request.ifr_ifru.ifru_hwaddr }.sa_data;
        let mut mac = [0; 6];
        mac.iter_mut().zip(bytes).for_each(|(to, from)| *to = from as u8);
        Ok(MacAddr(mac))
    }

    /// ETHTOOL_GCHANNELS; a driver that does not know it has one queue.
    fn queues(&self) -> u32 {
        const GCHANNELS: u32 = 0x3c;
        // struct ethtool_channels: cmd, four maxima, then rx, tx, other, combined.
        let mut words = [0u32; 9];
        words[0] = GCHANNELS;
        match self.ethtool(&mut words) {
            Ok(()) => words[8].saturating_add(words[5].min(words[6])).max(1),
            Err(_) => 1,
        }
    }

    /// ETHTOOL_GTXCSUM: does it leave transport checksums to the hardware?
    fn tx_checksum(&self) -> io::Result<bool> {
        const GTXCSUM: u32 = 0x16;
        let mut words = [GTXCSUM, 0]; // struct ethtool_value
        self.ethtool(&mut words).map(|()| words[1] != 0)
    }

    /// ETHTOOL_GDRVINFO, 196 bytes; the name is 32 bytes from offset 4.
    fn driver_info(&self) -> Option<[u32; 49]> {
        const GDRVINFO: u32 = 0x03;
        let mut words = [0u32; 49];
        words[0] = GDRVINFO;
        self.ethtool(&mut words).ok().map(|()| words)
    }

    fn driver(&self) -> Option<String> {
        let words = self.driver_info()?;
        let name = words.iter().skip(1).take(8).flat_map(|w| w.to_ne_bytes()).take_while(|b| *b != 0);
        Some(name.map(char::from).collect())
    }

    /// The first value of ETHTOOL_GSTATS, as many of which are written as the driver announces.
    fn first_statistic(&self) -> Option<u64> {
        const GSTATS: u32 = 0x1d;
        /// n_priv_flags, n_stats, testinfo_len, eedump_len and regdump_len are the last five words.
        const N_STATS: usize = 45;
        let count = self.driver_info()?[N_STATS];
        if count == 0 || count > 4096 {
            return None; // nothing to read, or an absurd announcement
        }
        // Twice the room, because the number of statistics may grow between the two questions.
        let mut words = vec![0u32; 2 + 4 * count as usize];
        (words[0], words[1]) = (GSTATS, count); // struct ethtool_stats
        self.ethtool(&mut words).ok()?;
        Some(u64::from(*words.get(2)?) | u64::from(*words.get(3)?) << 32)
    }

    /// SIOCETHTOOL: `words` is the command's structure and large enough for its answer.
    fn ethtool(&self, words: &mut [u32]) -> io::Result<()> {
        let mut request = self.blank();
        request.ifr_ifru.ifru_data = words.as_mut_ptr().cast();
        self.ioctl(libc::SIOCETHTOOL as _, &mut request)
    }

    fn request(&self, number: libc::Ioctl) -> Result<libc::ifreq, XdpError> {
        let mut request = self.blank();
        self.ioctl(number, &mut request).map_err(|e| match e.raw_os_error() {
            Some(libc::ENODEV) => XdpError::NoSuchInterface { interface: self.name.clone() },
            _ => XdpError::kernel("describe the interface", e),
        })?;
        Ok(request)
    }

    fn blank(&self) -> libc::ifreq {
        // SAFETY: `ifreq` is integers, arrays and a union of such; all zeros is a valid value.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        request.ifr_name.iter_mut().zip(self.name.bytes()).for_each(|(to, from)| *to = from as libc::c_char);
        request
    }

    fn ioctl(&self, number: libc::Ioctl, request: &mut libc::ifreq) -> io::Result<()> {
        // SAFETY: every request made here reads and writes one `ifreq`; SIOCETHTOOL also writes the buffer behind
        // `ifru_data`, which its caller sized for the command and keeps alive over the call.
        let answer = unsafe { libc::ioctl(self.socket.as_raw_fd(), number, std::ptr::from_mut(request)) };
        if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_describes_itself() {
        let lo = Interface::find("lo").unwrap();
        assert_eq!((lo.index, lo.mac, lo.queues), (1, MacAddr::ZERO, 1));
        assert!(lo.mtu >= 1500);
    }

    #[test]
    fn names_that_no_interface_has_are_refused() {
        for name in ["", "no-such-if", "a-name-longer-than-fifteen", "nul\0inside"] {
            let error = Interface::find(name).unwrap_err();
            assert!(matches!(error, XdpError::NoSuchInterface { .. }), "{name:?}: {error}");
        }
    }
}
