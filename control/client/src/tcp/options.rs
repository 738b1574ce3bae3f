//! The options of a TCP socket: what stands in its slot, what the lane has to know, and what is the client's own matter.

use super::socket::{NO_LINGER, TcpSocket};
use crate::wait::lock;
use core::time::Duration;
use std::io;
use std::sync::atomic::Ordering;
use xmit_shared::session::{Op, SocketOption, StreamFlags, TcpInfo};

impl TcpSocket {
    /// `TCP_NODELAY` and `TCP_CORK`, without a call to the lane.
    ///
    /// # Errors
    /// `ENETDOWN`.
    pub(super) fn set_flag(&self, flag: StreamFlags, on: bool) -> io::Result<()> {
        self.session.check_up()?;
        let slot = self.slot()?;
        {
            let mut tx = lock(&slot.stream_tx);
            let flags = StreamFlags(self.flags.load(Ordering::Relaxed)).with(flag, on);
            // Taking the cork out, and `TCP_NODELAY`, send what waits.
            let releases = on && flag == StreamFlags::NODELAY;
            let flags = if releases { flags.released_again() } else { flags };
            self.flags.store(flags.0, Ordering::Relaxed);
            tx.set_flags(flags, !on && flag == StreamFlags::CORK);
        }
        self.session.kick(self.lane, self.index);
        Ok(())
    }

    pub(super) fn flag(&self, flag: StreamFlags) -> bool {
        StreamFlags(self.flags.load(Ordering::Relaxed)).contains(flag)
    }

    /// `TCP_NODELAY`: small segments do not wait for acknowledgements.
    ///
    /// # Errors
    /// `ENETDOWN`.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.set_flag(StreamFlags::NODELAY, nodelay)
    }

    /// `TCP_CORK`: partial segments wait until the cork is out.
    ///
    /// # Errors
    /// `ENETDOWN`.
    pub fn set_cork(&self, cork: bool) -> io::Result<()> {
        self.set_flag(StreamFlags::CORK, cork)
    }

    /// `TCP_NODELAY`.
    pub fn nodelay(&self) -> bool {
        self.flag(StreamFlags::NODELAY)
    }

    /// `TCP_CORK`.
    pub fn cork(&self) -> bool {
        self.flag(StreamFlags::CORK)
    }

    /// `SO_OOBINLINE`: the urgent byte stays in its place in the stream.
    pub fn set_oob_inline(&self, inline: bool) {
        lock(&self.urgent).inline = inline;
    }

    /// `SO_OOBINLINE`.
    pub fn oob_inline(&self) -> bool {
        lock(&self.urgent).inline
    }

    /// `F_SETOWN`: who gets `SIGURG` when urgent data is announced; a process, a group of processes if negative, nobody if 0.
    ///
    /// # Errors
    /// The kernel's, if there can be no thread that looks.
    pub fn set_owner(&self, owner: i32) -> io::Result<()> {
        self.session.set_owner(self.index, owner)
    }

    /// `F_GETOWN`.
    pub fn owner(&self) -> i32 {
        self.session.owner(self.index)
    }

    /// `SO_RCVLOWAT`: reading waits for so many bytes, and the socket is not readable before; at least 1.
    pub fn set_receive_lowat(&self, bytes: u32) {
        self.rcvlowat.store(bytes.max(1), Ordering::Relaxed);
        self.note_usual();
        self.session.tell_pollers(self.index);
    }

    /// `SO_RCVLOWAT`.
    pub fn receive_lowat(&self) -> u32 {
        self.rcvlowat.load(Ordering::Relaxed)
    }

    /// `setsockopt` for everything that the lane has to know.
    ///
    /// # Errors
    /// `EINVAL` and `ENOPROTOOPT` as in Linux, `ENETDOWN`.
    pub fn set_option(&self, option: SocketOption, value: i32) -> io::Result<()> {
        self.call(Op::SetOption(option, value))?;
        self.remember_option(option, value);
        match option {
            SocketOption::Linger => self.linger.store(value, Ordering::Relaxed),
            SocketOption::SendBuffer => self.send_limit.fixed.store(true, Ordering::Relaxed),
            SocketOption::NotSentLowat => self.notsent_lowat.store(value.cast_unsigned(), Ordering::Relaxed),
            _ => {}
        }
        self.forget_room();
        self.session.tell_pollers(self.index);
        Ok(())
    }

    /// `getsockopt`.
    ///
    /// # Errors
    /// `ENOPROTOOPT`, `ENETDOWN`.
    pub fn option(&self, option: SocketOption) -> io::Result<i32> {
        Ok(self.call(Op::GetOption(option))?.value)
    }

    /// `TCP_FASTOPEN_KEY`: one key of 16 bytes, or two, the second of which made cookies before.
    ///
    /// # Errors
    /// `EINVAL` for another length, or on a connection; `ENETDOWN`.
    pub fn set_fast_open_keys(&self, bytes: &[u8]) -> io::Result<()> {
        let keys = keys_of(bytes).ok_or_else(|| crate::session::os_error(libc::EINVAL))?;
        for (at, key) in keys.iter().enumerate() {
            self.call(if at == 0 { Op::FastOpenKey(*key) } else { Op::FastOpenBackupKey(*key) })?;
        }
        *lock(&self.fast_open_keys) = keys;
        Ok(())
    }

    /// `TCP_FASTOPEN_KEY` as it was set; empty if the system's keys are used, which are not told.
    pub fn fast_open_keys(&self) -> Vec<u8> {
        lock(&self.fast_open_keys).iter().flatten().flat_map(|half| half.to_le_bytes()).collect()
    }

    /// `SO_LINGER`: how long closing waits until the peer has everything; zero resets the connection instead.
    ///
    /// # Errors
    /// `ENETDOWN`.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        let seconds = linger.map_or(NO_LINGER, |linger| i32::try_from(linger.as_secs()).unwrap_or(i32::MAX));
        self.set_option(SocketOption::Linger, seconds)
    }

    /// As it was set.
    pub fn linger(&self) -> Option<Duration> {
        let seconds = self.linger.load(Ordering::Relaxed);
        u64::try_from(seconds).ok().map(Duration::from_secs)
    }

    /// `SO_MAX_PACING_RATE`: at most so many bytes a second leave, evenly; `u64::MAX` is no limit.
    ///
    /// # Errors
    /// `ENETDOWN`.
    pub fn set_max_pacing_rate(&self, bytes_per_second: u64) -> io::Result<()> {
        self.call(Op::SetPacing(bytes_per_second))?;
        self.remember_pacing(bytes_per_second);
        Ok(())
    }

    /// `SO_MAX_PACING_RATE`.
    ///
    /// # Errors
    /// `ENETDOWN`.
    pub fn max_pacing_rate(&self) -> io::Result<u64> {
        Ok(self.info()?.max_pacing_rate)
    }

    /// `TCP_INFO`.
    ///
    /// # Errors
    /// `ENETDOWN`.
    pub fn info(&self) -> io::Result<TcpInfo> {
        loop {
            self.call(Op::Info)?;
            // While the lane writes the answer to another thread's call, this one asks again.
            if let Some(info) = lock(&self.slot()?.stream_rx).info() {
                return Ok(info);
            }
        }
    }
}

/// One key or two of 16 bytes each.
fn keys_of(bytes: &[u8]) -> Option<Vec<[u64; 2]>> {
    let (halves, rest) = bytes.as_chunks::<8>();
    let halves: Vec<u64> = halves.iter().map(|half| u64::from_le_bytes(*half)).collect();
    let (keys, odd) = halves.as_chunks::<2>();
    (rest.is_empty() && odd.is_empty() && (1..=2).contains(&keys.len())).then(|| keys.to_vec())
}
