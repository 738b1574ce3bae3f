//! The order in which the daemon starts; from the bottom, the order in which it stops.

use super::{Control, TOKEN_NETLINK, TOKENS_OPERATOR, TOKENS_SIGNALS};
use crate::api::Server;
use crate::boot::{Step, StepError};
use crate::lock::Lock;
use crate::netlink::Follower;
use crate::signals::Signals;
use mio::Interest;

/// Every step of the start.
pub static STEPS: [Step<Control>; 4] = [
    Step { name: "be the one daemon of its sockets", start: lock, stop: unlock },
    Step { name: "hear signals", start: watch_signals, stop: ignore_signals },
    Step { name: "learn interfaces, addresses and routes from the kernel", start: follow, stop: unfollow },
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

fn listen(control: &mut Control) -> Result<(), StepError> {
    let path = control.config.daemon.operator_socket.clone();
    control.operator = Some(Server::listen(&path, control.poll.registry(), TOKENS_OPERATOR)?);
    Ok(())
}

fn stop_listening(control: &mut Control) -> Result<(), StepError> {
    control.operator = None;
    Ok(())
}
