//! Clients: who may connect, what each gets, and how its end is noticed.
//!
//! Owns the listening socket and one connection per client. The connection carries the handshake and nothing else; that it
//! closes is how either side learns that the other is dead.

use crate::config::{Client, Config};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{
    AddressFamily, RecvFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, listen, recv, socket_with,
};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tracing::{info, warn};
use xmit_dataplane::errno::{EACCES, EMFILE, ENOMEM, EPROTO};
use xmit_nic::{Duration, Instant};
use xmit_shared::clock;
use xmit_shared::handshake::{HandshakeError, receive_hello, send_refusal, send_welcome};
use xmit_shared::session::{LaneEnd, SLOTS_MAX, SessionConfig, create};

/// Clients waiting to be accepted; more wait in their own `connect`.
const BACKLOG: i32 = 64;

/// Entries of a session's control rings: more calls at once wait in the client.
const CONTROL_ENTRIES: u32 = 64;

/// A client says hello right after it connected; one that does not is not to keep a place for ever.
const HELLO_LIMIT: Duration = Duration::from_secs(5);

/// One connected process.
#[derive(Debug)]
pub struct Peer {
    connection: OwnedFd,
    /// Its process.
    pub pid: u32,
    /// Its user.
    pub uid: u32,
    /// What it calls itself; empty until it said hello.
    pub name: String,
    /// It has its region.
    pub served: bool,
    /// When it connected.
    since: Instant,
}

/// What an event on a connection led to.
#[derive(Debug)]
pub enum SessionEvent {
    /// A new client: its ends, one per lane.
    Opened {
        /// The session's name.
        session: u32,
        /// One per lane, in order.
        ends: Vec<LaneEnd>,
    },
    /// A client is gone.
    Closed {
        /// The session's name.
        session: u32,
    },
}

/// All clients and the socket that they come by.
#[derive(Debug)]
pub struct Sessions {
    listener: OwnedFd,
    path: PathBuf,
    lanes: u32,
    clients: BTreeMap<u32, Peer>,
    next: u32,
    first_token: usize,
}

impl Sessions {
    /// Listens at `path` for every user, with the tokens from `first_token` of `registry`.
    ///
    /// # Errors
    /// The kernel's, with the path.
    pub fn listen(path: &Path, lanes: u32, registry: &Registry, first_token: usize) -> io::Result<Self> {
        let explain = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(explain)?;
        }
        // The lock beside the socket says that no other daemon serves it, so a socket that stands there is stale.
        if let Ok(meta) = fs::symlink_metadata(path) {
            if !meta.file_type().is_socket() {
                return Err(explain(io::Error::other(
                    "exists and is not a socket: move it away, or name another path in [daemon] session_socket",
                )));
            }
            fs::remove_file(path).map_err(explain)?;
        }
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let listener = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        bind(&listener, &SocketAddrUnix::new(path)?).map_err(|e| explain(e.into()))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o666)).map_err(explain)?;
        listen(&listener, BACKLOG)?;
        registry.register(&mut SourceFd(&listener.as_raw_fd()), Token(first_token), Interest::READABLE)?;
        Ok(Self { listener, path: path.into(), lanes, clients: BTreeMap::new(), next: 1, first_token })
    }

    /// True if `token` is the listener's or a client's.
    pub fn owns(&self, token: Token) -> bool {
        token.0 >= self.first_token
    }

    /// The client called `session`.
    pub fn client(&self, session: u32) -> Option<&Peer> {
        self.clients.get(&session)
    }

    /// Clients with a region.
    pub fn served(&self) -> usize {
        self.clients.values().filter(|client| client.served).count()
    }

    /// Does what the event of `token` allows: a session may begin, end, or both.
    pub fn on_event(&mut self, token: Token, registry: &Registry, config: &Config) -> Vec<SessionEvent> {
        if token.0 == self.first_token {
            self.accept(registry, &config.client);
            return Vec::new();
        }
        let session = (token.0 - self.first_token) as u32;
        // Events come once: what arrived together with the hello is looked at now or never.
        std::iter::from_fn(|| self.drive(session, registry, config)).collect()
    }

    /// The next time that [`Sessions::expire`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        let waiting = self.clients.values().filter(|client| !client.served);
        waiting.map(|client| client.since + HELLO_LIMIT).min()
    }

    /// Ends connections that never said hello.
    pub fn expire(&mut self, now: Instant, registry: &Registry) {
        let late = |client: &Peer| !client.served && now >= client.since + HELLO_LIMIT;
        let all: Vec<u32> = self.clients.iter().filter(|(_, client)| late(client)).map(|(id, _)| *id).collect();
        for session in all {
            warn!("process {} connected and said no hello", self.clients.get(&session).map_or(0, |c| c.pid));
            self.end(session, registry);
        }
    }

    /// Ends a session: its connection closes, which its client notices at once.
    pub fn end(&mut self, session: u32, registry: &Registry) {
        if let Some(client) = self.clients.remove(&session) {
            let _ = registry.deregister(&mut SourceFd(&client.connection.as_raw_fd()));
            info!("session {session} of process {} ({}) ended", client.pid, client.name);
        }
    }

    /// Bounded by the backlog.
    fn accept(&mut self, registry: &Registry, quota: &Client) {
        loop {
            let connection = match accept_with(&self.listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(connection) => connection,
                Err(Errno::INTR | Errno::CONNABORTED) => continue,
                Err(Errno::AGAIN) => return,
                Err(error) => return warn!("clients cannot be accepted: {error}"),
            };
            if let Err(why) = self.admit(connection, registry, quota) {
                warn!("a client was refused: {why}");
            }
        }
    }

    fn admit(&mut self, connection: OwnedFd, registry: &Registry, quota: &Client) -> io::Result<()> {
        let peer = socket_peercred(&connection)?;
        let (uid, gid) = (peer.uid.as_raw(), peer.gid.as_raw());
        let refuse = |errno, text: String| {
            // A hello left unread would turn our closing into a reset, and the client would not see why.
            let _ = recv(&connection, &mut [0u8; 512][..], RecvFlags::DONTWAIT);
            let _ = send_refusal(connection.as_fd(), errno, &text);
            Err(io::Error::other(text))
        };
        if !quota.admits(uid, gid, rustix::process::geteuid().as_raw()) {
            return refuse(
                EACCES,
                format!("user {uid} is not in [client] allowed_uids, nor group {gid} in allowed_gids"),
            );
        }
        if self.clients.len() as u32 >= quota.sessions_max {
            return refuse(
                EMFILE,
                format!("{} clients are connected: raise [client] sessions_max", quota.sessions_max),
            );
        }
        let since = clock::monotonic();
        let session = self.next;
        self.next = self.next.wrapping_add(1).max(1);
        let token = Token(self.first_token + session as usize);
        registry.register(&mut SourceFd(&connection.as_raw_fd()), token, Interest::READABLE)?;
        let pid = peer.pid.as_raw_nonzero().get().unsigned_abs();
        self.clients.insert(session, Peer { connection, pid, uid, name: String::new(), served: false, since });
        Ok(())
    }

    /// The hello of a new client, or the end of one.
    fn drive(&mut self, session: u32, registry: &Registry, config: &Config) -> Option<SessionEvent> {
        let client = self.clients.get_mut(&session)?;
        if client.served {
            return is_closed(&client.connection).then(|| {
                self.end(session, registry);
                SessionEvent::Closed { session }
            });
        }
        match greet(client, self.lanes, config) {
            Ok(Some(ends)) => {
                info!("session {session}: process {} of user {} ({})", client.pid, client.uid, client.name);
                Some(SessionEvent::Opened { session, ends })
            }
            Ok(None) => None,
            Err(why) => {
                warn!("process {} was refused: {why}", client.pid);
                self.end(session, registry);
                None
            }
        }
    }
}

impl Drop for Sessions {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// After the handshake a client has nothing to say: anything readable is its end, or no client of ours.
fn is_closed(connection: &OwnedFd) -> bool {
    match recv(connection, &mut [0u8; 16][..], RecvFlags::DONTWAIT) {
        Ok(_) => true,
        Err(error) => error != Errno::AGAIN && error != Errno::INTR,
    }
}

/// Reads the hello and answers with a region; `None` if it has not come yet.
fn greet(client: &mut Peer, lanes: u32, config: &Config) -> io::Result<Option<Vec<LaneEnd>>> {
    let connection = client.connection.as_fd();
    let hello = match receive_hello(connection) {
        Ok(hello) => hello,
        Err(HandshakeError::System(error)) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
        Err(error @ HandshakeError::Version { .. }) => {
            let _ = send_refusal(connection, EPROTO, &error.to_string());
            return Err(io::Error::other(error));
        }
        Err(error) => return Err(io::Error::other(error)),
    };
    let quota = &config.client;
    let ring = u32::try_from(quota.ring.0).unwrap_or(u32::MAX);
    let (stream_tx_bytes, stream_rx_bytes) = config.tcp.rings();
    // Whoever names no number gets what his quota allows.
    let wanted = if hello.sockets == 0 { SLOTS_MAX } else { hello.sockets.min(SLOTS_MAX) };
    let slots = wanted.min(quota.sockets_max).max(1);
    let sizes = SessionConfig {
        lanes,
        slots,
        control_entries: CONTROL_ENTRIES,
        tx_bytes: ring,
        rx_bytes: ring,
        stream_tx_bytes,
        stream_rx_bytes,
        memory_max: quota.memory.0,
    };
    let (ends, fds) = match create(&sizes) {
        Ok(made) => made,
        Err(error) => {
            let _ = send_refusal(connection, ENOMEM, &error.to_string());
            return Err(io::Error::other(error));
        }
    };
    send_welcome(connection, &fds).map_err(io::Error::other)?;
    client.name = hello.name;
    client.served = true;
    Ok(Some(ends))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Directory;
    use rustix::net::connect;

    #[test]
    fn who_says_no_hello_loses_its_place() {
        let directory = Directory::new("sessions-hello");
        let path = directory.path("session.sock");
        let poll = mio::Poll::new().unwrap();
        let mut sessions = Sessions::listen(&path, 1, poll.registry(), 0).unwrap();
        let silent = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        connect(&silent, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        sessions.on_event(Token(0), poll.registry(), &Config::default());
        let deadline = sessions.next_deadline().unwrap();
        sessions.expire(deadline - Duration::from_nanos(1), poll.registry());
        assert_eq!(sessions.clients.len(), 1);
        sessions.expire(deadline, poll.registry());
        assert_eq!((sessions.clients.len(), sessions.next_deadline()), (0, None));
        assert_eq!(
            recv(&silent, &mut [0u8; 8][..], RecvFlags::empty()).map(|(n, _)| n),
            Ok(0),
            "its connection is closed"
        );
    }
}
