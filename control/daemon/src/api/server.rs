//! The daemon's end of the operator API, driven by the control thread's event loop.
//!
//! Owns the listening socket and its clients. The event loop hands over the events whose token [`Server::owns`] and a
//! closure that answers. Tokens are `first` (the listener) to `first + CLIENTS_MAX`.
//!
//! Invariants:
//! * nothing here waits: a client's bytes are taken and given as its socket allows;
//! * at most one answer per client is pending, and while it is, no further question is read from it;
//! * at most [`CLIENTS_MAX`] clients: a further one takes the place of the one that has been quiet for longest.

mod connection;

use super::{Request, Response};
use crate::unix_socket::{UnixSocket, UnixSocketError};
use connection::{Connection, Progress};
use mio::{Interest, Registry, Token};
use std::io;
use std::path::Path;
use xmit_shared::Instant;

/// Clients at once. More than all tools of one operator; few enough that their buffers do not matter.
pub const CLIENTS_MAX: usize = 32;

/// Tokens that the server needs, from its first.
pub const TOKENS: usize = CLIENTS_MAX + 1;

/// The daemon's end of the operator API.
#[derive(Debug)]
pub struct Server {
    socket: UnixSocket,
    first: usize,
    clients: [Option<Connection>; CLIENTS_MAX],
}

impl Server {
    /// Listens at `path`, for the daemon's user only, with the tokens `first .. first + TOKENS` of `registry`.
    ///
    /// # Errors
    /// As [`UnixSocket::listen`].
    pub fn listen(path: &Path, registry: &Registry, first: usize) -> Result<Self, UnixSocketError> {
        let mut socket = UnixSocket::listen(path, 0o600)?;
        registry.register(&mut socket, Token(first), Interest::READABLE).map_err(|error| UnixSocketError::Io {
            doing: "watch",
            path: path.into(),
            error,
        })?;
        Ok(Self { socket, first, clients: [const { None }; CLIENTS_MAX] })
    }

    /// True if an event with `token` belongs to this server.
    pub fn owns(&self, token: Token) -> bool {
        (self.first..self.first + TOKENS).contains(&token.0)
    }

    /// Clients that are connected.
    pub fn clients(&self) -> usize {
        self.clients.iter().flatten().count()
    }

    /// Does what the event of `token` allows: takes new clients, or reads questions, answers them by `answer` and
    /// writes. An error is the listener's and is for the log; a client's errors end that client.
    pub fn on_event(
        &mut self,
        now: Instant,
        token: Token,
        registry: &Registry,
        answer: &mut dyn FnMut(Request) -> Response,
    ) -> io::Result<()> {
        match token.0.checked_sub(self.first) {
            Some(0) => self.accept(now, registry),
            Some(index) if index <= CLIENTS_MAX => {
                self.drive(now, index - 1, registry, answer);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Takes all waiting clients; bounded by the listener's backlog.
    fn accept(&mut self, now: Instant, registry: &Registry) -> io::Result<()> {
        while let Some(mut stream) = self.socket.accept()? {
            let place = self.place(registry);
            let token = Token(self.first + 1 + place);
            if registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE).is_ok() {
                self.clients[place] = Some(Connection::new(stream, now));
            }
        }
        Ok(())
    }

    /// An empty place, made by ending the quietest client if there is none.
    fn place(&mut self, registry: &Registry) -> usize {
        let quietest = |place: &usize| self.clients[*place].as_ref().map_or(Instant::ZERO, |c| c.active);
        let place = (0..CLIENTS_MAX)
            .find(|place| self.clients[*place].is_none())
            .or_else(|| (0..CLIENTS_MAX).min_by_key(quietest))
            .unwrap_or(0);
        self.end(place, registry);
        place
    }

    fn drive(&mut self, now: Instant, place: usize, registry: &Registry, answer: &mut dyn FnMut(Request) -> Response) {
        let Some(client) = &mut self.clients[place] else { return };
        match client.drive(now, answer) {
            Progress::Waiting => {}
            // Registering again makes the kernel report what is still ready, after everybody else had a turn.
            Progress::MoreToDo => {
                let token = Token(self.first + 1 + place);
                let interests = Interest::READABLE | Interest::WRITABLE;
                if registry.reregister(&mut client.stream, token, interests).is_err() {
                    self.end(place, registry);
                }
            }
            Progress::Ended => self.end(place, registry),
        }
    }

    fn end(&mut self, place: usize, registry: &Registry) {
        if let Some(mut client) = self.clients[place].take() {
            _ = registry.deregister(&mut client.stream);
        }
    }
}

#[cfg(test)]
mod tests;
