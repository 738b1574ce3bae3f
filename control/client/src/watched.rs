//! The streams of one poller: looked at when there is news of them, and again as long as they are ready.
//!
//! A wait costs what happened, not what is watched: of a thousand idle connections none is touched.
//!
//! Invariant: a stream that is ready is `hot`, or marked in `news`.

use crate::news::News;
use crate::poller::{Event, Interest};
use crate::session::Inner;
use crate::slot::Slot;
use crate::tcp::{Readiness, TcpSocket};
use std::sync::{Arc, Weak};

/// Streams by slot.
#[derive(Debug)]
pub(crate) struct Watched {
    news: Arc<News>,
    entries: Vec<Option<Watch>>,
    hot: Vec<u32>,
    /// Slots whose room is waited for.
    writers: Vec<u32>,
}

#[derive(Debug)]
struct Watch {
    key: usize,
    interest: Interest,
    socket: Weak<TcpSocket>,
    hot: bool,
}

impl Watched {
    pub(crate) fn new(session: &Inner) -> Self {
        let entries = (0..session.shared.config().slots).map(|_| None).collect();
        Self { news: session.news(), entries, hot: Vec::new(), writers: Vec::new() }
    }

    /// Watches `socket`, or for something else of it than before.
    pub(crate) fn add(&mut self, socket: &Arc<TcpSocket>, key: usize, interest: Interest) {
        let slot = socket.index();
        self.writers.retain(|other| *other != slot);
        if interest.writable {
            self.writers.push(slot);
        }
        if let Some(entry) = self.entries.get_mut(slot as usize) {
            *entry = Some(Watch { key, interest, socket: Arc::downgrade(socket), hot: false });
        }
        self.heat(slot);
    }

    pub(crate) fn remove(&mut self, key: usize) {
        for entry in &mut self.entries {
            entry.take_if(|entry| entry.key == key);
        }
        let entries = &self.entries;
        self.writers.retain(|slot| entries.get(*slot as usize).is_some_and(Option::is_some));
    }

    /// The slots on whose room somebody waits.
    pub(crate) fn writers(&self) -> &[u32] {
        &self.writers
    }

    /// Adds what is ready to `events`. Bounded by what is marked or was ready before.
    pub(crate) fn look(&mut self, session: &Inner, events: &mut Vec<Event>) {
        session.collect_news();
        let news = self.news.clone();
        news.take(|slot| self.heat(slot));
        if session.is_down() {
            (0..self.entries.len() as u32).for_each(|slot| self.heat(slot));
        }
        let mut hot = std::mem::take(&mut self.hot);
        hot.retain(|slot| {
            let Some(entry) = self.entries.get_mut(*slot as usize) else { return false };
            let Some((watch, ready)) =
                entry.as_mut().and_then(|watch| watch.readiness(session, *slot).map(|r| (watch, r)))
            else {
                *entry = None;
                self.writers.retain(|other| other != slot);
                return false;
            };
            let event = Event::of(watch.key, watch.interest, ready);
            watch.hot = event.is_some();
            events.extend(event);
            watch.hot
        });
        self.hot = hot;
    }

    /// True if there may be something to see that [`Self::look`] has not seen.
    pub(crate) fn has_news(&self, session: &Inner) -> bool {
        session.collect_news();
        self.news.any()
    }

    fn heat(&mut self, slot: u32) {
        let watch = self.entries.get_mut(slot as usize).and_then(Option::as_mut);
        if watch.is_some_and(|watch| !std::mem::replace(&mut watch.hot, true)) {
            self.hot.push(slot);
        }
    }
}

impl Watch {
    /// How the socket in `slot` stands; `None` if it was dropped.
    #[inline]
    fn readiness(&self, session: &Inner, slot: u32) -> Option<Readiness> {
        if self.socket.strong_count() == 0 {
            return None;
        }
        // Nearly always the slot tells, and the socket's reference count stays untouched.
        let slot = session.slots.get(slot as usize).filter(|_| !self.interest.writable && !session.is_down());
        slot.and_then(Slot::usual_readiness).or_else(|| self.look_closely())
    }

    fn look_closely(&self) -> Option<Readiness> {
        Some(self.socket.upgrade()?.readiness_for(self.interest.writable))
    }
}
