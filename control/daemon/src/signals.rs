//! SIGTERM, SIGINT and SIGHUP as events of the control thread's loop.
//!
//! Each signal writes into a socket pair (what a signal handler may do); the loop reads the other end.

use mio::net::UnixStream;
use mio::{Interest, Registry, Token};
use signal_hook::SigId;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level;
use std::io::{self, Read};

/// Tokens that signals need, from their first.
pub const TOKENS: usize = 2;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// SIGTERM or SIGINT: an orderly stop.
    Stop,
    /// SIGHUP: read the configuration again.
    Reload,
}

/// The receiving ends. Dropping it gives the signals their former meaning back.
#[derive(Debug)]
pub struct Signals {
    stop: UnixStream,
    reload: UnixStream,
    first: usize,
    ids: Vec<SigId>,
}

impl Signals {
    /// Takes the three signals over, with the tokens `first` and `first + 1` of `registry`.
    ///
    /// # Errors
    /// The kernel's; what was taken over until then is given back.
    pub fn watch(registry: &Registry, first: usize) -> io::Result<Self> {
        let (stop, stop_sender) = UnixStream::pair()?;
        let (reload, reload_sender) = UnixStream::pair()?;
        let mut signals = Self { stop, reload, first, ids: Vec::new() };
        registry.register(&mut signals.stop, Token(first), Interest::READABLE)?;
        registry.register(&mut signals.reload, Token(first + 1), Interest::READABLE)?;
        let stop_sender = std::os::fd::OwnedFd::from(stop_sender);
        signals.ids.push(low_level::pipe::register(SIGTERM, stop_sender.try_clone()?)?);
        signals.ids.push(low_level::pipe::register(SIGINT, stop_sender)?);
        signals.ids.push(low_level::pipe::register(SIGHUP, std::os::fd::OwnedFd::from(reload_sender))?);
        Ok(signals)
    }

    /// True if an event with `token` is a signal.
    pub fn owns(&self, token: Token) -> bool {
        (self.first..self.first + TOKENS).contains(&token.0)
    }

    /// What the event of `token` asks for; several signals of one kind are one wish.
    pub fn on_event(&mut self, token: Token) -> Option<Wanted> {
        let (stream, wanted) = match token.0.checked_sub(self.first)? {
            0 => (&mut self.stop, Wanted::Stop),
            1 => (&mut self.reload, Wanted::Reload),
            _ => return None,
        };
        let mut any = false;
        // Bounded by what the socket's buffer holds: each signal is one byte.
        while matches!(stream.read(&mut [0; 64]), Ok(count) if count > 0) {
            any = true;
        }
        any.then_some(wanted)
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for id in self.ids.drain(..) {
            low_level::unregister(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Events, Poll};
    use std::time::Duration;

    #[test]
    fn signals_arrive_as_wishes() {
        let mut poll = Poll::new().unwrap();
        let mut signals = Signals::watch(poll.registry(), 10).unwrap();
        let mut heard = Vec::new();
        for raised in [SIGHUP, SIGTERM, SIGHUP] {
            low_level::raise(raised).unwrap();
            low_level::raise(raised).unwrap();
            let mut events = Events::with_capacity(8);
            poll.poll(&mut events, Some(Duration::from_secs(5))).unwrap();
            let tokens: Vec<_> = events.iter().map(mio::event::Event::token).filter(|t| signals.owns(*t)).collect();
            heard.extend(tokens.into_iter().filter_map(|token| signals.on_event(token)));
        }
        assert_eq!(heard, [Wanted::Reload, Wanted::Stop, Wanted::Reload]);
        assert_eq!(signals.on_event(Token(10)), None);
    }
}
