//! Sockets of the kernel and of xmit with the same calls.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, connect, listen, recv, send, sendto,
    socket_with, sockopt,
};
use xmit::{MsgFlags, SocketOption};
use xmit_netns::Netns;

use crate::harness::LIMIT;

/// A host that makes sockets: the kernel of a namespace, or a session with xmitd.
pub(super) enum Host<'a> {
    Kernel(&'a Netns, Ipv4Addr),
    Xmit(&'a xmit::Session, Ipv4Addr),
}

/// A listener of either kind.
pub(super) enum Listener {
    Kernel(std::net::TcpListener),
    Xmit(xmit::TcpListener),
}

/// A connection of either kind; reading and writing wait at most [`LIMIT`].
pub(super) enum Stream {
    Kernel(std::net::TcpStream),
    Xmit(xmit::TcpStream),
}

/// What a listener shall be like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listening {
    pub(super) backlog: u32,
    /// `SO_RCVBUF` of its connections.
    pub(super) receive_buffer: Option<u32>,
    /// `TCP_FASTOPEN`. The kernel's listeners have it by `net.ipv4.tcp_fastopen`.
    pub(super) fast_open: bool,
}

impl Default for Listening {
    fn default() -> Self {
        Self { backlog: 128, receive_buffer: None, fast_open: false }
    }
}

/// `MSG_FASTOPEN`: connects and sends in one call, with a cookie if there is one.
const MSG_FASTOPEN: SendFlags = SendFlags::from_bits_retain(0x2000_0000);

impl Host<'_> {
    pub(super) fn address(&self) -> Ipv4Addr {
        match self {
            Self::Kernel(_, address) | Self::Xmit(_, address) => *address,
        }
    }

    pub(super) fn is_xmit(&self) -> bool {
        matches!(self, Self::Xmit(..))
    }

    /// Listens on a port of the system's choice.
    pub(super) fn listen(&self, listening: Listening) -> Listener {
        let any = SocketAddrV4::new(self.address(), 0);
        match self {
            Self::Kernel(netns, _) => {
                let socket = kernel_socket(netns);
                listening.receive_buffer.iter().for_each(|bytes| {
                    sockopt::set_socket_recv_buffer_size(&socket, *bytes as usize).unwrap();
                });
                bind(&socket, &any).unwrap();
                listen(&socket, listening.backlog.cast_signed()).unwrap();
                Listener::Kernel(socket.into())
            }
            Self::Xmit(session, _) => {
                let socket = xmit::TcpSocket::new(session).unwrap();
                listening.receive_buffer.iter().for_each(|bytes| {
                    socket.set_option(SocketOption::ReceiveBuffer, bytes.cast_signed()).unwrap();
                });
                if listening.fast_open {
                    socket.set_option(SocketOption::FastOpen, 16).unwrap();
                }
                socket.bind(any).unwrap();
                let listener = xmit::TcpListener::listen(socket, listening.backlog).unwrap();
                listener.set_accept_timeout(Some(LIMIT)).unwrap();
                Listener::Xmit(listener)
            }
        }
    }

    pub(super) fn connect(&self, to: SocketAddr) -> io::Result<Stream> {
        self.connect_timeout(to, LIMIT)
    }

    pub(super) fn connect_timeout(&self, to: SocketAddr, timeout: Duration) -> io::Result<Stream> {
        Ok(patient(match self {
            Self::Kernel(netns, _) => {
                Stream::Kernel(netns.run(|| std::net::TcpStream::connect_timeout(&to, timeout)).unwrap()?)
            }
            Self::Xmit(session, _) => Stream::Xmit(xmit::TcpStream::connect_timeout_in(session, &to, timeout)?),
        }))
    }

    /// Connects with `TCP_USER_TIMEOUT`, without a limit of the call's own.
    pub(super) fn connect_user_timeout(&self, to: SocketAddr, timeout: Duration) -> io::Result<Stream> {
        let millis = timeout.as_millis() as u32;
        Ok(patient(match self {
            Self::Kernel(netns, _) => {
                let socket = kernel_socket(netns);
                sockopt::set_tcp_user_timeout(&socket, millis).unwrap();
                connect(&socket, &to)?;
                Stream::Kernel(socket.into())
            }
            Self::Xmit(session, _) => {
                let socket = xmit::TcpSocket::new(session).unwrap();
                socket.set_option(SocketOption::UserTimeout, millis.cast_signed()).unwrap();
                connected(socket, to)?
            }
        }))
    }

    /// Connects with one repetition of its SYN at most: `TCP_SYNCNT`, for the kernel its default (`tcp_syn_retries`).
    pub(super) fn connect_syn_count(&self, to: SocketAddr) -> io::Result<Stream> {
        Ok(patient(match self {
            Self::Kernel(netns, _) => {
                netns.run(|| std::fs::write("/proc/sys/net/ipv4/tcp_syn_retries", "1")).unwrap().unwrap();
                let socket = kernel_socket(netns);
                connect(&socket, &to)?;
                Stream::Kernel(socket.into())
            }
            Self::Xmit(session, _) => {
                let socket = xmit::TcpSocket::new(session).unwrap();
                socket.set_option(SocketOption::SynCount, 1).unwrap();
                connected(socket, to)?
            }
        }))
    }

    /// Connects with fast open, `first` being what it sends first.
    pub(super) fn connect_fast_open(&self, to: SocketAddr, first: &[u8]) -> io::Result<Stream> {
        Ok(patient(match self {
            Self::Kernel(netns, _) => {
                let socket = kernel_socket(netns);
                assert_eq!(sendto(&socket, first, MSG_FASTOPEN, &to)?, first.len());
                Stream::Kernel(socket.into())
            }
            Self::Xmit(session, _) => {
                let socket = xmit::TcpSocket::new(session).unwrap();
                socket.set_option(SocketOption::FastOpenConnect, 1).unwrap();
                let mut stream = connected(socket, to)?;
                stream.write_all(first)?;
                stream
            }
        }))
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_xmit() { "xmit" } else { "the kernel" })
    }
}

fn kernel_socket(netns: &Netns) -> OwnedFd {
    let open = || socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None);
    netns.run(open).unwrap().unwrap()
}

fn connected(socket: xmit::TcpSocket, to: SocketAddr) -> io::Result<Stream> {
    let SocketAddr::V4(to) = to else { panic!("{to}") };
    socket.connect(to)?;
    Ok(Stream::Xmit(Arc::new(socket).into()))
}

fn patient(stream: Stream) -> Stream {
    stream.set_timeouts(LIMIT);
    stream
}

impl Listener {
    pub(super) fn address(&self) -> SocketAddr {
        match self {
            Self::Kernel(listener) => listener.local_addr().unwrap(),
            Self::Xmit(listener) => listener.local_addr().unwrap(),
        }
    }

    /// The next connection, within [`LIMIT`].
    pub(super) fn accept(&self) -> Stream {
        patient(match self {
            Self::Kernel(listener) => {
                let limit = Timespec::try_from(LIMIT).unwrap();
                let ready = retry_on_intr(|| poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&limit))).unwrap();
                assert_eq!(ready, 1, "nobody connects");
                Stream::Kernel(listener.accept().unwrap().0)
            }
            Self::Xmit(listener) => Stream::Xmit(listener.accept().unwrap().0),
        })
    }
}

impl Stream {
    pub(super) fn set_timeouts(&self, timeout: Duration) {
        let timeout = Some(timeout);
        match self {
            Self::Kernel(stream) => {
                stream.set_read_timeout(timeout).and_then(|()| stream.set_write_timeout(timeout)).unwrap();
            }
            Self::Xmit(stream) => {
                stream.set_read_timeout(timeout).and_then(|()| stream.set_write_timeout(timeout)).unwrap();
            }
        }
    }

    /// `SO_SNDBUF`: what is written and not acknowledged stays within it.
    pub(super) fn set_send_buffer(&self, bytes: u32) {
        match self {
            Self::Kernel(stream) => sockopt::set_socket_send_buffer_size(stream, bytes as usize).unwrap(),
            Self::Xmit(stream) => {
                stream.socket().set_option(SocketOption::SendBuffer, bytes.cast_signed()).unwrap();
            }
        }
    }

    /// Another handle of the same connection.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::Kernel(stream) => Self::Kernel(stream.try_clone().unwrap()),
            Self::Xmit(stream) => Self::Xmit(stream.try_clone().unwrap()),
        }
    }

    /// No more is sent; what comes is still read.
    pub(super) fn finish(&self) -> io::Result<()> {
        match self {
            Self::Kernel(stream) => stream.shutdown(Shutdown::Write),
            Self::Xmit(stream) => stream.shutdown(Shutdown::Write),
        }
    }

    /// Closes with a reset: `SO_LINGER` of zero.
    pub(super) fn reset(self) {
        match &self {
            Self::Kernel(stream) => sockopt::set_socket_linger(stream, Some(Duration::ZERO)).unwrap(),
            Self::Xmit(stream) => stream.set_linger(Some(Duration::ZERO)).unwrap(),
        }
    }

    /// Sends `bytes`, the last of which is urgent.
    pub(super) fn send_urgent(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Kernel(stream) => Ok(send(stream, bytes, SendFlags::OOB)?),
            Self::Xmit(stream) => {
                stream.socket().send_with(&[IoSlice::new(bytes)], MsgFlags { oob: true, ..MsgFlags::default() })
            }
        }
    }

    /// The urgent byte; `EINVAL` if there is none, `EAGAIN` if it has not come yet.
    pub(super) fn receive_urgent(&self) -> io::Result<u8> {
        let mut byte = [0];
        let len = match self {
            Self::Kernel(stream) => recv(stream, &mut byte[..], RecvFlags::OOB)?.0,
            Self::Xmit(stream) => {
                let flags = MsgFlags { oob: true, ..MsgFlags::default() };
                stream.socket().receive_with(&mut [IoSliceMut::new(&mut byte)], flags)?
            }
        };
        assert_eq!(len, 1);
        Ok(byte[0])
    }

    /// Everything up to the end of the stream.
    pub(super) fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        self.read_to_end(&mut all).map(|_| all)
    }

    /// Exactly `len` bytes.
    pub(super) fn exactly(&mut self, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.read_exact(&mut bytes).map(|()| bytes)
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Kernel(stream) => stream.read(buffer),
            Self::Xmit(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Kernel(stream) => stream.write(buffer),
            Self::Xmit(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
