//! How much of a write a socket of an embedded stack takes: Linux's own accounting, which conformance suites look at
//! (`tcp_sendmsg_locked`, `sk_stream_memory_free`, `tcp_sndbuf_expand`).
//!
//! Linux writes into buffers of up to `size_goal` bytes and begins another one while less than `SO_SNDBUF` is queued and less than
//! `TCP_NOTSENT_LOWAT` unsent. Without `SO_SNDBUF` the limit grows, when a writer that found no room is told of some, to what two
//! congestion windows cost. A session with a daemon writes into its ring as far as there is room: its lane runs meanwhile, and a question
//! for each piece would cost more than it tells.

use super::socket::TcpSocket;
use crate::wait::lock;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use xmit_shared::session::{SocketOption, TcpInfo};
use xmit_shared::stream::SIZE_GOAL_MAX;

/// What a socket remembers of its limit.
#[derive(Debug, Default)]
pub(super) struct SendLimit {
    /// Zero before the first write.
    bytes: AtomicU32,
    /// `SO_SNDBUF` was set: the limit does not grow (`SOCK_SNDBUF_LOCK`).
    pub(super) fixed: AtomicBool,
    /// Whether there was room, by bytes queued and unsent.
    known: Mutex<Option<((u32, u32), bool)>>,
    /// `net.ipv4.tcp_notsent_lowat`; zero for none.
    pub(super) system_lowat: AtomicU32,
    /// The largest window that the peer was seen to offer (`max_window`).
    window_max: AtomicU32,
}

/// What a segment costs beside its bytes: `MAX_TCP_HEADER` and `struct skb_shared_info`, then `struct sk_buff`.
const SEGMENT_COST: u32 = 320 + 320;
const BUFFER_COST: u32 = 256;
/// `TCP_INIT_CWND`, and twice the window for what is retransmitted (`ca_ops->sndbuf_expand`).
const WINDOW_LEAST: u32 = 10;
const WINDOWS: u32 = 2;

impl TcpSocket {
    /// The length of the next piece of a write; zero if it has to wait.
    pub(super) fn next_piece(&self) -> io::Result<u32> {
        let info = self.info()?;
        let (_, queued, unsent) = self.queued()?;
        let (goal, limit) = (self.size_goal(&info), self.limit(&info)?);
        let full = cost(queued, goal) >= limit || self.lowat().is_some_and(|lowat| unsent >= lowat);
        // The last buffer is filled up in any case.
        Ok(if full && unsent.is_multiple_of(goal) { 0 } else { goal - unsent % goal })
    }

    /// True if `poll` calls the socket writable (`sk_stream_is_writeable`): a third of the limit is free.
    pub(super) fn is_writable_by_limit(&self) -> io::Result<bool> {
        let (_, queued, unsent) = self.queued()?;
        // Whoever waits looks often. The lane is asked only when something has left or come, or the question itself would be news.
        if let Some((_, known)) = lock(&self.send_limit.known).filter(|(at, _)| *at == (queued, unsent)) {
            return Ok(known);
        }
        let info = self.info()?;
        if self.starved.load(Ordering::Relaxed) {
            self.grow(&info);
        }
        let used = cost(queued, self.size_goal(&info));
        let free = self.limit(&info)?.saturating_sub(used);
        let room = free >= used / 2 && free > 0 && self.lowat().is_none_or(|lowat| unsent < lowat / 2);
        *lock(&self.send_limit.known) = Some(((queued, unsent), room));
        Ok(room)
    }

    /// What was known of room is no longer so: an option changed.
    pub(super) fn forget_room(&self) {
        *lock(&self.send_limit.known) = None;
    }

    /// The next connection's peer is another one.
    pub(super) fn forget_peer(&self) {
        self.send_limit.window_max.store(0, Ordering::Relaxed);
        self.forget_room();
    }

    /// `tcp_xmit_size_goal`: whole segments, no more than half the peer's largest window. A window that is small for a while does not make
    /// buffers small.
    fn size_goal(&self, info: &TcpInfo) -> u32 {
        let known = self.send_limit.window_max.fetch_max(info.snd_wnd, Ordering::Relaxed);
        let (mss, window) = (info.snd_mss.max(1), known.max(info.snd_wnd));
        let half = if window > 536 { window / 2 } else { window };
        (SIZE_GOAL_MAX.min(half) / mss).max(1) * mss
    }

    fn limit(&self, info: &TcpInfo) -> io::Result<u32> {
        let limit = &self.send_limit;
        if limit.fixed.load(Ordering::Relaxed) {
            return Ok(self.option(SocketOption::SendBuffer)?.cast_unsigned());
        }
        if limit.bytes.load(Ordering::Relaxed) == 0 {
            limit.bytes.store(self.option(SocketOption::SendBuffer)?.cast_unsigned(), Ordering::Relaxed);
            self.grow(info);
        }
        Ok(limit.bytes.load(Ordering::Relaxed))
    }

    fn grow(&self, info: &TcpInfo) {
        let segment = (info.snd_mss + SEGMENT_COST).next_power_of_two() + BUFFER_COST;
        let wanted = WINDOWS.saturating_mul(info.snd_cwnd.max(WINDOW_LEAST)).saturating_mul(segment);
        self.send_limit.bytes.fetch_max(wanted, Ordering::Relaxed);
    }

    fn lowat(&self) -> Option<u32> {
        let own = self.notsent_lowat.load(Ordering::Relaxed);
        let lowat = if own == 0 { self.send_limit.system_lowat.load(Ordering::Relaxed) } else { own };
        (lowat != 0).then_some(lowat)
    }

    /// A connection has what its listener was told.
    pub(super) fn inherit_send_limit(&self, listener: &Self) {
        let (ours, theirs) = (&self.send_limit, &listener.send_limit);
        ours.fixed.store(theirs.fixed.load(Ordering::Relaxed), Ordering::Relaxed);
        ours.system_lowat.store(theirs.system_lowat.load(Ordering::Relaxed), Ordering::Relaxed);
        self.notsent_lowat.store(listener.notsent_lowat.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// `net.ipv4.tcp_notsent_lowat` for this socket, unless `TCP_NOTSENT_LOWAT` says otherwise. For an embedded stack.
    pub fn set_system_notsent_lowat(&self, bytes: u32) {
        self.send_limit.system_lowat.store(bytes, Ordering::Relaxed);
    }
}

/// What `queued` bytes cost in buffers of `goal` (`sk_wmem_queued`).
fn cost(queued: u32, goal: u32) -> u32 {
    queued + queued.div_ceil(goal) * (SEGMENT_COST + BUFFER_COST)
}
