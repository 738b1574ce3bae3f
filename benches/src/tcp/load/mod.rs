//! The load: one thread on kernel sockets, the same for every contender.
//!
//! One connection is driven by blocking calls, many by `epoll`, edge-triggered: each answer costs two system calls and its share of a
//! wait. Latency is what this client sees.

mod bulk;
mod connects;
mod requests;

use super::{CHARGEN_PORT, DISCARD_PORT, ECHO_PORT, Scenario, raise_descriptor_limit};
use crate::contender::ADDRESSES;
use crate::outcome::{Meter, Outcome, latencies};
use hdrhistogram::Histogram;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, Event};
use rustix::io::Errno;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use xmit_shared::clock;
use xmit_shared::time::{Duration, Instant};

/// A server that says nothing for so long is an error: longer than a busy scheduler or a lost segment's retransmission takes.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// Events of one wait at most.
const EVENTS_MAX: usize = 256;

/// What is asked of the load.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// The server's echo; its other services are asked at their ports of the same address.
    pub to: SocketAddr,
    /// What is done.
    pub scenario: Scenario,
    /// Unmeasured beginning.
    pub warm_up: Duration,
    /// What is measured.
    pub duration: Duration,
}

/// Counts and latencies of the present part of a run.
#[derive(Debug)]
struct Tally {
    count: u64,
    lost: u64,
    latency: Histogram<u64>,
}

/// One of the loads.
trait Drive {
    /// Goes on until `end`.
    fn drive(&mut self, end: Instant, tally: &mut Tally) -> io::Result<()>;
}

/// Runs the load to its end.
///
/// # Errors
/// The kernel's, or a server that ends connections or falls silent.
pub fn run(load: &Load) -> io::Result<Outcome> {
    raise_descriptor_limit();
    let count = load.scenario.connections();
    let at = |service: u16| {
        // Tests have the echo at another port, and then the service that they ask for.
        let port = if load.to.port() == ECHO_PORT { service } else { load.to.port() };
        SocketAddr::new(load.to.ip(), port)
    };
    match load.scenario {
        Scenario::Requests(1) => measure(load, &mut requests::One::connect(load.to)?),
        Scenario::Requests(_) => measure(load, &mut requests::Many::connect(load.to, count)?),
        Scenario::Connects(_) => measure(load, &mut connects::Connects::start(all(load.to), count)?),
        Scenario::In(_) => measure(load, &mut bulk::Bulk::sending(at(DISCARD_PORT), count)?),
        Scenario::Out(_) => measure(load, &mut bulk::Bulk::receiving(at(CHARGEN_PORT), count)?),
    }
}

/// The addresses of a contender, from its first on; elsewhere (in tests) the only one.
fn all(to: SocketAddr) -> Vec<SocketAddr> {
    let IpAddr::V4(first) = to.ip() else { return vec![to] };
    let count = if first.is_loopback() { 1 } else { ADDRESSES.into() };
    (0..count).map(|number| SocketAddr::from((Ipv4Addr::from(u32::from(first) + number), to.port()))).collect()
}

fn measure(load: &Load, driven: &mut impl Drive) -> io::Result<Outcome> {
    let mut tally = Tally::new()?;
    driven.drive(clock::monotonic() + load.warm_up, &mut tally)?;
    tally = Tally::new()?;
    let meter = Meter::start();
    driven.drive(meter.start + load.duration, &mut tally)?;
    Ok(meter.outcome(tally.count, tally.lost, &tally.latency))
}

impl Tally {
    fn new() -> io::Result<Self> {
        Ok(Self { count: 0, lost: 0, latency: latencies()? })
    }

    /// One answer to what was sent at `start`, now.
    fn answered(&mut self, start: Instant, now: Instant) {
        self.count += 1;
        // Beyond the histogram's range it would have been an error already.
        let _ = self.latency.record(now.saturating_since(start).as_nanos() as u64);
    }
}

/// Replaces `events` by what is ready, after at most [`SILENCE_MAX`].
fn wait(epoll: &OwnedFd, events: &mut Vec<Event>) -> io::Result<()> {
    events.clear();
    let limit = Timespec { tv_sec: SILENCE_MAX.as_secs().cast_signed(), tv_nsec: 0 };
    match epoll::wait(epoll, spare_capacity(events), Some(&limit)) {
        Ok(0) => Err(io::Error::other(format!("the server said nothing for {} s", SILENCE_MAX.as_secs()))),
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn ended() -> io::Error {
    io::Error::other("the server ended a connection that it should keep")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::server::{Service, on_kernel};

    /// A kernel server in a thread, which ends with the test program.
    fn server(service: Service) -> SocketAddr {
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            on_kernel(&[(service, ([127, 0, 0, 1], 0).into())], |bound| send.send(bound[0]).unwrap())
        });
        receive.recv().unwrap()
    }

    fn run_for(scenario: Scenario, service: Service) -> Outcome {
        let (warm_up, duration) = (Duration::from_millis(1), Duration::from_millis(30));
        run(&Load { to: server(service), scenario, warm_up, duration }).unwrap()
    }

    #[test]
    fn requests_are_answered_and_timed() {
        for count in [1, 7] {
            let outcome = run_for(Scenario::Requests(count), Service::Echo);
            assert!(outcome.count > 0 && outcome.lost == 0, "{count}: {outcome:?}");
            assert!(outcome.p50_us > 0.0 && outcome.p50_us <= outcome.p999_us, "{outcome:?}");
        }
    }

    #[test]
    fn connections_come_and_go() {
        let outcome = run_for(Scenario::Connects(4), Service::Echo);
        assert!(outcome.count > 0 && outcome.lost == 0, "{outcome:?}");
    }

    #[test]
    fn bulk_goes_both_ways() {
        for (scenario, service) in [(Scenario::In(1), Service::Discard), (Scenario::Out(2), Service::Chargen)] {
            let outcome = run_for(scenario, service);
            assert!(outcome.count > 1 << 20, "{scenario}: {outcome:?}");
        }
    }

    #[test]
    fn a_server_that_ends_connections_is_an_error() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        std::thread::spawn(move || listener.incoming().for_each(drop));
        let (warm_up, duration) = (Duration::from_millis(1), Duration::from_secs(1));
        for scenario in [Scenario::Requests(1), Scenario::Requests(2)] {
            assert!(run(&Load { to, scenario, warm_up, duration }).is_err(), "{scenario}");
        }
        let outcome = run(&Load { to, scenario: Scenario::Connects(2), warm_up, duration: Duration::from_millis(20) });
        assert!(outcome.unwrap().lost > 0);
    }
}
