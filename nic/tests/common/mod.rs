//! Two network namespaces joined by veth pairs, made for one test and removed with it.
//!
//! Nothing here touches the namespace of the caller: a closure given to [`Lab::a`] or [`Lab::b`] runs on a thread of
//! its own that has entered the namespace. Descriptors opened there stay in it and may be used anywhere.
#![allow(dead_code, unreachable_pub)] // a module of several test programs, each of which uses its part
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test stops where its world is not as it should be

pub mod bench;

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use xmit_nic::{Duration, Instant, MacAddr};
use xmit_shared::clock::monotonic;

/// The longest that any condition is waited for.
pub const LIMIT: Duration = Duration::from_secs(10);

/// Two namespaces; `links` veth pairs `va0`-`vb0`, `va1`-`vb1` and so on between them, up, with fixed addresses.
pub struct Lab {
    a: String,
    b: String,
}

impl Lab {
    /// The namespaces and `links` veth pairs of `queues` queues each. `None`, and a line that says so, if this machine
    /// or this user cannot have them.
    pub fn new(test: &str, links: u32, queues: u32) -> Option<Self> {
        let missing = xmit_netns::why_not().or_else(|| xmit_netns::why_program_missing("sysctl"));
        if let Some(why) = missing {
            xmit_netns::report_skipped(test, &why);
            return None;
        }
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let id = format!("xt{}x{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let lab = Self { a: format!("{id}a"), b: format!("{id}b") };
        // Where namespaces can be made, a lab that cannot be built is a failure and no reason to skip.
        let built = lab.build(links, queues);
        assert_eq!(built, Ok(()), "{test}");
        Some(lab)
    }

    fn build(&self, links: u32, queues: u32) -> Result<(), String> {
        run("ip", &["netns", "add", &self.a])?;
        run("ip", &["netns", "add", &self.b])?;
        for n in 0..links {
            let (va, vb) = (format!("va{n}"), format!("vb{n}"));
            let q = queues.to_string();
            let words = format!(
                "-n {} link add {va} address {} numrxqueues {q} numtxqueues {q} type veth \
                 peer {vb} address {} numrxqueues {q} numtxqueues {q} netns {}",
                self.a,
                mac_a(n),
                mac_b(n),
                self.b
            );
            run("ip", &words.split_whitespace().collect::<Vec<_>>())?;
            for (ns, dev, host) in [(&self.a, &va, 1), (&self.b, &vb, 2)] {
                // Without IPv6 nobody sends unasked.
                run("ip", &["netns", "exec", ns, "sysctl", "-qw", &format!("net.ipv6.conf.{dev}.disable_ipv6=1")])?;
                // A veth leaves transport checksums unfinished otherwise.
                run("ip", &["netns", "exec", ns, "ethtool", "-K", dev, "tx", "off"])?;
                run("ip", &["-n", ns, "addr", "add", &format!("10.77.{n}.{host}/24"), "dev", dev])?;
                run("ip", &["-n", ns, "link", "set", dev, "up"])?;
            }
        }
        Ok(())
    }

    /// Runs `f` in namespace A.
    pub fn a<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        inside(&self.a, f)
    }

    /// Runs `f` in namespace B.
    pub fn b<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        inside(&self.b, f)
    }

    /// The name of namespace B.
    pub fn b_name(&self) -> &str {
        &self.b
    }

    /// `ip WORDS` in namespace B.
    pub fn ip_b(&self, words: &str) -> String {
        let output = command("ip", &[&["-n", &self.b], &words.split_whitespace().collect::<Vec<_>>()[..]].concat());
        let output = output.expect("ip runs");
        assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// `ethtool WORDS` in namespace B.
    pub fn ethtool_b(&self, words: &str) {
        let words = format!("netns exec {} ethtool {words}", self.b);
        run("ip", &words.split_whitespace().collect::<Vec<_>>()).expect("ethtool succeeds");
    }

    /// True if an XDP program sits on `dev` of namespace B.
    pub fn has_xdp_b(&self, dev: &str) -> bool {
        self.ip_b(&format!("-d link show dev {dev}")).contains("xdp")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for ns in [&self.a, &self.b] {
            let _ = command("ip", &["netns", "del", ns]);
        }
    }
}

/// The station address of `va<n>`.
pub fn mac_a(n: u32) -> MacAddr {
    MacAddr([2, 0, 0, 0, n as u8, 1])
}

/// The station address of `vb<n>`.
pub fn mac_b(n: u32) -> MacAddr {
    MacAddr([2, 0, 0, 0, n as u8, 2])
}

fn inside<T: Send>(ns: &str, f: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            enter(ns);
            f()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Moves the calling thread into the namespace `ns`.
pub fn enter(ns: &str) {
    let file = std::fs::File::open(format!("/run/netns/{ns}")).expect("the namespace exists");
    // SAFETY: setns reads a descriptor and moves only the calling thread.
    assert_eq!(unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) }, 0, "{}", io::Error::last_os_error());
}

fn command(program: &str, words: &[&str]) -> Result<Output, String> {
    Command::new(program).args(words).output().map_err(|e| format!("cannot run {program}: {e}"))
}

fn run(program: &str, words: &[&str]) -> Result<(), String> {
    let output = command(program, words)?;
    let text = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("`{program} {}`: {}", words.join(" "), text.trim())) }
}

/// A kernel packet socket: every frame of one interface, both ways.
pub struct PacketSocket(OwnedFd);

impl PacketSocket {
    /// On `dev` of the calling thread's namespace.
    pub fn open(dev: &str) -> Self {
        // SAFETY: socket() takes no memory; the result is checked and owned by nobody else.
        let fd = unsafe {
            let fd = libc::socket(
                libc::AF_PACKET,
                libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC,
                i32::from((libc::ETH_P_ALL as u16).to_be()),
            );
            assert!(fd >= 0, "{}", io::Error::last_os_error());
            OwnedFd::from_raw_fd(fd)
        };
        // SAFETY: all zeros is a valid sockaddr_ll.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = rustix::net::netdevice::name_to_index(&fd, dev).expect("the interface exists") as i32;
        // SAFETY: bind reads `size_of::<sockaddr_ll>()` bytes of `address`.
        let bound = unsafe {
            let len = size_of::<libc::sockaddr_ll>() as u32;
            libc::bind(fd.as_raw_fd(), std::ptr::from_ref(&address).cast(), len)
        };
        assert_eq!(bound, 0, "{}", io::Error::last_os_error());
        Self(fd)
    }

    pub fn send(&self, frame: &[u8]) {
        let sent = rustix::net::send(&self.0, frame, rustix::net::SendFlags::empty());
        assert_eq!(sent.expect("the packet socket sends"), frame.len());
    }

    /// Frames that came in (not those sent from here) until `count` of them satisfy `wanted`.
    pub fn receive(&self, count: usize, wanted: impl Fn(&[u8]) -> bool) -> Vec<Vec<u8>> {
        let limit = monotonic() + LIMIT;
        let mut frames = Vec::new();
        while frames.len() < count {
            let mut buf = [0; 4096];
            match rustix::net::recv(&self.0, &mut buf[..], rustix::net::RecvFlags::empty()) {
                Ok((len, _)) if wanted(&buf[..len]) => frames.push(buf[..len].to_vec()),
                Ok(_) => (),
                Err(_) => assert!(readable(&self.0, limit), "{} of {count} frames within {LIMIT:?}", frames.len()),
            }
        }
        frames
    }
}

/// Waits until `fd` is readable. False at `limit`.
pub fn readable(fd: &impl std::os::fd::AsFd, limit: Instant) -> bool {
    poll(&[fd.as_fd()], limit.saturating_since(monotonic()))
}

/// Waits until one of `fds` is readable. False after `timeout`.
pub fn poll(fds: &[BorrowedFd<'_>], timeout: Duration) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec};
    let mut fds: Vec<_> = fds.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
    let timeout = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: timeout.subsec_nanos().into() };
    rustix::event::poll(&mut fds, Some(&timeout)).unwrap_or(0) > 0
}

/// The bytes of an IPv4 packet in an Ethernet frame, by the fields that matter here.
#[derive(Clone)]
pub struct Udp {
    pub to_mac: MacAddr,
    pub from_mac: MacAddr,
    pub from: (Ipv4Addr, u16),
    pub to: (Ipv4Addr, u16),
    pub fragment_offset: u16,
    pub vlan: Option<u16>,
    pub payload: Vec<u8>,
}

impl Udp {
    /// From `10.77.<link>.1:4000` on `va<link>` to `to` behind `vb<link>`.
    pub fn new(link: u32, to: [u8; 4], port: u16, payload: &[u8]) -> Self {
        Self {
            to_mac: mac_b(link),
            from_mac: mac_a(link),
            from: (Ipv4Addr::new(10, 77, link as u8, 1), 4000),
            to: (to.into(), port),
            fragment_offset: 0,
            vlan: None,
            payload: payload.to_vec(),
        }
    }

    /// The frame. The UDP checksum is absent (zero), as RFC 768 allows.
    pub fn frame(&self) -> Vec<u8> {
        let mut frame = [self.to_mac.0, self.from_mac.0].concat();
        if let Some(tag) = self.vlan {
            frame.extend([0x81, 0x00]);
            frame.extend(tag.to_be_bytes());
        }
        frame.extend([0x08, 0x00]);
        let udp_len = 8 + self.payload.len() as u16;
        let mut ip = vec![0x45, 0];
        ip.extend((20 + udp_len).to_be_bytes());
        ip.extend([0, 1]);
        ip.extend((self.fragment_offset / 8).to_be_bytes());
        ip.extend([64, 17, 0, 0]);
        ip.extend(self.from.0.octets());
        ip.extend(self.to.0.octets());
        let sum: u32 = ip.chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(w[1])).sum();
        let sum = (sum & 0xffff) + (sum >> 16);
        let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        frame.extend(ip);
        frame.extend(self.from.1.to_be_bytes());
        frame.extend(self.to.1.to_be_bytes());
        frame.extend(udp_len.to_be_bytes());
        frame.extend([0, 0]);
        frame.extend(&self.payload);
        frame
    }
}

/// An ARP request on link `n` from `va<n>` for `target`.
pub fn arp_request(n: u32, target: [u8; 4]) -> Vec<u8> {
    let mut frame = [[0xff; 6], mac_a(n).0].concat();
    frame.extend([0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1]);
    frame.extend(mac_a(n).0);
    frame.extend([10, 77, n as u8, 1]);
    frame.extend([0; 6]);
    frame.extend(target);
    frame
}
