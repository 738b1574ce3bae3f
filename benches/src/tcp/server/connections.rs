//! The server's connections by number: the number is the key that an event carries.

use super::connection::Connection;

/// Numbers below are the listeners'.
pub(super) const FIRST: usize = super::Service::ALL.len();

#[derive(Debug)]
pub(super) struct Connections<S> {
    entries: Vec<Option<Connection<S>>>,
    free: Vec<usize>,
}

impl<S> Connections<S> {
    pub(super) fn new() -> Self {
        Self { entries: Vec::new(), free: Vec::new() }
    }

    /// Keeps a connection and answers its key.
    pub(super) fn insert(&mut self, connection: Connection<S>) -> usize {
        let index = self.free.pop().unwrap_or(self.entries.len());
        match self.entries.get_mut(index) {
            Some(entry) => *entry = Some(connection),
            None => self.entries.push(Some(connection)),
        }
        index + FIRST
    }

    pub(super) fn get_mut(&mut self, key: usize) -> Option<&mut Connection<S>> {
        self.entries.get_mut(key.checked_sub(FIRST)?)?.as_mut()
    }

    /// Drops a connection, which closes it.
    pub(super) fn remove(&mut self, key: usize) {
        let Some(index) = key.checked_sub(FIRST) else { return };
        if self.entries.get_mut(index).and_then(Option::take).is_some() {
            self.free.push(index);
        }
    }
}
