//! The lane and its clock: turns at the present time until nothing more happens, and how far the clock may jump.

use super::config::{Config, INTERFACE};
use super::port::{RawIpPort, Wire};
use crate::file::ErrorQueues;
use std::fmt;
use std::io;
use std::sync::Arc;
use xmit::Pulse;
use xmit_dataplane::device::Queue;
use xmit_dataplane::lane::{Lane, Remains, Solo};
use xmit_dataplane::tcp::Settings;
use xmit_dataplane::tcp::challenge::ChallengeLimit;
use xmit_dataplane::tcp::fastopen::FastOpenKeys;
use xmit_nic::region::Region;
use xmit_nic::rng::Rng;
use xmit_nic::{Instant, Pool};
use xmit_shared::session::{ClientEnd, SessionConfig, in_process};

/// One lane, to be run by whoever holds it.
pub(crate) struct Stack {
    /// `None` while it is being taken down.
    lane: Option<Lane>,
    control: Solo,
    pulse: Arc<Pulse>,
    error_queues: Arc<ErrorQueues>,
}

/// The one session's name.
const SESSION: u32 = 1;
/// Frames of the pool. More than one program leaves in flight; memory comes as they are used.
const FRAMES: usize = 2048;
/// Bytes of a frame: any IP datagram that a program hands in fits, up to the headroom before it.
const FRAME_BYTES: u16 = 65_280;
/// Turns at one time that mean the stack will not come to rest; it goes on with the next call.
const TURNS_MAX: usize = 100_000;

/// The longest datagram that fits a frame.
pub(super) const DATAGRAM_MAX: usize = FRAME_BYTES as usize - xmit_nic::frame::FRAME_HOME as usize - 14;

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack").field("control", &self.control).finish_non_exhaustive()
    }
}

impl Stack {
    /// A stack at the present time of `pulse`, and the client's end of its one session.
    pub(super) fn new(
        config: &Config,
        pulse: Arc<Pulse>,
        wire: Wire,
        seed: u64,
        error_queues: Arc<ErrorQueues>,
    ) -> io::Result<(Self, ClientEnd)> {
        let (control, mail, reader) = Solo::new(config.snapshot(), seed)?;
        let pool = Pool::new(0, Region::anonymous(FRAMES * usize::from(FRAME_BYTES))?, FRAME_BYTES)?;
        let mut lane = Lane::new(0, pool, pulse.now(), seed, mail, reader, || 0);
        // A lane takes several ports; this one has none yet.
        let _ = lane.add_port(INTERFACE, Box::new(RawIpPort::new(wire, config.mtu())), Queue::direct());
        let (ends, client) = in_process(&SessionConfig::default()).map_err(io::Error::other)?;
        ends.into_iter().try_for_each(|end| control.attach(SESSION, end))?;
        let mut stack = Self { lane: Some(lane), control, pulse, error_queues };
        stack.run();
        Ok((stack, client))
    }

    /// Turns until there is nothing more to do now; those who wait are told if there was anything.
    pub(crate) fn run(&mut self) {
        let now = self.pulse.now();
        let Some(lane) = &mut self.lane else { return };
        for turn in 0..TURNS_MAX {
            let work = lane.turn(now).work + self.control.answer_reports();
            if work == 0 {
                if turn > 0 {
                    // Before those who sleep look at them.
                    self.error_queues.look(now);
                    self.pulse.beat();
                }
                return;
            }
        }
        self.pulse.beat();
    }

    /// When the lane needs the CPU next; a time that has passed if it does at once.
    pub(super) fn next_deadline(&mut self) -> Option<Instant> {
        let now = self.pulse.now();
        self.lane.as_mut()?.next_deadline(now)
    }

    /// Connections to come have these settings; for those that exist only what they look up each time changes, as in Linux.
    pub(super) fn set(&mut self, settings: &Settings) {
        self.control.set_range(settings.ip_local_port_range);
        let Some(lane) = &mut self.lane else { return };
        let (commons, net) = (&mut lane.stack.tcp.commons, &mut lane.stack.net);
        if commons.settings.challenge_ack_limit != settings.challenge_ack_limit {
            let rng = Rng::new(net.rng.next_u64());
            commons.challenge = ChallengeLimit::new(self.pulse.now(), settings.challenge_ack_limit, rng);
        }
        commons.settings = *settings;
    }

    /// Fast Open cookies are made with `keys` from now on.
    pub(super) fn set_keys(&mut self, keys: FastOpenKeys) {
        if let Some(lane) = &mut self.lane {
            lane.stack.tcp.commons.keys = keys;
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if let Some(lane) = self.lane.take() {
            // With every frame at home the pool gives its memory back.
            Remains::settle(vec![lane.shutdown()]);
        }
    }
}
