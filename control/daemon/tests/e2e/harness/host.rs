//! The kernel's end: ping, and a TCP connection that must go on whatever the daemon does.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use xmit_netns::{Netns, NetnsError};

use super::LIMIT;

/// The kernel's host.
pub(crate) const HOST: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// Pings `to` from `netns` until three packets were answered. What a busy machine answers late, or an emulated card
/// loses, is asked again.
pub(crate) fn ping(netns: &Netns, to: Ipv4Addr) -> Result<String, NetnsError> {
    netns.command(&format!("ping -n -c 3 -i 0.1 -w 20 {to}"))
}

/// The client's end of such a connection.
pub(crate) struct Lines {
    stream: BufReader<TcpStream>,
    sent: usize,
}

/// A kernel server that sends every line back, as a shell behind SSH would.
pub(crate) struct Tcp;

impl Tcp {
    /// Listens in `server` on `address` and connects from `client`. The server's thread ends with the connection.
    pub(crate) fn connect(client: &Netns, server: &Netns, address: SocketAddr) -> Lines {
        let listener = server.run(|| TcpListener::bind(address)).unwrap().unwrap();
        let stream = client.run(|| TcpStream::connect_timeout(&address, LIMIT)).unwrap().unwrap();
        let (served, _) = listener.accept().unwrap();
        std::thread::spawn(move || {
            let mut answers = served.try_clone()?;
            io::copy(&mut BufReader::new(served), &mut answers)
        });
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Lines { stream: BufReader::new(stream), sent: 0 }
    }
}

impl Lines {
    /// A few lines go there and back.
    pub(crate) fn go_on(&mut self) {
        for _ in 0..10 {
            self.sent += 1;
            let line = format!("line {}\n", self.sent);
            self.stream.get_mut().write_all(line.as_bytes()).unwrap();
            let mut answer = String::new();
            self.stream.read_line(&mut answer).unwrap();
            assert_eq!(answer, line);
        }
    }
}

/// Repeats a call of the kernel that a passing signal interrupted: `std` does so for streams, but not for datagrams.
pub(crate) fn again<R>(mut call: impl FnMut() -> io::Result<R>) -> io::Result<R> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}
