//! The steering program on one interface: which frames go to the daemon.
//!
//! Owns the loaded program, its maps and the [`Link`]; dropping it detaches, and so does the death of the process.
//! The rules themselves stand in `bpf/steer.bpf.c`. Called by the control side; changes take effect with the next
//! frame, without the lanes noticing.

use super::error::{XdpError, chain};
use super::interface::Interface;
use super::link::Link;
use aya::Ebpf;
use aya::maps::{HashMap, Map, MapData, MapError, PerCpuArray, XskMap};
use aya::programs::{ProgramError, Xdp};
use std::fmt;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd};

/// Built from `bpf/steer.bpf.c` by `build.rs`.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/steer.bpf.o"));

/// How the program runs on the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XdpMode {
    /// In the driver, before an skb is made.
    Native,
    /// In the network core, after an skb was made: slower, works everywhere.
    Generic,
}

impl XdpMode {
    /// `native` or `generic`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
        }
    }
}

/// Which mode the operator allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ModeWish {
    /// Native, else generic.
    #[default]
    Auto,
    /// Native or an error.
    Native,
    /// Generic or an error.
    Generic,
}

/// A transport protocol whose ports can be steered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Protocol {
    /// RFC 9293.
    Tcp = 6,
    /// RFC 768.
    Udp = 17,
}

/// What the program did with frames since it was attached, on all processors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SteeringCounters {
    /// Given to a socket of the daemon.
    pub redirected: u64,
    /// Left to the kernel, by rule or because the queue has no socket.
    pub passed: u64,
    /// Too short or not IPv4 where IPv4 was announced; left to the kernel as well.
    pub malformed: u64,
}

/// The steering program, attached to one interface.
pub struct Steering {
    link: Option<Link>,
    interface: Interface,
    mode: XdpMode,
    sockets: XskMap<MapData>,
    addresses: HashMap<MapData, [u8; 4], u32>,
    ports: HashMap<MapData, [u8; 8], u32>,
    counters: PerCpuArray<MapData, u64>,
}

impl Steering {
    /// Loads the program and attaches it to `interface` of the calling thread's network namespace. It passes every
    /// frame to the kernel until a socket is registered and an address or a port is added.
    ///
    /// # Errors
    /// [`XdpError::NoSuchInterface`], [`XdpError::NoPermission`], [`XdpError::OtherProgram`],
    /// [`XdpError::ModeRefused`], [`XdpError::NoBpfLink`], [`XdpError::Program`].
    pub fn attach(interface: &str, wish: ModeWish) -> Result<Self, XdpError> {
        let interface = Interface::find(interface)?;
        let mut ebpf = Ebpf::load(OBJECT).map_err(|e| load_error(&e))?;
        let program: &mut Xdp = ebpf
            .program_mut("steer")
            .ok_or_else(|| XdpError::Program("has no function `steer`".to_owned()))?
            .try_into()
            .map_err(|e: ProgramError| load_error(&e))?;
        program.load().map_err(|e| load_error(&e))?;
        let fd = program.fd().map_err(|e| load_error(&e))?.as_fd();
        let (link, mode) = attach_wished(fd, &interface, wish)?;
        Ok(Self {
            link: Some(link),
            interface,
            mode,
            sockets: take_map(&mut ebpf, "sockets")?,
            addresses: take_map(&mut ebpf, "addresses")?,
            ports: take_map(&mut ebpf, "ports")?,
            counters: take_map(&mut ebpf, "counters")?,
        })
    }

    /// Sends everything for `address` to the daemon: IPv4 to it, fragments included, and ARP that asks for it or
    /// answers it. A broadcast or group address may be added too.
    ///
    /// # Errors
    /// [`XdpError::MapFull`] beyond 4,096 addresses.
    pub fn add_address(&mut self, address: Ipv4Addr) -> Result<(), XdpError> {
        self.addresses.insert(address.octets(), 1, 0).map_err(|e| XdpError::map("addresses", &e))
    }

    /// Leaves `address` to the kernel again. True if it was steered.
    ///
    /// # Errors
    /// [`XdpError::Program`] if the kernel refuses.
    pub fn remove_address(&mut self, address: Ipv4Addr) -> Result<bool, XdpError> {
        removed(self.addresses.remove(&address.octets()), "addresses")
    }

    /// Sends `protocol` to `port` of `address`, or of every address, to the daemon, unless it was broadcast or
    /// multicast or is a later fragment. `None` also takes what merely passes through a router.
    ///
    /// # Errors
    /// [`XdpError::MapFull`] beyond 65,536 ports.
    pub fn open_port(&mut self, address: Option<Ipv4Addr>, protocol: Protocol, port: u16) -> Result<(), XdpError> {
        let key = port_key(address, protocol, port);
        self.ports.insert(key, 1, 0).map_err(|e| XdpError::map("ports", &e))
    }

    /// Leaves the port to the kernel again. True if it was steered.
    ///
    /// # Errors
    /// [`XdpError::Program`] if the kernel refuses.
    pub fn close_port(&mut self, address: Option<Ipv4Addr>, protocol: Protocol, port: u16) -> Result<bool, XdpError> {
        removed(self.ports.remove(&port_key(address, protocol, port)), "ports")
    }

    /// Makes `socket` the one for frames of queue `queue`; `XdpPort::open` calls it. The kernel forgets the socket
    /// when it closes.
    ///
    /// # Errors
    /// [`XdpError::Program`] if the kernel refuses.
    pub fn register(&mut self, queue: u32, socket: &impl AsRawFd) -> Result<(), XdpError> {
        self.sockets.set(queue, socket.as_raw_fd(), 0).map_err(|e| XdpError::map("sockets", &e))
    }

    /// What happened to frames so far.
    ///
    /// # Errors
    /// [`XdpError::Program`] if the kernel refuses.
    pub fn counters(&self) -> Result<SteeringCounters, XdpError> {
        let sum = |index| match self.counters.get(&index, 0) {
            Ok(values) => Ok(values.iter().sum()),
            Err(e) => Err(XdpError::map("counters", &e)),
        };
        // The order of `enum counter` in steer.bpf.c.
        Ok(SteeringCounters { redirected: sum(0)?, passed: sum(1)?, malformed: sum(2)? })
    }

    /// The mode obtained.
    pub fn mode(&self) -> XdpMode {
        self.mode
    }

    /// The interface, as it was when the program was attached.
    pub fn interface(&self) -> &Interface {
        &self.interface
    }

    /// True until [`Steering::detach`].
    pub fn is_attached(&self) -> bool {
        self.link.is_some()
    }

    /// Takes the program off the interface now: from here on the kernel gets everything.
    pub fn detach(&mut self) {
        self.link = None;
    }
}

impl fmt::Debug for Steering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Steering({}, {})", self.interface.name, self.mode.name())
    }
}

fn attach_wished(
    program: std::os::fd::BorrowedFd<'_>,
    interface: &Interface,
    wish: ModeWish,
) -> Result<(Link, XdpMode), XdpError> {
    let modes: &[XdpMode] = match wish {
        ModeWish::Auto => &[XdpMode::Native, XdpMode::Generic],
        ModeWish::Native => &[XdpMode::Native],
        ModeWish::Generic => &[XdpMode::Generic],
    };
    let mut refusal = None;
    for &mode in modes {
        match Link::attach(program, interface.index, mode) {
            Ok(link) => return Ok((link, mode)),
            Err(e) => refusal = Some(attach_error(interface, mode, e)?),
        }
    }
    Err(refusal.unwrap_or(XdpError::NoBpfLink { interface: interface.name.clone() }))
}

/// `Err` for what no other mode can cure, `Ok` for a refusal of this mode.
fn attach_error(interface: &Interface, mode: XdpMode, source: io::Error) -> Result<XdpError, XdpError> {
    let name = interface.name.clone();
    match source.raw_os_error() {
        // EEXIST: a program in the other mode; EBUSY: one in this mode.
        Some(libc::EBUSY | libc::EEXIST) => Err(XdpError::OtherProgram { interface: name }),
        Some(libc::EPERM | libc::EACCES) => Err(XdpError::NoPermission { doing: "attach an XDP program" }),
        Some(libc::ENODEV) => Err(XdpError::NoSuchInterface { interface: name }),
        Some(libc::ENOSYS) => Err(XdpError::NoBpfLink { interface: name }),
        // A kernel before 5.9 answers EINVAL to a link for XDP in either mode; generic mode never does otherwise.
        Some(libc::EINVAL) if mode == XdpMode::Generic => Err(XdpError::NoBpfLink { interface: name }),
        _ => Ok(XdpError::ModeRefused { interface: name, mode: mode.name(), source }),
    }
}

fn load_error(error: &(dyn std::error::Error + 'static)) -> XdpError {
    match super::error::errno(error) {
        Some(libc::EPERM | libc::EACCES) => XdpError::NoPermission { doing: "load the steering program" },
        _ => XdpError::Program(chain(error)),
    }
}

fn take_map<M: TryFrom<Map, Error = MapError>>(ebpf: &mut Ebpf, name: &'static str) -> Result<M, XdpError> {
    let map = ebpf.take_map(name).ok_or_else(|| XdpError::Program(format!("has no map `{name}`")))?;
    map.try_into().map_err(|e: MapError| XdpError::map(name, &e))
}

fn removed(answer: Result<(), MapError>, map: &'static str) -> Result<bool, XdpError> {
    match answer {
        Ok(()) => Ok(true),
        Err(MapError::KeyNotFound) => Ok(false),
        Err(MapError::SyscallError(e)) if e.io_error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(e) => Err(XdpError::map(map, &e)),
    }
}

/// `struct port_key` of steer.bpf.c, in the order of the wire.
fn port_key(address: Option<Ipv4Addr>, protocol: Protocol, port: u16) -> [u8; 8] {
    let [a, b, c, d] = address.map_or([0; 4], |address| address.octets());
    let [high, low] = port.to_be_bytes();
    [a, b, c, d, high, low, protocol as u8, 0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_key_is_laid_out_as_in_the_program() {
        assert_eq!(port_key(Some(Ipv4Addr::new(10, 0, 0, 7)), Protocol::Udp, 53), [10, 0, 0, 7, 0, 53, 17, 0]);
        assert_eq!(port_key(None, Protocol::Tcp, 0x1234), [0, 0, 0, 0, 0x12, 0x34, 6, 0]);
    }

    #[test]
    fn unknown_interface_is_named() {
        let error = Steering::attach("no-such-if", ModeWish::Auto).unwrap_err();
        assert!(error.to_string().contains("no-such-if"), "{error}");
    }
}
