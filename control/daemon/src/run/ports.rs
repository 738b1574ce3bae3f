//! From the configuration to open ports: NICs by AF_XDP, emulated cards, taps.

use super::joins::{Joined, join};
use super::steer::Steer;
use crate::boot::StepError;
use crate::config::{self, Config, El3c501, Interface, Kind};
use std::collections::BTreeMap;
use xmit_nic::el3c501::{El3c501Port, LanConfig, Parity, Quirks, SharedLan, Timing};
use xmit_nic::tap::{TapConfig, TapPort};
use xmit_nic::xdp::{BusyPoll, CopyWish, LaneUmem, ModeWish, PortOptions, Steering, XdpPort};
use xmit_nic::{Pool, Port};
use xmit_shared::time::nanos;

/// A lane's frames, before the lane exists.
#[derive(Debug)]
pub struct LaneFrames {
    /// The free frames.
    pub pool: Pool,
    /// The UMEM that they lie in, if a port of the lane needs one.
    pub umem: Option<LaneUmem>,
}

/// An open port and where it belongs.
pub struct Placed {
    /// The lane that owns it.
    pub lane: u32,
    /// Place of its interface in the configuration.
    pub interface: u16,
    /// The port.
    pub port: Box<dyn Port>,
}

impl std::fmt::Debug for Placed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Placed({} on lane {})", self.port.caps().name, self.lane)
    }
}

/// What was opened.
#[derive(Default)]
pub struct Opened {
    /// The ports, in the order of the configuration.
    pub ports: Vec<Placed>,
    /// The XDP programs.
    pub steer: Steer,
    /// Segments joined to the world outside; each has a thread.
    pub joins: Vec<Joined>,
    segments: BTreeMap<String, SharedLan>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("ports", &self.ports.len()).field("joins", &self.joins).finish_non_exhaustive()
    }
}

/// Frames for lane `lane` of `config`: a UMEM if one of its interfaces is a NIC, else plain memory.
///
/// # Errors
/// No memory, or no AF_XDP.
pub fn frames(config: &Config, lane: usize) -> Result<LaneFrames, StepError> {
    let Some(settings) = config.lanes.get(lane) else { return Err("no such lane".into()) };
    let (id, frames) = (lane as u16, settings.frames as usize);
    let size = settings.frame_size.0 as u16;
    let needs_umem = |i: &Interface| i.kind == Kind::AfXdp && i.lanes.contains(&(lane as u32));
    if config.interfaces.iter().any(needs_umem) {
        let (umem, pool) = LaneUmem::new(id, frames, size, settings.hugepages)?;
        return Ok(LaneFrames { pool, umem: Some(umem) });
    }
    let region = xmit_nic::Region::anonymous(frames * usize::from(size))?;
    Ok(LaneFrames { pool: Pool::new(id, region, size)?, umem: None })
}

impl Opened {
    /// Opens every port that `config` names.
    ///
    /// # Errors
    /// The first port that cannot be opened, with the cure; what was opened before is closed by dropping `self`.
    pub fn open(&mut self, config: &Config, lanes: &mut [LaneFrames]) -> Result<(), StepError> {
        for (id, interface) in (0..).zip(&config.interfaces) {
            match interface.kind {
                Kind::AfXdp => self.open_xdp(config, id, interface, lanes)?,
                Kind::El3c501 => self.open_el3c501(id, interface)?,
                Kind::Tap => self.open_tap(id, interface)?,
            }
        }
        Ok(())
    }

    fn open_xdp(
        &mut self,
        config: &Config,
        id: u16,
        interface: &Interface,
        lanes: &mut [LaneFrames],
    ) -> Result<(), StepError> {
        let mut steering = Steering::attach(&interface.name, mode_wish(interface.mode))?;
        for (queue, lane) in interface.ports() {
            let Some(frames) = lanes.get_mut(lane as usize) else { return Err(format!("no lane {lane}").into()) };
            let Some(umem) = &frames.umem else { return Err(format!("lane {lane} has no UMEM").into()) };
            let on_lane = self.ports.iter().filter(|p| p.lane == lane).count() as u16;
            let options = options(config, interface, lane, on_lane);
            let port = XdpPort::open(&mut steering, umem, &mut frames.pool, queue, &options)?;
            self.ports.push(Placed { lane, interface: id, port: Box::new(port) });
        }
        self.steer.add(id, steering, interface.adopts());
        Ok(())
    }

    fn open_el3c501(&mut self, id: u16, interface: &Interface) -> Result<(), StepError> {
        let Some(card) = &interface.el3c501 else {
            return Err(format!("{}: kind \"el3c501\" needs a table [interface.el3c501]", interface.name).into());
        };
        let lan = self.segment(card);
        let parity = if card.parity { Parity::LINUX } else { Parity::default() };
        let port = El3c501Port::open(&lan, &interface.name, interface.station_address(), Quirks::default(), parity)?;
        let lane = interface.lanes.first().copied().unwrap_or(0);
        self.ports.push(Placed { lane, interface: id, port: Box::new(port) });
        if let Some(to) = &card.join {
            let (joined, steering) = join(&lan, card, to)?;
            self.joins.push(joined);
            // The host's NIC leads to this card: its program follows the card's addresses.
            steering.into_iter().for_each(|steering| self.steer.add(id, steering, false));
        }
        Ok(())
    }

    fn segment(&mut self, card: &El3c501) -> SharedLan {
        let timing = match card.timing {
            config::Timing::Wire => Timing::Wire,
            config::Timing::FreeRun => Timing::FreeRun,
        };
        // Back-off is seeded by the name: the same configuration behaves the same at every start.
        let seed = card.segment.bytes().fold(0x0003_c501_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        let new = || SharedLan::new(LanConfig { timing, seed, ..LanConfig::default() });
        self.segments.entry(card.segment.clone()).or_insert_with(new).clone()
    }

    fn open_tap(&mut self, id: u16, interface: &Interface) -> Result<(), StepError> {
        let mut tap = TapConfig::new(&interface.name);
        tap.mac = Some(interface.station_address());
        let port = TapPort::open(&tap)?;
        let lane = interface.lanes.first().copied().unwrap_or(0);
        self.ports.push(Placed { lane, interface: id, port: Box::new(port) });
        Ok(())
    }
}

fn mode_wish(mode: config::XdpMode) -> ModeWish {
    match mode {
        config::XdpMode::Auto => ModeWish::Auto,
        config::XdpMode::Native => ModeWish::Native,
        config::XdpMode::Generic => ModeWish::Generic,
    }
}

/// How many packets one busy-polling call handles at most: a burst.
const BUSY_POLL_BUDGET: u32 = 64;

fn options(config: &Config, interface: &Interface, lane: u32, lane_port: u16) -> PortOptions {
    let busy = config.lanes.get(lane as usize).map_or(0, |l| nanos(l.busy_poll.0) / 1_000);
    PortOptions {
        lane_port,
        rx_ring: interface.ring,
        tx_ring: interface.ring,
        zero_copy: match interface.zero_copy {
            config::ZeroCopy::Auto => CopyWish::Auto,
            config::ZeroCopy::On => CopyWish::Force,
            config::ZeroCopy::Off => CopyWish::Never,
        },
        need_wakeup: true,
        busy_poll: (busy > 0).then_some(BusyPoll { micros: busy as u32, budget: BUSY_POLL_BUDGET }),
    }
}
