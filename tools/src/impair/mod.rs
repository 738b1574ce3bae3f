//! `xmit impair`: a wire between two interfaces that loses, delays, reorders, duplicates and corrupts frames.
//!
//! For kernels without netem, and for tests that shall run the same way twice. Each interface is a packet socket
//! ([`PacketPort`]), each direction a line of the simulated wire ([`xmit_nic::sim::Line`]): what happens to a frame is decided there, by the
//! seed and the time it came.
//!
//! ```text
//!   --a [NETNS:]DEV  ->  mtu, queue, rate, loss, corruption, duplication, delay, jitter, reordering  ->  --b [NETNS:]DEV
//!                    <-                            the same, with its own values                     <-
//! ```
//!
//! Invariants:
//! * it sleeps until a frame comes or one is due, and leaves both interfaces as they were;
//! * every frame that came is counted once: sent, or dropped by name;
//! * the counters are printed at the end, and at SIGUSR1.

pub mod args;
pub mod report;
pub mod signals;
pub mod value;

use std::io;
use std::process::ExitCode;

use xmit_nic::Port;
use xmit_nic::join::Join;
use xmit_nic::packet::{PacketError, PacketPort};
use xmit_shared::clock;

use crate::Failure;
use crate::namespace::inside;
use crate::view::print_as;
use args::{ImpairArgs, Interface};
use report::Report;
use signals::Signals;
use value::Way;

/// Buffers between the two sockets: both directions' bursts. Frames that wait for their time are copies in the lines.
const FRAMES: usize = 256;

/// The number of the pool between the sockets; there is no other.
const POOL: u16 = 1;

/// Joins the two interfaces until Ctrl-C or the end of the time given.
pub fn run(args: &ImpairArgs, json: bool) -> Result<ExitCode, Failure> {
    if args.a == args.b {
        return Err(Failure::JoinedTwice(args.a.to_string()));
    }
    let signals = Signals::catch().map_err(Failure::io("watch for signals"))?;
    let (a, b) = (open(&args.a)?, open(&args.b)?);
    let mtu = a.caps().mtu.max(b.caps().mtu);
    let seed = args.seed.map_or_else(random, Ok)?;
    let pool = PacketPort::pool_for(&[&a, &b], POOL, FRAMES).map_err(Failure::io("make buffers"))?;
    let [there, back] = [Way::There, Way::Back].map(|way| args.impairment(way, mtu));
    let mut join = Join::new(Box::new(a), Box::new(b), pool).impaired(seed, there, back);
    eprintln!("{} and {} are joined; seed {seed}", args.a, args.b);
    let show = |join: &Join| {
        let report = Report::of(join, [&args.a, &args.b], seed);
        print_as(json, &report, Report::to_string)
    };
    let outcome = carry(&mut join, args, &signals, show);
    let shown = show(&join);
    // Nothing is lent to packet sockets, so nothing can be missing.
    let _ = join.shutdown();
    outcome.and(shown).map(|()| ExitCode::SUCCESS)
}

/// Carries frames until a signal or the end of the time; `show` prints the counters.
fn carry(
    join: &mut Join,
    args: &ImpairArgs,
    signals: &Signals,
    show: impl Fn(&Join) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let end = args.seconds.map(|seconds| clock::monotonic() + seconds);
    loop {
        let now = clock::monotonic();
        let moved = join.turn(now);
        if signals.stop() || end.is_some_and(|end| now >= end) {
            return Ok(());
        }
        if signals.report() {
            show(join)?;
        }
        for (port, interface) in [(join.ports().0, &args.a), (join.ports().1, &args.b)] {
            if !port.carrier() {
                return Err(Failure::InterfaceGone(interface.to_string()));
            }
        }
        if moved == 0 {
            let limit = end.map(|end| end.saturating_since(now));
            join.wait(now, limit, &signals.fds()).map_err(Failure::io("wait for a frame"))?;
        }
    }
}

/// The interface, opened in its namespace.
fn open(interface: &Interface) -> Result<PacketPort, Failure> {
    let opened = match &interface.namespace {
        None => PacketPort::open(&interface.device),
        Some(namespace) => {
            inside(namespace, "enter the network namespace", || Ok(PacketPort::open(&interface.device)))?
        }
    };
    opened.map_err(|error| match error {
        PacketError::NoPermission(_) => Failure::NeedsRoot("xmit impair"),
        error => Failure::Interface(interface.to_string(), error),
    })
}

/// A seed for those who do not care, told so that the run can be repeated.
fn random() -> Result<u64, Failure> {
    let mut seed = [0; 4];
    rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::empty())
        .map_err(|errno| Failure::io("choose a seed")(io::Error::from(errno)))?;
    Ok(u32::from_ne_bytes(seed).into())
}
