//! Two hosts with sockets on one seeded wire.
//!
//! ```text
//!  a: 10.0.0.1, sockets --- wire: loss, duplication, reordering, ... --- b: 10.0.0.2, sockets
//! ```
//!
//! Invariants: the same seed and calls give the same run; time moves only in [`Pair::step`], to the next event.
//! With the variable `XMIT_PCAP` naming a directory, everything both ports see is written there as pcapng.

use crate::client::Client;
use crate::host::Host;
use crate::setup::Setup;
use crate::words::Words;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use xmit_nic::capture::{CaptureFile, CaptureInterface, CapturePort, CaptureQueue, CaptureWriter};
use xmit_nic::sim::{Direction, Impairment, Wire};
use xmit_nic::{Duration, Instant, MacAddr, Port};
use xmit_shared::session::{Op, Transport};

/// What a pair is like; the defaults are a perfect wire and hosts with 1,024 frames.
#[derive(Clone, Debug)]
pub struct PairConfig {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// What the wire does to frames, in both directions.
    pub wire: Impairment,
    /// Frames of each host.
    pub frames: usize,
    /// Each knows the other's station address for good: a wire that corrupts would corrupt ARP, which has no checksum.
    pub resolved: bool,
    /// Where to write what both ports see, as pcapng.
    pub capture: Option<PathBuf>,
}

impl PairConfig {
    /// A perfect wire; a capture if `XMIT_PCAP` names a directory.
    pub fn new(seed: u64) -> Self {
        Self { seed, wire: Impairment::NONE, frames: 1024, resolved: false, capture: capture_path(seed) }
    }
}

/// Two hosts on a wire.
pub struct Pair {
    /// 10.0.0.1.
    pub a: End,
    /// 10.0.0.2.
    pub b: End,
    /// The wire between them; its impairments may change at any time.
    pub wire: Wire,
    /// The present.
    pub now: Instant,
    /// What made everything as it is.
    pub seed: u64,
    capture: Option<CaptureWriter>,
}

/// One host of a pair and the program on it.
pub struct End {
    /// The host.
    pub host: Host,
    /// The program.
    pub client: Client,
    /// Its address.
    pub address: Ipv4Addr,
    setup: Setup,
    sockets: u32,
}

/// When pairs begin.
const START: Instant = Instant::from_millis(10_000);
/// Turns that a socket call may take.
const CALL_TURNS_MAX: usize = 8;
/// Frames that a capture holds between two steps.
const CAPTURE_RECORDS: usize = 1024;

impl Pair {
    /// Two hosts on a perfect wire.
    ///
    /// # Errors
    /// If the kernel has no memory or descriptors left, or the capture cannot be written.
    pub fn new(seed: u64) -> Result<Self, String> {
        Self::with(PairConfig::new(seed))
    }

    /// Two hosts as `config` says.
    ///
    /// # Errors
    /// As [`Pair::new`].
    pub fn with(config: PairConfig) -> Result<Self, String> {
        let wire = Wire::new(config.seed).impair(config.wire);
        let (a, b) = wire.ports().map_err(|error| error.to_string())?;
        let (mut capture, mut ports): (_, [Box<dyn Port>; 2]) = (None, [Box::new(a), Box::new(b)]);
        if let Some(path) = &config.capture {
            let (writer, seen) = captured(path, ports)?;
            (capture, ports) = (Some(writer), seen);
        }
        let [a, b] = ports;
        let mtu = config.wire.mtu;
        let macs = [a.caps().mac, b.caps().mac];
        Ok(Self {
            a: End::new(Ipv4Addr::new(10, 0, 0, 1), a, mtu, config.frames, config.seed ^ 1)?,
            b: End::new(Ipv4Addr::new(10, 0, 0, 2), b, mtu, config.frames, config.seed ^ 2)?,
            wire,
            now: START,
            seed: config.seed,
            capture,
        }
        .resolved(config.resolved.then_some(macs)))
    }

    fn resolved(mut self, macs: Option<[MacAddr; 2]>) -> Self {
        if let Some([a, b]) = macs {
            self.a.knows(self.b.address, b);
            self.b.knows(self.a.address, a);
        }
        self
    }

    /// Changes what the wire does in both directions, for frames sent from now on.
    pub fn impair(&self, impairment: Impairment) {
        self.wire.set(Direction::AToB, impairment);
        self.wire.set(Direction::BToA, impairment);
    }

    /// One turn of both hosts; if there was nothing to do, time moves to the next event, but not beyond `until`.
    /// False if `until` is reached and nothing is left to do.
    pub fn step(&mut self, until: Instant) -> bool {
        let work = self.a.host.turn(self.now) + self.b.host.turn(self.now);
        if let Some(writer) = &mut self.capture {
            // A capture that cannot go on must not change how the run ends.
            let _ = writer.turn();
        }
        if work > 0 {
            return true;
        }
        let now = self.now;
        let (a, b) = (self.a.host.next_deadline(now), self.b.host.next_deadline(now));
        let next = [a, b, self.wire.next_event()].into_iter().flatten().min();
        if now >= until && next.is_none_or(|at| at > until) {
            return false;
        }
        let next = next.unwrap_or(until).min(until);
        // An event of the past that was no work must not stop time.
        self.now = next.max(now + Duration::from_nanos(u64::from(next <= now && now < until)));
        now < until
    }

    /// Steps until `done` holds. False if it does not within `limit`.
    pub fn drive_until(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let until = self.now + limit;
        loop {
            if done(self) {
                return true;
            }
            if !self.step(until) {
                return done(self);
            }
        }
    }

    /// Lets `time` pass.
    pub fn drive_for(&mut self, time: Duration) {
        self.drive_until(time, |_| false);
    }

    /// Opens a socket on each host, bound to `port` of its address.
    ///
    /// # Errors
    /// If a call fails.
    pub fn sockets(&mut self, port: u16) -> Result<(u32, u32), String> {
        Ok((self.a.socket(self.now, port)?, self.b.socket(self.now, port)?))
    }

    /// Ends both hosts; answers how many frames each lost, which must be none.
    ///
    /// # Errors
    /// If the capture could not be written.
    pub fn finish(self) -> Result<[usize; 2], String> {
        let lost = [self.a.host, self.b.host].map(|host| {
            let (free, total) = host.shutdown();
            total - free
        });
        match self.capture {
            Some(writer) => writer.finish().map(|_| lost).map_err(|error| error.to_string()),
            None => Ok(lost),
        }
    }
}

impl End {
    /// A host with `address`/24 on `port`, and a program connected to it.
    ///
    /// # Errors
    /// If the kernel has no memory or descriptors left.
    pub fn new(address: Ipv4Addr, port: Box<dyn Port>, mtu: u16, frames: usize, seed: u64) -> Result<Self, String> {
        let mut setup = Setup::default();
        setup.interface(&mut Words::split(&format!("eth0 {address}/24 mac {} mtu {mtu}", port.caps().mac))?)?;
        let mut host = Host::new(setup.snapshot(), frames, START, seed).map_err(|error| error.to_string())?;
        host.add_port(port, setup.queue());
        let client = host.attach()?;
        host.turn(START);
        Ok(Self { host, client, address, setup, sockets: 0 })
    }

    /// The control thread tells the station address of a neighbour.
    fn knows(&mut self, address: Ipv4Addr, mac: MacAddr) {
        self.setup.neighbour(address, mac);
        self.host.publish(self.setup.snapshot());
    }

    /// Opens a socket on `port` of this host's address; answers its slot.
    ///
    /// # Errors
    /// If a call fails.
    pub fn socket(&mut self, now: Instant, port: u16) -> Result<u32, String> {
        let slot = self.sockets;
        self.sockets += 1;
        self.call(now, slot, Op::Open(Transport::Udp))?;
        self.client.opened(slot);
        self.call(now, slot, Op::Bind(SocketAddrV4::new(self.address, port)))?;
        Ok(slot)
    }

    /// Opens a stream socket; answers its slot.
    ///
    /// # Errors
    /// If the call fails.
    pub fn stream(&mut self, now: Instant) -> Result<u32, String> {
        let slot = self.sockets;
        self.sockets += 1;
        self.call(now, slot, Op::Open(Transport::Tcp))?;
        self.client.stream_opened(slot);
        Ok(slot)
    }

    /// Opens a listener on `port` of this host's address with `grants` slots for connections; answers its slot.
    ///
    /// # Errors
    /// If a call fails.
    pub fn listen(&mut self, now: Instant, port: u16, backlog: u32, grants: u32) -> Result<u32, String> {
        let slot = self.stream(now)?;
        self.call(now, slot, Op::Bind(SocketAddrV4::new(self.address, port)))?;
        self.call(now, slot, Op::Listen(backlog))?;
        for _ in 0..grants {
            self.grant(now, slot)?;
        }
        Ok(slot)
    }

    /// Grants one more slot to `listener`.
    ///
    /// # Errors
    /// If the call fails.
    pub fn grant(&mut self, now: Instant, listener: u32) -> Result<(), String> {
        let granted = self.sockets;
        self.sockets += 1;
        self.call(now, listener, Op::Grant(granted)).map(|_| ())
    }

    /// Closes a socket. The answer comes when the peer has everything, which takes time.
    ///
    /// # Errors
    /// If the ring of calls is full.
    pub fn close(&mut self, slot: u32) -> Result<(), String> {
        self.client.submit(slot, Op::Close).map(|_| ())
    }

    /// Makes a socket call and waits for its answer; time stands still.
    ///
    /// # Errors
    /// If it fails.
    pub fn call(&mut self, now: Instant, slot: u32, op: Op) -> Result<SocketAddrV4, String> {
        let token = self.client.submit(slot, op)?;
        for _ in 0..CALL_TURNS_MAX {
            self.host.turn(now);
            match self.client.completion().map_err(|error| error.to_string())? {
                Some(answer) if answer.token == token && answer.result >= 0 => return Ok(answer.addr),
                Some(answer) if answer.token == token => return Err(format!("{op:?}: error {}", -answer.result)),
                _ => {}
            }
        }
        Err(format!("{op:?}: no answer"))
    }
}

/// Where to write what the ports see, if anybody wants it: the test's name and the seed make the file's.
fn capture_path(seed: u64) -> Option<PathBuf> {
    let directory = std::env::var_os("XMIT_PCAP")?;
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("pair").replace("::", "-");
    Some(PathBuf::from(directory).join(format!("{test}-{seed}.pcapng")))
}

fn captured(path: &std::path::Path, ports: [Box<dyn Port>; 2]) -> Result<(CaptureWriter, [Box<dyn Port>; 2]), String> {
    let describe = |name: &str, mac: MacAddr| CaptureInterface { name: name.to_owned(), mac };
    let interfaces = vec![describe("a", ports[0].caps().mac), describe("b", ports[1].caps().mac)];
    let queue = CaptureQueue::new(interfaces, CAPTURE_RECORDS, usize::from(u16::MAX));
    let taps = [queue.tap(0), queue.tap(1)];
    let file = CaptureFile::create(path).map_err(|error| error.to_string())?;
    let writer = CaptureWriter::new(queue, file, 0).map_err(|error| error.to_string())?;
    let mut taps = taps.into_iter();
    let ports = ports.map(|port| match taps.next().flatten() {
        Some(tap) => Box::new(CapturePort::new(port, tap)) as Box<dyn Port>,
        None => port,
    });
    Ok((writer, ports))
}
