//! What a listener hands on: to its shares on the other lanes all that was set on the first socket, and to connections what is the client's
//! own matter; the rest a lane gives them.

use super::socket::TcpSocket;
use crate::wait::lock;
use std::io;
use std::sync::atomic::Ordering;
use xmit_shared::session::{SocketOption, StreamFlags};

/// What a program has set of what a lane has to know, each option once.
#[derive(Debug, Default)]
pub(super) struct Settings {
    options: Vec<(SocketOption, i32)>,
    max_pacing_rate: Option<u64>,
}

impl TcpSocket {
    /// Notes that `option` was set.
    pub(super) fn remember_option(&self, option: SocketOption, value: i32) {
        let mut settings = lock(&self.settings);
        settings.options.retain(|(other, _)| *other != option);
        settings.options.push((option, value));
    }

    pub(super) fn remember_pacing(&self, bytes_per_second: u64) {
        lock(&self.settings).max_pacing_rate = Some(bytes_per_second);
    }

    /// Gives `share`, the same listener's socket on another lane, what was set here.
    ///
    /// # Errors
    /// `ENETDOWN`.
    pub(super) fn hand_on(&self, share: &Self) -> io::Result<()> {
        let (options, rate) = {
            let settings = lock(&self.settings);
            (settings.options.clone(), settings.max_pacing_rate)
        };
        options.into_iter().try_for_each(|(option, value)| share.set_option(option, value))?;
        rate.map_or(Ok(()), |rate| share.set_max_pacing_rate(rate))?;
        if self.nodelay() {
            share.set_nodelay(true)?;
        }
        share.take_after(self);
        Ok(())
    }

    /// What `listener`'s connections have of it.
    ///
    /// # Errors
    /// `ENETDOWN`.
    pub(super) fn inherit(&self, listener: &Self) -> io::Result<()> {
        self.take_after(listener);
        if listener.flag(StreamFlags::NODELAY) { self.set_nodelay(true) } else { Ok(()) }
    }

    /// What no lane knows of.
    fn take_after(&self, other: &Self) {
        self.inherit_send_limit(other);
        self.linger.store(other.linger.load(Ordering::Relaxed), Ordering::Relaxed);
        self.rcvlowat.store(other.rcvlowat.load(Ordering::Relaxed), Ordering::Relaxed);
        self.note_usual();
        if other.oob_inline() {
            self.set_oob_inline(true);
        }
    }
}
