//! The control thread: everything of the daemon that may block, in one event loop.
//!
//! Owns the configuration in force, the kernel's view, the network that follows from both, and the operator's socket.
//! What it starts and stops, and in which order, is the table [`STEPS`]; what it answers is in `answer`.
//!
//! Invariants:
//! * one thread, so that nothing here is locked;
//! * a reload happens whole or not at all;
//! * the network is made anew from configuration and kernel, never patched.

mod answer;
mod clients;
mod steps;
mod tables;

pub use steps::STEPS;

use crate::api::{Reloaded, Server};
use crate::config::{Config, Machine, reload};
use crate::lock::Lock;
use crate::log::Log;
use crate::netlink::{Follower, NetlinkError};
use crate::network::Network;
use crate::run::captures::Captures;
use crate::run::joins::Joined;
use crate::run::lanes::Lanes;
use crate::run::ports::{LaneFrames, Placed};
use crate::run::sessions::Sessions;
use crate::run::snapshot::snapshot;
use crate::run::steer::Steer;
use crate::signals::{self, Signals, Wanted};
use mio::{Events, Poll, Token};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tracing::{error, info, warn};
use xmit_dataplane::snapshot::Snapshot;
use xmit_dataplane::socket::Books;
use xmit_nic::rng::Rng;
use xmit_shared::snapshot::Publisher;
use xmit_shared::{Instant, clock};

const TOKEN_NETLINK: Token = Token(0);
const TOKEN_REPORTS: Token = Token(TOKENS_OPERATOR + crate::api::server::TOKENS);
/// Sessions come last: their tokens have no end.
const TOKENS_SESSIONS: usize = TOKEN_REPORTS.0 + 1;
const TOKENS_SIGNALS: usize = 1;
const TOKENS_OPERATOR: usize = TOKENS_SIGNALS + signals::TOKENS;

/// Events taken from the kernel in one go.
const EVENTS_PER_POLL: usize = 256;

/// The control thread's state. The optional parts are there from their step's start to its stop.
#[derive(Debug)]
pub struct Control {
    poll: Poll,
    config_file: PathBuf,
    config: Config,
    log: Log,
    /// The log filter of the command line, which goes before the configuration's.
    log_override: Option<String>,
    started: Instant,
    locks: Vec<Lock>,
    signals: Option<Signals>,
    kernel: Option<Follower>,
    operator: Option<Server>,
    network: Network,
    generation: u64,
    /// What lanes read of the network.
    snapshots: Publisher<Arc<Snapshot>>,
    /// The snapshot in force.
    snapshot: Arc<Snapshot>,
    rng: Rng,
    /// Frames and ports, between their opening and the start of the lanes that take them.
    frames: Vec<LaneFrames>,
    /// The UMEMs outlive their lanes' ports.
    umems: Vec<xmit_nic::xdp::LaneUmem>,
    ports: Vec<Placed>,
    steer: Steer,
    joins: Vec<Joined>,
    lanes: Option<Lanes>,
    books: Books,
    sessions: Option<Sessions>,
    captures: Captures,
    /// Why the daemon cannot go on: it stops, so that clients see it dead instead of waiting.
    failed: Option<String>,
    /// Time-stamp counter ticks in a second.
    cycles_per_second: u64,
}

impl Control {
    /// A control thread for `config`, which was read from `config_file`. Nothing is started yet.
    ///
    /// # Errors
    /// No descriptor left for epoll, or no randomness.
    pub fn new(
        config: Config,
        config_file: PathBuf,
        log: Log,
        log_override: Option<String>,
        now: Instant,
    ) -> io::Result<Self> {
        let lanes = config.lanes.len() as u16;
        let mut rng = Rng::new(seed()?);
        let mut books = Books::new(lanes, rng.next_u64());
        books.set_range(config.tcp.local_port_range.into());
        Ok(Self {
            poll: Poll::new()?,
            config_file,
            config,
            log,
            log_override,
            started: now,
            locks: Vec::new(),
            signals: None,
            kernel: None,
            operator: None,
            network: Network::default(),
            generation: 0,
            snapshots: Publisher::new(Arc::default()),
            snapshot: Arc::default(),
            books,
            rng,
            frames: Vec::new(),
            umems: Vec::new(),
            ports: Vec::new(),
            steer: Steer::default(),
            joins: Vec::new(),
            lanes: None,
            sessions: None,
            captures: Captures::default(),
            failed: None,
            cycles_per_second: tables::cycles_per_second(),
        })
    }

    /// Serves until a signal asks to stop.
    ///
    /// # Errors
    /// The kernel's, if it cannot wait for events.
    pub fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_PER_POLL);
        loop {
            let timeout = self.timeout(clock::monotonic());
            let timeout = self.prepare_sleep(timeout);
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                outcome => outcome?,
            }
            let now = clock::monotonic();
            for event in &events {
                if self.on_event(now, event.token()) == Some(Wanted::Stop) {
                    return Ok(());
                }
            }
            self.take_reports(now);
            if let Some(why) = self.failed.take() {
                return Err(io::Error::other(why));
            }
            self.follow_kernel(now);
        }
    }

    /// How long nothing needs doing.
    fn timeout(&self, now: Instant) -> Option<Duration> {
        let deadline = self.kernel.as_ref().and_then(Follower::next_deadline)?;
        // Rounded up to what epoll knows, so that a wait never ends just before its deadline.
        Some(deadline.saturating_since(now) + Duration::from_millis(1))
            .filter(|_| deadline > now)
            .or(Some(Duration::ZERO))
    }

    fn on_event(&mut self, now: Instant, token: Token) -> Option<Wanted> {
        if let Some(signals) = self.signals.as_mut().filter(|signals| signals.owns(token)) {
            let wanted = signals.on_event(token);
            if wanted == Some(Wanted::Reload) {
                self.reload_for_signal();
            }
            return wanted;
        }
        // Taken out while it runs, because its questions are answered from all the rest.
        if let Some(mut operator) = self.operator.take() {
            if operator.owns(token)
                && let Ok(registry) = self.poll.registry().try_clone()
                && let Err(error) = operator.on_event(now, token, &registry, &mut |request| self.answer(now, request))
            {
                warn!("the operator's socket cannot take a client: {error}");
            }
            self.operator = Some(operator);
        }
        if self.sessions.as_ref().is_some_and(|sessions| sessions.owns(token)) {
            self.on_session_event(token);
        }
        None
    }

    /// Takes changes of the kernel; a failure leaves the last view in force and is tried again with the next change.
    fn follow_kernel(&mut self, now: Instant) {
        let updated = self.kernel.as_mut().map_or(Ok(false), |kernel| kernel.update(now));
        match updated {
            Ok(true) => self.publish(),
            Ok(false) => {}
            Err(NetlinkError { doing, error }) => {
                error!("netlink: cannot {doing}: {error}; the last view stays in force")
            }
        }
    }

    /// Makes the network anew and, if it differs, puts it in force.
    fn publish(&mut self) {
        let Some(kernel) = &self.kernel else { return };
        let network = Network::join(&self.config, kernel.view());
        if network == self.network {
            return;
        }
        network.notes.iter().filter(|note| !self.network.notes.contains(note)).for_each(|note| warn!("{note}"));
        self.network = network;
        self.generation += 1;
        self.put_in_force();
        info!(
            "network {}: {} interfaces, {} routes, {} neighbours",
            self.generation,
            self.network.interfaces.len(),
            self.network.routes.len(),
            self.network.neighbours.len()
        );
    }

    /// Gives the lanes a snapshot of the network, and the XDP programs its addresses.
    fn put_in_force(&mut self) {
        self.snapshot = Arc::new(snapshot(&self.network));
        self.snapshots.publish(Arc::clone(&self.snapshot));
        if let Err(error) = self.steer.follow(&self.network) {
            error!("not every address comes to the daemon: {error}");
        }
        if let Some(lanes) = &self.lanes {
            lanes.wake_all();
        }
    }

    /// Reads the configuration again. What cannot be changed live, or is wrong, is the error, and nothing has changed.
    fn reload(&mut self) -> Result<Reloaded, String> {
        let view = self.kernel.as_ref().map(|kernel| kernel.view().clone()).unwrap_or_default();
        let links = view.interfaces.iter().map(|link| link.name.clone()).collect();
        let wanted = Config::load(&self.config_file, &Machine::here(links)).map_err(|error| error.to_string())?;
        let applied = reload::changes(&self.config, &wanted).map_err(|error| error.to_string())?;
        if self.log_override.is_none() {
            self.log.set(&wanted.daemon.log).map_err(|error| error.to_string())?;
        }
        self.config = wanted;
        self.publish();
        applied.iter().for_each(|change| info!("reload: {change}"));
        Ok(Reloaded { applied })
    }

    fn reload_for_signal(&mut self) {
        match self.reload() {
            Ok(done) if done.applied.is_empty() => info!("reload: nothing differs"),
            Ok(_) => {}
            Err(error) => error!("reload: {error}"),
        }
    }
}

/// Randomness that a peer cannot guess, for ports and hashes.
fn seed() -> io::Result<u64> {
    let mut bytes = [0; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(u64::from_ne_bytes(bytes))
}
