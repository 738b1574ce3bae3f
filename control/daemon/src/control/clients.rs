//! What clients and lanes bring to the control thread: sessions, binds, and neighbours to be resolved.

use super::{Control, TOKENS_SESSIONS};
use crate::run::sessions::SessionEvent;
use mio::Token;
use std::time::Duration;
use tracing::{debug, warn};
use xmit_dataplane::errno::ENOSPC;
use xmit_dataplane::lane::{LaneCommand, LaneReport};
use xmit_dataplane::route::InterfaceId;
use xmit_dataplane::socket::{Answer, Claim, Left, Report, Reporter, Taken};
use xmit_shared::session::{LaneEnd, Transport};
use xmit_shared::{Instant, clock};

/// The user of a program that is gone.
const NOBODY: u32 = u32::MAX;

/// While commands wait for a lane with a full mailbox, the loop looks again this often.
const OUTBOX_RETRY: Duration = Duration::from_millis(1);

/// Reports taken in one go, so that operators and signals have their turn.
const REPORTS_PER_TURN: usize = 1024;

impl Control {
    /// Announces sleep to the lanes; no sleep at all if they reported meanwhile.
    pub(super) fn prepare_sleep(&mut self, timeout: Option<Duration>) -> Option<Duration> {
        let hello = self.sessions.as_ref().and_then(|sessions| sessions.next_deadline());
        let hello = hello.map(|at| at.saturating_since(clock::monotonic()) + OUTBOX_RETRY);
        let timeout = [timeout, hello].into_iter().flatten().min();
        let Some(lanes) = &mut self.lanes else { return timeout };
        let waiting = lanes.flush();
        lanes.reports.sleeper().prepare();
        if lanes.reports.has_mail() {
            return Some(Duration::ZERO);
        }
        if waiting { Some(timeout.map_or(OUTBOX_RETRY, |t| t.min(OUTBOX_RETRY))) } else { timeout }
    }

    /// Acts on what lanes reported. Bounded by [`REPORTS_PER_TURN`].
    pub(super) fn take_reports(&mut self, now: Instant) {
        if let Some(lanes) = &self.lanes {
            lanes.reports.sleeper().awake();
        }
        if let Some(sessions) = &mut self.sessions {
            sessions.expire(now, self.poll.registry());
        }
        for _ in 0..REPORTS_PER_TURN {
            let Some((lane, report)) = self.lanes.as_mut().and_then(|lanes| lanes.reports.take()) else { break };
            self.on_report(now, lane, report);
        }
    }

    fn on_report(&mut self, _now: Instant, lane: u16, report: LaneReport) {
        match report {
            LaneReport::Session(Report::Broken { session, what }) => {
                warn!("session {session} wrote rubbish into its region and is ended: {what}");
                self.end(session);
            }
            LaneReport::Session(report) => self.settle(lane, &report),
            LaneReport::Ended => self.failed = Some(format!("lane {lane} ended by a panic; its message stands above")),
            LaneReport::Refused { session } => {
                warn!("lane {lane} has no place for session {session}, which is ended: lower [client] sessions_max");
                self.end(session);
            }
            LaneReport::Claimed { claim, free } => self.on_claimed(&claim, free),
            LaneReport::Detached { session } => debug!("lane {lane} has released session {session}"),
            LaneReport::Heard { interface, address, mac } => {
                if let Some(lanes) = &self.lanes {
                    lanes.hint_others(lane.into(), || LaneCommand::Heard { interface, address, mac });
                }
            }
            LaneReport::Resolve { interface, address } => self.resolve(interface, address),
        }
    }

    /// The listener or one client stirred.
    pub(super) fn on_session_event(&mut self, token: Token) {
        debug_assert!(token.0 >= TOKENS_SESSIONS);
        let Some(sessions) = &mut self.sessions else { return };
        for event in sessions.on_event(token, self.poll.registry(), &self.config) {
            match event {
                SessionEvent::Opened { session, ends } => self.attach(session, ends),
                SessionEvent::Closed { session } => self.detach(session),
            }
        }
    }

    fn attach(&mut self, session: u32, ends: Vec<LaneEnd>) {
        let rate = self.config.client.packets_per_second;
        let Some(lanes) = &mut self.lanes else { return };
        for (lane, end) in ends.into_iter().enumerate() {
            lanes.tell(lane, LaneCommand::Attach { session, end: Box::new(end), rate });
        }
    }

    /// The daemon ends a session: its client sees the connection close.
    fn end(&mut self, session: u32) {
        if let Some(sessions) = &mut self.sessions {
            sessions.end(session, self.poll.registry());
        }
        self.detach(session);
    }

    /// Everything that a session had is released: on the lanes, in the book of binds, in the XDP programs.
    fn detach(&mut self, session: u32) {
        if let Some(lanes) = &mut self.lanes {
            lanes.tell_all(|_| LaneCommand::Detach { session });
        }
        let settled = self.books.release_session(session);
        settled.closed.into_iter().for_each(|taken| self.forget(taken));
    }

    /// Settles what a socket wants or gives back: the book first, then the XDP programs, then the other lanes.
    fn settle(&mut self, lane: u16, report: &Report) {
        let client = report.session().map(|session| self.sessions.as_ref().and_then(|all| all.client(session)));
        let uid = client.flatten().map_or(NOBODY, |client| client.uid);
        // The session ended while its lane asked: nobody is left to have the address.
        if let (Some(None), Some((session, slot))) = (client, report.asks()) {
            return self.tell_bound(lane, Answer { session, slot, result: Err(libc::ENETDOWN) });
        }
        let who = Reporter { lane, uid, privileged: uid == 0 };
        let settled = self.books.settle(&self.snapshot, who, report);
        settled.closed.into_iter().for_each(|taken| self.forget(taken));
        let Some(mut answer) = settled.answer else { return };
        if let Some(taken) = settled.opened {
            match self.steer.open(taken.protocol, taken.address) {
                Ok(()) => self.tell_others(taken),
                Err(error) => {
                    warn!("{} cannot be steered here: {error}", taken.address);
                    self.books.of(taken.protocol).release(answer.session, answer.slot, taken.address, Left::Nothing);
                    answer.result = Err(ENOSPC);
                }
            }
        }
        match settled.claim.filter(|_| answer.result.is_ok()) {
            // It learns of the bind first, so it chooses the port no more while it looks.
            Some((owner, claim)) => self.tell(owner, LaneCommand::Claim(claim)),
            None => self.tell_bound(lane, answer),
        }
    }

    /// The lane whose ephemeral port a socket of another lane has bound says whether it may keep it.
    fn on_claimed(&mut self, claim: &Claim, free: bool) {
        let Claim { session, slot, lane, address, .. } = *claim;
        let result = if free { Ok(address) } else { Err(libc::EADDRINUSE) };
        let freed =
            if free { None } else { self.books.of(Transport::Tcp).release(session, slot, address, Left::Nothing) };
        if freed.is_some() {
            self.forget(Taken { protocol: Transport::Tcp, address, lane });
        }
        self.tell_bound(lane, Answer { session, slot, result });
    }

    fn tell(&mut self, lane: u16, command: LaneCommand) {
        if let Some(lanes) = &mut self.lanes {
            lanes.tell(lane.into(), command);
        }
    }

    fn tell_bound(&mut self, lane: u16, Answer { session, slot, result }: Answer) {
        self.tell(lane, LaneCommand::Bound { session, slot, result });
    }

    fn forget(&mut self, taken: Taken) {
        self.steer.close(taken.protocol, taken.address);
        self.tell_others(taken);
    }

    /// Tells every lane but the one that it happened on where `taken`'s address is now.
    fn tell_others(&mut self, Taken { protocol, address, .. }: Taken) {
        let Some(lanes) = &mut self.lanes else { return };
        if lanes.len() < 2 {
            return;
        }
        let book = self.books.of(protocol);
        lanes.tell_all(|lane| LaneCommand::Elsewhere { protocol, address, lane: book.lane_for(address, lane as u16) });
    }

    /// Where packets are steered by ports, a port must be opened before its first SYN leaves.
    pub(super) fn tell_lanes_of_steering(&mut self) {
        let ask = self.steer.by_ports();
        if let Some(lanes) = &mut self.lanes {
            lanes.tell_all(|_| LaneCommand::AskForPorts(ask));
        }
    }

    fn resolve(&mut self, interface: InterfaceId, address: std::net::Ipv4Addr) {
        let place = usize::from(interface.0);
        let index = self.network.interfaces.get(place).and_then(|i| i.kernel_index);
        let (Some(index), Some(kernel)) = (index, &mut self.kernel) else { return };
        if let Err(error) = kernel.resolve(index, address) {
            warn!("the kernel was not asked for the neighbour {address}: {error}");
        }
    }
}

/// Ticks of the time-stamp counter in a second, measured over a hundredth of one.
pub(super) fn measure_cycles_per_second() -> u64 {
    const SPAN: Duration = Duration::from_millis(10);
    let (from, at) = (clock::cycles(), clock::monotonic());
    while clock::monotonic().saturating_since(at) < SPAN {
        std::hint::spin_loop();
    }
    let elapsed = clock::monotonic().saturating_since(at).as_nanos().max(1) as u64;
    ((clock::cycles() - from) as u128 * 1_000_000_000 / u128::from(elapsed)) as u64
}
