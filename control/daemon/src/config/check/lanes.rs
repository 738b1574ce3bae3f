//! Lanes: cores and the frame budget.

use super::Findings;
use crate::config::{Config, Kind, Lane, Machine};

/// More lanes than any machine in sight has cores to spare; lanes are numbered in 8 bits elsewhere.
const LANES_MAX: usize = 128;

/// Frames that a lane keeps for itself whatever its ports hold: bursts in flight, queueing disciplines, packets that
/// wait for a neighbour.
const STACK_FRAMES: u32 = 1024;

/// Frames of an emulated port or a tap: one burst in, one out, and what is on the wire.
const SMALL_PORT_FRAMES: u32 = 256;

pub(super) fn check(config: &Config, machine: &Machine, findings: &mut Findings) {
    if config.lanes.is_empty() {
        findings.add("lane", "there is no lane to carry packets", "add [[lane]] with core = N");
    }
    if config.lanes.len() > LANES_MAX {
        findings.add(format!("lane[{LANES_MAX}]"), format!("more than {LANES_MAX} lanes"), "remove some");
    }
    for (index, lane) in config.lanes.iter().enumerate() {
        check_core(config, machine, index, lane, findings);
        check_frames(config, index, lane, findings);
    }
}

fn check_core(config: &Config, machine: &Machine, index: usize, lane: &Lane, findings: &mut Findings) {
    let place = format!("lane[{index}].core");
    if !machine.cores.contains(&lane.core) {
        let cores: Vec<_> = machine.cores.iter().map(u32::to_string).collect();
        let what = format!("this process cannot run on core {}", lane.core);
        findings.add(&place, what, format!("choose one of {}", cores.join(", ")));
    }
    if let Some(other) = config.lanes[..index].iter().position(|other| other.core == lane.core) {
        let what = format!("core {} is taken by lane {other} already", lane.core);
        findings.add(&place, what, "give every lane a core of its own");
    }
}

fn check_frames(config: &Config, index: usize, lane: &Lane, findings: &mut Findings) {
    if !matches!(lane.frame_size.0, 2048 | 4096) {
        let what = format!("AF_XDP takes no frames of {}", lane.frame_size);
        findings.add(format!("lane[{index}].frame_size"), what, "write \"2KiB\" or \"4KiB\"");
    }
    let budget = Budget::of(config, index);
    if lane.frames < budget.sum() {
        let what = format!("{} frames are fewer than the {} that lane {index} needs", lane.frames, budget.sum());
        let cure = format!(
            "write at least {}: {} in rings of its ports, {STACK_FRAMES} in the stack",
            budget.sum(),
            budget.ports
        );
        findings.add(format!("lane[{index}].frames"), what, cure);
    }
    if u64::from(lane.frames) * lane.frame_size.0 > u64::from(u32::MAX) {
        let what = format!("{} frames of {} are more than 4GiB", lane.frames, lane.frame_size);
        findings.add(format!("lane[{index}].frames"), what, "write fewer: a UMEM of AF_XDP is counted in 32 bits");
    }
}

/// Who holds a lane's frames.
struct Budget {
    /// Fill and receive rings share one set of frames, transmit and completion rings another.
    ports: u32,
}

impl Budget {
    fn of(config: &Config, lane: usize) -> Self {
        let served = config.interfaces.iter().flat_map(|interface| {
            let ports = interface.ports().into_iter();
            ports.filter(move |(_, owner)| *owner as usize == lane).map(move |_| interface)
        });
        let frames = served.map(|interface| match interface.kind {
            Kind::AfXdp => interface.ring.saturating_mul(2),
            Kind::El3c501 | Kind::Tap => SMALL_PORT_FRAMES,
        });
        Self { ports: frames.fold(0, u32::saturating_add) }
    }

    fn sum(&self) -> u32 {
        self.ports.saturating_add(STACK_FRAMES)
    }
}
