//! How a client gets its session: two messages over the daemon's Unix socket (`SOCK_SEQPACKET`).
//!
//! ```text
//!  client -> daemon   Hello    "xmit" | version | sockets wanted | (zero) | name, 32 bytes
//!  daemon -> client   Welcome  "xmit" | version | errno | lanes | text of a refusal
//!                     with descriptors: region, the client's bell, one bell for each lane
//! ```
//!
//! The connection stays open for the life of the session and carries nothing more: when one side closes it, the other side is
//! dead. A client then reports `ENETDOWN` on every socket; the daemon frees all that the client had.
//!
//! Invariants: a signal (`EINTR`) interrupts no step, as a socket with a time limit is not restarted by the kernel (signal(7)); a
//! message is read whole or refused; descriptors that a client sends are dropped by the kernel, never received.
//! Called by the daemon's acceptor and by the `xmit` crate.

use crate::session::{ABI_VERSION, ClientFds, LANES_MAX};
use core::time::Duration;
use rustix::io::retry_on_intr;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketAddrUnix, SocketFlags, SocketType, recv, recvmsg, send, sendmsg, socket_with,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use thiserror::Error;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// What operators shall call it; the first 32 bytes count.
    pub name: String,
    /// Sockets it wants at once; 0 leaves that to the daemon. The daemon may give fewer.
    pub sockets: u32,
}

/// Why there is no session.
#[derive(Debug, Error)]
pub enum HandshakeError {
    /// Nobody serves the socket.
    #[error("no xmitd serves {path}: {error}; start xmitd or set XMIT_SOCKET")]
    NoDaemon {
        /// The socket's path.
        path: String,
        /// The kernel's word.
        error: io::Error,
    },
    /// The other side speaks another version.
    #[error("the other side speaks version {theirs} of the session, this one {ABI_VERSION}: use both of one release")]
    Version {
        /// Its version.
        theirs: u32,
    },
    /// The daemon refuses.
    #[error("xmitd refused the session: {text}")]
    Refused {
        /// The errno it gives.
        errno: i32,
        /// Its reason.
        text: String,
    },
    /// Not a message of this protocol.
    #[error("the other side of the session's socket does not speak xmit: {0}")]
    Malformed(&'static str),
    /// The socket failed.
    #[error("the session's socket failed: {0}")]
    System(#[from] io::Error),
}

const MAGIC: u32 = u32::from_ne_bytes(*b"xmit");
const HELLO_BYTES: usize = 48;
const WELCOME_BYTES: usize = 16;
const NAME_BYTES: usize = HELLO_BYTES - 16;
/// Bytes of a refusal's text that are sent.
const TEXT_MAX: usize = 400;
/// The daemon answers from an idle control thread in microseconds; longer than this and it hangs.
const ANSWER_MAX: Duration = Duration::from_secs(5);
const FDS_MAX: usize = 2 + LANES_MAX as usize;

/// Client: connects to the daemon at `path` and asks for a session. Answers the connection, which must be kept, and what
/// [`crate::session::attach`] needs.
///
/// # Errors
/// [`HandshakeError`], each with its cure.
pub fn connect(path: &Path, hello: &Hello) -> Result<(OwnedFd, ClientFds), HandshakeError> {
    let no_daemon =
        |error: rustix::io::Errno| HandshakeError::NoDaemon { path: path.display().to_string(), error: error.into() };
    let address = SocketAddrUnix::new(path).map_err(no_daemon)?;
    let socket =
        socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).map_err(io::Error::from)?;
    set_socket_timeout(&socket, Timeout::Recv, Some(ANSWER_MAX)).map_err(io::Error::from)?;
    retry_on_intr(|| rustix::net::connect(&socket, &address)).map_err(no_daemon)?;
    let sent = send_hello(socket.as_fd(), hello);
    let answer = match receive_welcome(socket.as_fd()) {
        // A daemon that refuses at the door does not read the hello. The kernel then reports a reset, or that the hello
        // went nowhere, before it hands out the reason.
        Err(HandshakeError::System(error)) if error.kind() == io::ErrorKind::ConnectionReset => {
            receive_welcome(socket.as_fd())
        }
        answer => answer,
    };
    match (sent, answer) {
        (Err(error), Err(HandshakeError::System(_) | HandshakeError::Malformed(_))) => Err(error),
        (_, answer) => Ok((socket, answer?)),
    }
}

/// Client: asks for a session on a connection.
///
/// # Errors
/// If the socket fails.
pub fn send_hello(socket: BorrowedFd<'_>, hello: &Hello) -> Result<(), HandshakeError> {
    let mut message = words([MAGIC, ABI_VERSION, hello.sockets, 0]).to_vec();
    message.extend(hello.name.bytes().take(NAME_BYTES));
    message.resize(HELLO_BYTES, 0);
    retry_on_intr(|| send(socket, &message, SendFlags::NOSIGNAL)).map_err(io::Error::from)?;
    Ok(())
}

/// Daemon: reads what a client asks for. On a non-blocking socket an early call gives `WouldBlock` in
/// [`HandshakeError::System`].
///
/// # Errors
/// [`HandshakeError`]; answer [`HandshakeError::Version`] with a refusal, close the connection on all others.
pub fn receive_hello(socket: BorrowedFd<'_>) -> Result<Hello, HandshakeError> {
    let mut message = [0; HELLO_BYTES + 1];
    // Without room for ancillary data the kernel closes descriptors that the client sends along.
    let (_, len) = retry_on_intr(|| recv(socket, &mut message[..], RecvFlags::empty())).map_err(io::Error::from)?;
    let message = message.get(..len).unwrap_or_default();
    if message.is_empty() {
        return Err(HandshakeError::Malformed("it hung up before it said anything"));
    }
    let [sockets, _] = check_start(message)?;
    let name = message.get(16..HELLO_BYTES).filter(|_| message.len() == HELLO_BYTES);
    let name = name.ok_or(HandshakeError::Malformed("a hello of the wrong length"))?;
    let name = String::from_utf8_lossy(name.split(|byte| *byte == 0).next().unwrap_or_default());
    // The name goes to logs and terminals.
    let name = name.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    Ok(Hello { name, sockets })
}

/// Daemon: gives the client its session. Drop `fds` afterwards: the client has its own copies.
///
/// # Errors
/// If the socket fails; the client is gone then.
pub fn send_welcome(socket: BorrowedFd<'_>, fds: &ClientFds) -> Result<(), HandshakeError> {
    let message = words([MAGIC, ABI_VERSION, 0, fds.lane_bells.len() as u32]);
    let all: Vec<_> = [&fds.memory, &fds.bell].into_iter().chain(&fds.lane_bells).map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(&all)) {
        return Err(HandshakeError::Malformed("more lanes than one message carries"));
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    sendmsg(socket, &[IoSlice::new(&message)], &mut ancillary, flags).map_err(io::Error::from)?;
    Ok(())
}

/// Daemon: refuses, with a positive `errno` and one sentence that names the cure.
///
/// # Errors
/// If the socket fails; the client is gone then.
pub fn send_refusal(socket: BorrowedFd<'_>, errno: i32, text: &str) -> Result<(), HandshakeError> {
    let mut message = words([MAGIC, ABI_VERSION, errno.max(1).cast_unsigned(), 0]).to_vec();
    message.extend(text.bytes().take(TEXT_MAX));
    send(socket, &message, SendFlags::NOSIGNAL | SendFlags::DONTWAIT).map_err(io::Error::from)?;
    Ok(())
}

/// Client: reads the daemon's answer.
///
/// # Errors
/// [`HandshakeError`], among them the daemon's refusal.
pub fn receive_welcome(socket: BorrowedFd<'_>) -> Result<ClientFds, HandshakeError> {
    let mut message = [0; WELCOME_BYTES + TEXT_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = retry_on_intr(|| {
        recvmsg(socket, &mut [IoSliceMut::new(&mut message)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)
    })
    .map_err(io::Error::from)?;
    let mut fds = ancillary
        .drain()
        .filter_map(|item| if let RecvAncillaryMessage::ScmRights(fds) = item { Some(fds) } else { None })
        .flatten();
    let message = message.get(..received.bytes).unwrap_or_default();
    if message.is_empty() {
        return Err(HandshakeError::Malformed("it hung up without an answer"));
    }
    let [errno, lanes] = check_start(message)?;
    if errno != 0 {
        let text = String::from_utf8_lossy(message.get(WELCOME_BYTES..).unwrap_or_default()).into_owned();
        return Err(HandshakeError::Refused { errno: errno.cast_signed(), text });
    }
    let (memory, bell) = (fds.next(), fds.next());
    let lane_bells: Vec<_> = fds.collect();
    match (memory, bell) {
        (Some(memory), Some(bell)) if lane_bells.len() == lanes as usize => Ok(ClientFds { memory, bell, lane_bells }),
        _ => Err(HandshakeError::Malformed(
            "a welcome without all its descriptors (is the limit of open files reached?)",
        )),
    }
}

/// Checks magic and version, and answers the two words behind them.
fn check_start(message: &[u8]) -> Result<[u32; 2], HandshakeError> {
    let word = |i: usize| message.as_chunks::<4>().0.get(i).map(|word| u32::from_ne_bytes(*word));
    match (word(0), word(1), word(2), word(3)) {
        (Some(MAGIC), Some(ABI_VERSION), Some(a), Some(b)) => Ok([a, b]),
        (Some(MAGIC), Some(theirs), ..) if theirs != ABI_VERSION => Err(HandshakeError::Version { theirs }),
        (Some(MAGIC), ..) => Err(HandshakeError::Malformed("a message that ends too early")),
        _ => Err(HandshakeError::Malformed("a message that does not begin with \"xmit\"")),
    }
}

fn words(words: [u32; 4]) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (chunk, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *chunk = word.to_ne_bytes();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;
    use crate::session::{self, SessionConfig, SessionError};
    use rustix::net::socketpair;

    fn pair() -> (OwnedFd, OwnedFd) {
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap()
    }

    #[test]
    fn a_session_crosses_the_socket() {
        let (client, daemon) = pair();
        let hello = Hello { name: "echo\nserver".into(), sockets: 9 };
        send_hello(client.as_fd(), &hello).unwrap();
        assert_eq!(receive_hello(daemon.as_fd()).unwrap(), Hello { name: "echo?server".into(), sockets: 9 });
        let (mut lanes, fds) = session::create(&SessionConfig { lanes: 2, ..SessionConfig::default() }).unwrap();
        send_welcome(daemon.as_fd(), &fds).unwrap();
        drop(fds);
        let mut end = session::attach(receive_welcome(client.as_fd()).unwrap()).unwrap();
        let submission = session::Submission { token: 5, slot: 1, op: session::Op::Close };
        lanes[1].prepare_sleep();
        assert!(end.lanes[1].submit(&submission).unwrap());
        let mut poll = [rustix::event::PollFd::from_borrowed_fd(lanes[1].bell(), rustix::event::PollFlags::IN)];
        assert_eq!(rustix::event::poll(&mut poll, Some(&rustix::time::Timespec::default())), Ok(1), "the bell rang");
        assert_eq!(lanes[1].next_submission().unwrap(), Some(submission));
    }

    #[test]
    fn refusals_and_strangers_are_told_apart() {
        let (client, daemon) = pair();
        send_refusal(daemon.as_fd(), 13, "uid 7 may not; allow it in [sessions]").unwrap();
        let error = receive_welcome(client.as_fd()).unwrap_err();
        assert!(matches!(&error, HandshakeError::Refused { errno: 13, text } if text.starts_with("uid 7")), "{error}");
        for (message, expected) in [
            (&b"GET / HTTP/1.0\r\n\r\n"[..], "begin with"),
            (b"xmit", "too early"),
            (&words([MAGIC, ABI_VERSION + 1, 0, 0]), "speaks version 7"),
            (&words([MAGIC, ABI_VERSION, 0, 0]), "wrong length"),
        ] {
            send(&client, message, SendFlags::empty()).unwrap();
            let error = receive_hello(daemon.as_fd()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        send(&daemon, &words([MAGIC, ABI_VERSION, 0, 1]), SendFlags::empty()).unwrap();
        assert!(receive_welcome(client.as_fd()).unwrap_err().to_string().contains("descriptors"));
        drop(client);
        assert!(receive_hello(daemon.as_fd()).unwrap_err().to_string().contains("hung up"));
    }

    #[test]
    fn a_region_that_is_not_the_daemons_is_refused() {
        let (_lanes, fds) = session::create(&SessionConfig::default()).unwrap();
        let (memory, _) = Memory::sealed("other", 1 << 20).unwrap();
        let error = session::attach(ClientFds { memory, ..fds }).unwrap_err();
        assert!(matches!(error, SessionError::Header(_)), "{error}");
        let (_lanes, fds) = session::create(&SessionConfig::default()).unwrap();
        let error = session::attach(ClientFds { lane_bells: Vec::new(), ..fds }).unwrap_err();
        assert!(matches!(error, SessionError::Header(_)), "{error}");
        assert!(connect(Path::new("/nonexistent/xmit.sock"), &Hello { name: String::new(), sockets: 0 }).is_err());
    }
}
