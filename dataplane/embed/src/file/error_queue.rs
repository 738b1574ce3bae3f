//! What `MSG_ERRQUEUE` reads of a stream: completions of `MSG_ZEROCOPY`, and when bytes were sent and acknowledged
//! (`SO_TIMESTAMPING`; `__skb_complete_tx_timestamp`, `__msg_zerocopy_callback`).
//!
//! The stack copies what it is given, so a completion always says so (`SO_EE_CODE_ZEROCOPY_COPIED`). Queues that wait for something are
//! looked at after every turn of the lane, so that what happens is stamped with the time at which it does.

use super::transfer::{Ancillary, Received};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use xmit::{Progress, Sent, TcpSocket};
use xmit_nic::Instant;

/// Bits of `SO_TIMESTAMPING` (`include/uapi/linux/net_tstamp.h`).
pub(super) mod bits {
    pub(in crate::file) const TX_SOFTWARE: u32 = 1 << 1;
    pub(in crate::file) const SOFTWARE: u32 = 1 << 4;
    pub(in crate::file) const OPT_ID: u32 = 1 << 7;
    pub(in crate::file) const TX_SCHED: u32 = 1 << 8;
    pub(in crate::file) const TX_ACK: u32 = 1 << 9;
    pub(in crate::file) const OPT_CMSG: u32 = 1 << 10;
    pub(in crate::file) const OPT_TSONLY: u32 = 1 << 11;
    pub(in crate::file) const OPT_ID_TCP: u32 = 1 << 16;
    /// All that have an effect here; `OPT_CMSG` is what IPv4 does anyway.
    pub(in crate::file) const KNOWN: u32 =
        TX_SOFTWARE | SOFTWARE | OPT_ID | TX_SCHED | TX_ACK | OPT_CMSG | OPT_TSONLY | OPT_ID_TCP;
}

/// `SO_EE_ORIGIN_*` and the codes of each (`include/uapi/linux/errqueue.h`).
const ORIGIN_TIMESTAMPING: u8 = 4;
const ORIGIN_ZEROCOPY: u8 = 5;
const CODE_COPIED: u8 = 1;
const STAMP_SENT: u32 = 0;
const STAMP_SCHEDULED: u32 = 1;
const STAMP_ACKED: u32 = 2;

/// Messages that wait to be read, at most; later ones are dropped, as when the receive buffer is full.
const QUEUE_MAX: usize = 1024;

/// The queue of one socket.
#[derive(Debug)]
pub(crate) struct ErrorQueue {
    progress: Progress,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// `SO_ZEROCOPY`.
    zerocopy: bool,
    /// `SO_TIMESTAMPING`.
    stamping: u32,
    /// The position that keys are counted from.
    key_base: u32,
    /// The next completion's number.
    next_id: u32,
    pending: VecDeque<Pending>,
    queue: VecDeque<Message>,
    /// How often something was queued.
    count: u32,
}

/// One send whose bytes are on their way.
#[derive(Clone, Copy, Debug)]
struct Pending {
    /// Behind its last byte.
    end: u32,
    /// Its completion's number.
    zerocopy: Option<u32>,
    /// The stamps that it waits for.
    stamps: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Message {
    /// These sends, first and last, need their memory no longer.
    Copied(u32, u32),
    /// A byte's stamp.
    Stamp { what: u32, key: u32, at: Instant },
}

/// The queues that wait for something.
#[derive(Debug, Default)]
pub(crate) struct ErrorQueues(Mutex<Vec<Weak<ErrorQueue>>>);

impl ErrorQueues {
    /// The lane has run at `now`.
    pub(crate) fn look(&self, now: Instant) {
        let mut queues = lock(&self.0);
        queues.retain(|queue| queue.upgrade().is_some_and(|queue| queue.look(now)));
    }

    fn watch(&self, queue: &Arc<ErrorQueue>) {
        let (mut queues, queue) = (lock(&self.0), Arc::downgrade(queue));
        if !queues.iter().any(|known| known.ptr_eq(&queue)) {
            queues.push(queue);
        }
    }
}

impl ErrorQueue {
    pub(super) fn new(socket: &TcpSocket) -> Arc<Self> {
        Arc::new(Self { progress: socket.progress(), state: Mutex::default() })
    }

    /// What a listener was told holds for what it accepts.
    pub(super) fn inherit(&self, from: &Self) {
        let (zerocopy, stamping) = (from.zerocopy(), from.stamping());
        let mut state = lock(&self.state);
        (state.zerocopy, state.stamping) = (zerocopy, stamping);
    }

    pub(super) fn set_zerocopy(&self, on: bool) {
        lock(&self.state).zerocopy = on;
    }

    pub(super) fn zerocopy(&self) -> bool {
        lock(&self.state).zerocopy
    }

    /// Keys count from the oldest byte that is not acknowledged, or with `OPT_ID_TCP` from the next that is written.
    pub(super) fn set_stamping(&self, stamping: u32) {
        let sent = self.progress.look().unwrap_or_default();
        let mut state = lock(&self.state);
        if stamping & bits::OPT_ID != 0 && state.stamping & bits::OPT_ID == 0 {
            state.key_base = if stamping & bits::OPT_ID_TCP != 0 { sent.written } else { sent.acked };
        }
        state.stamping = stamping;
    }

    pub(super) fn stamping(&self) -> u32 {
        lock(&self.state).stamping
    }

    /// A send has written bytes, `zerocopy` as its flags say.
    pub(super) fn on_sent(self: &Arc<Self>, queues: &ErrorQueues, now: Instant, zerocopy: bool) {
        let Some(sent) = self.progress.look() else { return };
        let mut state = lock(&self.state);
        let stamps = state.stamping & (bits::TX_SCHED | bits::TX_SOFTWARE | bits::TX_ACK);
        let zerocopy = (zerocopy && state.zerocopy).then_some(state.next_id);
        if stamps == 0 && zerocopy.is_none() {
            return;
        }
        state.next_id = state.next_id.wrapping_add(zerocopy.is_some().into());
        state.pending.push_back(Pending { end: sent.written, zerocopy, stamps });
        drop(state);
        if self.look(now) {
            queues.watch(self);
        }
    }

    /// Tells what has happened up to `now`. True if something is still to come.
    fn look(&self, now: Instant) -> bool {
        let Some(sent) = self.progress.look() else { return false };
        let mut state = lock(&self.state);
        let State { pending, queue, key_base, count, .. } = &mut *state;
        let before = *count;
        for send in pending.iter_mut() {
            let key = send.end.wrapping_sub(1).wrapping_sub(*key_base);
            for message in send.news(&sent, key, now) {
                add(queue, message);
                *count = count.wrapping_add(1);
            }
        }
        pending.retain(|send| !reached(send.end, sent.acked) && !sent.over);
        if *count != before {
            queue.truncate(QUEUE_MAX);
        }
        !pending.is_empty()
    }

    /// True if there is something to read.
    pub(super) fn has_message(&self) -> bool {
        !lock(&self.state).queue.is_empty()
    }

    /// How often something came to be read: an edge-triggered watcher hears of each.
    pub(super) fn count(&self) -> u32 {
        lock(&self.state).count
    }

    /// The oldest message (`ip_recv_error`).
    pub(super) fn take(&self) -> Option<Received> {
        let mut state = lock(&self.state);
        let message = state.queue.pop_front()?;
        let (mut flags, mut ancillary) = (libc::MSG_ERRQUEUE, Vec::new());
        let error = match message {
            Message::Copied(first, last) => extended_error(0, ORIGIN_ZEROCOPY, CODE_COPIED, first, last),
            Message::Stamp { what, key, at } => {
                if state.stamping & bits::SOFTWARE != 0 {
                    let data = stamp(at);
                    ancillary.push(Ancillary { level: libc::SOL_SOCKET, kind: libc::SCM_TIMESTAMPING, data });
                }
                if state.stamping & bits::OPT_TSONLY == 0 {
                    // The bytes themselves are not given back.
                    flags |= libc::MSG_TRUNC;
                }
                let key = if state.stamping & bits::OPT_ID != 0 { key } else { 0 };
                extended_error(libc::ENOMSG as u32, ORIGIN_TIMESTAMPING, 0, what, key)
            }
        };
        ancillary.push(Ancillary { level: libc::IPPROTO_IP, kind: libc::IP_RECVERR, data: error });
        Some(Received { flags, ancillary, ..Received::default() })
    }
}

impl Pending {
    /// What is to be told now and was not told before, in the order in which it happened.
    fn news(&mut self, sent: &Sent, key: u32, now: Instant) -> Vec<Message> {
        let (left, arrived) = (reached(self.end, sent.sent), reached(self.end, sent.acked));
        let mut news = Vec::new();
        for (bit, what, is) in [
            (bits::TX_SCHED, STAMP_SCHEDULED, left),
            (bits::TX_SOFTWARE, STAMP_SENT, left),
            (bits::TX_ACK, STAMP_ACKED, arrived),
        ] {
            if is && self.stamps & bit != 0 {
                self.stamps &= !bit;
                news.push(Message::Stamp { what, key, at: now });
            }
        }
        if arrived || sent.over {
            news.extend(self.zerocopy.take().map(|id| Message::Copied(id, id)));
        }
        news
    }
}

/// Adds to the last message what continues it (`skb_zerocopy_notify_extend`).
fn add(queue: &mut VecDeque<Message>, message: Message) {
    match (queue.back_mut(), message) {
        (Some(Message::Copied(_, last)), Message::Copied(next, _)) if last.wrapping_add(1) == next => *last = next,
        _ => queue.push_back(message),
    }
}

/// True if `position` is not behind `end`.
fn reached(end: u32, position: u32) -> bool {
    position.wrapping_sub(end).cast_signed() >= 0
}

/// `struct sock_extended_err`, and the offender that nobody is.
fn extended_error(errno: u32, origin: u8, code: u8, info: u32, data: u32) -> Vec<u8> {
    let head = errno.to_ne_bytes().into_iter().chain([origin, 0, code, 0]);
    let all = head.chain(info.to_ne_bytes()).chain(data.to_ne_bytes());
    all.chain([0; size_of::<libc::sockaddr_in>()]).collect()
}

/// `struct scm_timestamping`: by software, and twice nothing.
fn stamp(at: Instant) -> Vec<u8> {
    let (seconds, nanos) =
        ((at.as_nanos() / 1_000_000_000).cast_signed(), (at.as_nanos() % 1_000_000_000).cast_signed());
    let first = seconds.to_ne_bytes().into_iter().chain(nanos.to_ne_bytes());
    first.chain([0; 2 * size_of::<libc::timespec>()]).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
