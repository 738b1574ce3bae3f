//! The order in which the daemon starts; from the bottom, the order in which it stops.

use super::{Control, TOKEN_NETLINK, TOKEN_REPORTS, TOKENS_OPERATOR, TOKENS_SESSIONS, TOKENS_SIGNALS};
use crate::api::Server;
use crate::boot::{Step, StepError};
use crate::lock::Lock;
use crate::netlink::Follower;
use crate::run::lanes::Lanes;
use crate::run::ports::{Opened, frames};
use crate::run::sessions::Sessions;
use crate::run::steer::Steer;
use crate::signals::Signals;
use mio::Interest;
use mio::unix::SourceFd;
use std::os::fd::AsRawFd;
use tracing::info;

/// Every step of the start.
pub static STEPS: [Step<Control>; 8] = [
    Step { name: "be the one daemon of its sockets", start: lock, stop: unlock },
    Step { name: "hear signals", start: watch_signals, stop: ignore_signals },
    Step { name: "learn interfaces, addresses and routes from the kernel", start: follow, stop: unfollow },
    Step { name: "open the ports", start: open_ports, stop: close_ports },
    Step { name: "start the lanes", start: start_lanes, stop: stop_lanes },
    Step { name: "steer packets to the daemon", start: steer, stop: unsteer },
    Step { name: "listen for clients", start: serve, stop: stop_serving },
    Step { name: "listen for operators", start: listen, stop: stop_listening },
];

fn lock(control: &mut Control) -> Result<(), StepError> {
    let operator = Lock::acquire(&control.config.daemon.operator_socket)?;
    let session = Lock::acquire(&control.config.daemon.session_socket)?;
    control.locks = vec![operator, session];
    Ok(())
}

fn unlock(control: &mut Control) -> Result<(), StepError> {
    control.locks.clear();
    Ok(())
}

fn watch_signals(control: &mut Control) -> Result<(), StepError> {
    control.signals = Some(Signals::watch(control.poll.registry(), TOKENS_SIGNALS)?);
    Ok(())
}

fn ignore_signals(control: &mut Control) -> Result<(), StepError> {
    control.signals = None;
    Ok(())
}

fn follow(control: &mut Control) -> Result<(), StepError> {
    let mut kernel = Follower::open()?;
    control.poll.registry().register(&mut kernel, TOKEN_NETLINK, Interest::READABLE)?;
    control.kernel = Some(kernel);
    control.publish();
    Ok(())
}

fn unfollow(control: &mut Control) -> Result<(), StepError> {
    control.kernel = None;
    Ok(())
}

fn open_ports(control: &mut Control) -> Result<(), StepError> {
    let mut lanes =
        (0..control.config.lanes.len()).map(|lane| frames(&control.config, lane)).collect::<Result<Vec<_>, _>>()?;
    let mut opened = Opened::default();
    if let Err(error) = opened.open(&control.config, &mut lanes) {
        // Ports give their frames back before the pools go.
        for placed in &mut opened.ports {
            if let Some(lane) = lanes.get_mut(placed.lane as usize) {
                placed.port.shutdown(&mut lane.pool);
            }
        }
        return Err(error);
    }
    for joined in &opened.joins {
        info!("{} are joined", joined.name);
    }
    (control.frames, control.ports, control.steer, control.joins) = (lanes, opened.ports, opened.steer, opened.joins);
    Ok(())
}

/// Ports that no lane took are closed here; the others by their lanes.
fn close_ports(control: &mut Control) -> Result<(), StepError> {
    for placed in &mut control.ports {
        if let Some(lane) = control.frames.get_mut(placed.lane as usize) {
            placed.port.shutdown(&mut lane.pool);
        }
    }
    control.ports.clear();
    control.joins.clear();
    control.steer = Steer::default();
    control.frames.clear();
    Ok(())
}

fn start_lanes(control: &mut Control) -> Result<(), StepError> {
    let (frames, ports) = (std::mem::take(&mut control.frames), std::mem::take(&mut control.ports));
    control.umems = frames.iter().filter_map(|frames| frames.umem.clone()).collect();
    let lanes = Lanes::start(&control.config, frames, ports, &control.snapshots, &mut control.rng)?;
    let bell = lanes.reports.sleeper().fd().as_raw_fd();
    control.poll.registry().register(&mut SourceFd(&bell), TOKEN_REPORTS, Interest::READABLE)?;
    control.lanes = Some(lanes);
    control.tell_lanes_of_steering();
    Ok(())
}

fn stop_lanes(control: &mut Control) -> Result<(), StepError> {
    let mut problems = control.lanes.take().map(|mut lanes| lanes.stop()).unwrap_or_default();
    for id in control.captures.ids() {
        problems.extend(control.captures.stop(id).err().map(|error| error.to_string()));
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("; ").into()) }
}

fn steer(control: &mut Control) -> Result<(), StepError> {
    control.steer.follow(&control.network)?;
    Ok(())
}

/// From here on every packet is the kernel's again.
fn unsteer(control: &mut Control) -> Result<(), StepError> {
    control.steer.detach();
    Ok(())
}

fn serve(control: &mut Control) -> Result<(), StepError> {
    let path = control.config.daemon.session_socket.clone();
    let lanes = control.config.lanes.len() as u32;
    control.sessions = Some(Sessions::listen(&path, lanes, control.poll.registry(), TOKENS_SESSIONS)?);
    Ok(())
}

/// Every client sees its connection close and knows.
fn stop_serving(control: &mut Control) -> Result<(), StepError> {
    control.sessions = None;
    Ok(())
}

fn listen(control: &mut Control) -> Result<(), StepError> {
    let path = control.config.daemon.operator_socket.clone();
    control.operator = Some(Server::listen(&path, control.poll.registry(), TOKENS_OPERATOR)?);
    Ok(())
}

fn stop_listening(control: &mut Control) -> Result<(), StepError> {
    control.operator = None;
    Ok(())
}
