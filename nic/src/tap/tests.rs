//! Against the kernel, in a network namespace that the test's thread makes and that dies with it.

use super::*;
use crate::pool::Census;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use xmit_shared::clock::monotonic;

const LIMIT: Duration = Duration::from_secs(10);
const OURS: [u8; 4] = [10, 99, 0, 2];

/// Runs `test` on a thread in a network namespace of its own; skips by name where that is not possible.
fn in_namespace(name: &'static str, test: fn()) {
    let ran = std::thread::spawn(move || {
        // SAFETY: NEWNET changes the calling thread only, which was made for this and ends after it.
        let made = unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) };
        if let Err(e) = made {
            eprintln!("SKIPPED {name}: no network namespace: {e}");
            return;
        }
        if let Err(why @ (TapError::NoDriver | TapError::Permission(_) | TapError::Ring(_))) =
            TapPort::open(&TapConfig::new("xt-probe"))
        {
            eprintln!("SKIPPED {name}: {why}");
            return;
        }
        if let Some(missing) = ["ip", "ping"].into_iter().find(|p| Command::new(p).arg("-V").output().is_err()) {
            eprintln!("SKIPPED {name}: the program `{missing}` is not installed");
            return;
        }
        test();
    });
    if let Err(panic) = ran.join() {
        std::panic::resume_unwind(panic);
    }
}

fn ip(arguments: &str) {
    let out = Command::new("ip").args(arguments.split(' ')).output().expect("iproute2 is installed");
    assert!(out.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&out.stderr));
}

fn start(command: &str) -> Child {
    let mut words = command.split(' ');
    Command::new(words.next().unwrap()).args(words).stdout(Stdio::piped()).spawn().unwrap()
}

struct Bench {
    port: TapPort,
    pool: Pool,
    received: Vec<Vec<u8>>,
}

impl Bench {
    /// A TAP that is up, 10.99.0.1 on the kernel's side, without the chatter of IPv6.
    fn new(name: &str) -> Self {
        let mut port = TapPort::open(&TapConfig { reads: 8, ..TapConfig::new(name) }).unwrap();
        ip(&format!("link set {name} addrgenmode none"));
        ip(&format!("addr add 10.99.0.1/24 dev {name}"));
        ip(&format!("link set {name} up"));
        let mut pool = Pool::anonymous(1, 32).unwrap();
        port.service(monotonic(), &mut pool);
        Self { port, pool, received: Vec::new() }
    }

    /// Turns and waits on the port's own wake-up until `done`, at most [`LIMIT`].
    fn drive_until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let start = monotonic();
        loop {
            self.turn();
            if done(self) {
                return;
            }
            let now = monotonic();
            assert!(now.saturating_since(start) < LIMIT, "{what}: not within {LIMIT:?}; {:?}", self.port.stats());
            let wakeup = self.port.sleep(now);
            if wakeup.at.is_none_or(|at| at > now) {
                // SAFETY: the descriptor belongs to the port, which lives.
                let fd = unsafe { BorrowedFd::borrow_raw(wakeup.fds[0]) };
                let tenth = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
                let _ = poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&tenth)); // EINTR is a wake-up too
            }
        }
    }

    fn turn(&mut self) {
        let (now, mut burst, mut replies) = (monotonic(), Burst::new(), Burst::new());
        self.port.rx_burst(now, &mut self.pool, &mut burst);
        for mut frame in burst.drain(..) {
            self.received.push(frame.bytes().to_vec());
            if answer(frame.bytes_mut(), self.port.caps().mac) {
                replies.push(frame);
            } else {
                self.pool.release(frame);
            }
        }
        self.port.tx_burst(now, &mut self.pool, &mut replies);
        assert!(replies.is_empty());
        self.port.service(now, &mut self.pool);
    }

    fn send(&mut self, bytes: &[u8]) {
        let mut frame = self.pool.acquire().unwrap();
        assert!(frame.fill(bytes));
        let mut burst = Burst::from_iter([frame]);
        self.port.tx_burst(monotonic(), &mut self.pool, &mut burst);
        assert!(burst.is_empty());
    }

    fn finish(mut self) {
        self.port.shutdown(&mut self.pool);
        assert_eq!(self.pool.census(), Census { free: 32, ..Census::default() }, "frames conserved");
    }
}

/// Turns an ARP request for us or a ping to us into its answer, in place.
fn answer(bytes: &mut [u8], mac: MacAddr) -> bool {
    let arp = bytes.len() >= 42 && bytes[12..14] == [8, 6] && bytes[21] == 1 && bytes[38..42] == OURS;
    let ping = bytes.len() >= 42 && bytes[12..14] == [8, 0] && bytes[23] == 1 && bytes[34] == 8;
    if !arp && !ping {
        return false;
    }
    bytes.copy_within(6..12, 0);
    bytes[6..12].copy_from_slice(&mac.0);
    if arp {
        bytes[21] = 2;
        bytes.copy_within(22..32, 32);
        bytes[22..28].copy_from_slice(&mac.0);
        bytes[28..32].copy_from_slice(&OURS);
    } else {
        let (source, target) = bytes[26..34].split_at_mut(4);
        source.swap_with_slice(target);
        bytes[34] = 0;
        // RFC 1624: the type word fell by 0x0800, so the sum rises by it, end-around.
        let sum = u32::from(u16::from_be_bytes([bytes[36], bytes[37]])) + 0x0800;
        bytes[36..38].copy_from_slice(&((sum + (sum >> 16)) as u16).to_be_bytes());
    }
    true
}

#[test]
fn the_kernel_pings_through_the_tap() {
    in_namespace("the_kernel_pings_through_the_tap", || {
        let mut bench = Bench::new("xt-ping");
        let mut ping = start("ping -n -c 20 -i 0.002 -W 5 10.99.0.2");
        bench.drive_until("ping ends", |_| ping.try_wait().unwrap().is_some());
        let out = ping.wait_with_output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
        let requests = bench.received.iter().filter(|f| f.get(23) == Some(&1) && f[12..14] == [8, 0]);
        let sequences: Vec<_> = requests.map(|f| u16::from_be_bytes([f[40], f[41]])).collect();
        assert_eq!(sequences, (1..=20).collect::<Vec<_>>(), "each request once, in order");
        bench.drive_until("replies complete", |b| b.pool.census().transmit == 0);
        assert_eq!(bench.port.stats().tx_packets, 21, "one ARP reply and twenty pings");
        bench.finish();
    });
}

#[test]
fn written_frames_arrive_at_a_packet_socket() {
    in_namespace("written_frames_arrive_at_a_packet_socket", || {
        let mut bench = Bench::new("xt-pkt");
        let socket = packet_socket();
        // 100 frames through 32 buffers and a local-experimental EtherType (IEEE 802: 88-B5).
        let sent: Vec<Vec<u8>> =
            (0..100u8).map(|n| [&[0xff; 6], &[2, 0, 0, 0, 0, 9], &[0x88, 0xb5][..], &[n; 50]].concat()).collect();
        for frame in &sent {
            bench.drive_until("a free buffer", |b| b.pool.available() > 0);
            bench.send(frame);
        }
        let mut arrived = Vec::new();
        bench.drive_until("all frames at the socket", |_| {
            let mut buf = [0; 2048];
            while let Ok((n, _)) = rustix::net::recv(&socket, &mut buf[..], rustix::net::RecvFlags::DONTWAIT) {
                arrived.extend((buf[12..14] == [0x88, 0xb5]).then(|| buf[..n].to_vec()));
            }
            arrived.len() >= sent.len()
        });
        assert_eq!(arrived, sent);
        bench.finish();
    });
}

/// Hears every frame of the namespace (packet(7)).
fn packet_socket() -> OwnedFd {
    // SAFETY: a system call without pointers.
    let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW, i32::from((libc::ETH_P_ALL as u16).to_be())) };
    assert!(fd >= 0, "{}", std::io::Error::last_os_error());
    // SAFETY: the kernel just made this descriptor for us alone.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

#[test]
fn foreign_and_overlong_frames_are_copied_and_counted() {
    in_namespace("foreign_and_overlong_frames_are_copied_and_counted", || {
        let mut bench = Bench::new("xt-foreign");
        let mut other = Pool::anonymous(2, 4).unwrap();
        let mut frame = other.acquire().unwrap();
        assert!(frame.fill(&[0xff; 60]));
        let mut long = bench.pool.acquire().unwrap();
        assert!(long.set_len(1519));
        let mut burst = Burst::from_iter([frame, long]);
        bench.port.tx_burst(monotonic(), &mut bench.pool, &mut burst);
        assert!(burst.is_empty());
        other.release(bench.pool.take_foreign().unwrap());
        assert_eq!(other.census().free, 4);
        assert_eq!(bench.port.stats().tx_dropped, 1);
        bench.drive_until("the copy is written", |b| b.port.stats().tx_packets == 1);
        bench.finish();
    });
}

#[test]
fn writes_are_bounded_and_a_down_interface_is_an_error_not_a_hang() {
    in_namespace("writes_are_bounded_and_a_down_interface_is_an_error_not_a_hang", || {
        let config = TapConfig { writes: 2, reads: 2, ..TapConfig::new("xt-down") };
        let mut port = TapPort::open(&config).unwrap();
        let mut pool = Pool::anonymous(1, 8).unwrap();
        let frame = |pool: &mut Pool| {
            let mut frame = pool.acquire().unwrap();
            assert!(frame.fill(&[0xff; 60]));
            frame
        };
        let mut burst = Burst::from_iter([frame(&mut pool), frame(&mut pool), frame(&mut pool)]);
        port.tx_burst(Instant::ZERO, &mut pool, &mut burst);
        port.tx_burst(Instant::ZERO, &mut pool, &mut burst);
        assert_eq!(burst.len(), 1, "the third stays with the caller, also when offered again");
        port.service(Instant::ZERO, &mut pool);
        assert!(!port.carrier());
        burst.drain(..).for_each(|f| pool.release(f));
        port.shutdown(&mut pool);
        assert_eq!((port.stats().tx_errors, port.stats().tx_packets), (2, 0));
        assert_eq!(pool.census().free, 8);
    });
}

#[test]
fn reads_of_a_thread_that_ended_are_posted_again() {
    in_namespace("reads_of_a_thread_that_ended_are_posted_again", || {
        // The kernel cancels what a thread had in flight when it ends; a port may move to another lane.
        let bench = std::thread::spawn(|| Bench::new("xt-move")).join();
        // The namespace of that thread is its creator's, so the interface is here.
        let mut bench = bench.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let mut ping = start("ping -n -c 10 -i 0.002 -W 5 10.99.0.2");
        bench.drive_until("ping ends", |_| ping.try_wait().unwrap().is_some());
        assert!(ping.wait().unwrap().success());
        assert_eq!(bench.port.stats().rx_errors, 0);
        bench.finish();
    });
}

#[test]
fn errors_name_the_cure() {
    in_namespace("errors_name_the_cure", || {
        let text = |name: &str| TapPort::open(&TapConfig::new(name)).unwrap_err().to_string();
        assert!(text("a/b").contains("use 1 to 15 bytes"));
        assert!(text("lo").contains("is no TAP"), "{}", text("lo"));
        let _open = TapPort::open(&TapConfig::new("xt-twice")).unwrap();
        assert!(text("xt-twice").contains("in use by another program"), "{}", text("xt-twice"));
        let deep = TapConfig { reads: 0, ..TapConfig::new("xt-deep") };
        assert!(TapPort::open(&deep).unwrap_err().to_string().contains("between 1 and 1,024"));
    });
}
