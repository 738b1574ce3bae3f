//! The TCP of the demo: bytes that both ends know go there and come back, and each is compared.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::ProgressBar;
use xmit::Session;
use xmit_nic::rng::Rng;
use xmit_shared::clock;

use crate::Failure;
use crate::demo::narrator::{Narrator, go_on};
use crate::demo::not_shown;
use crate::demo::shown::Streamed;
use crate::namespace::inside;
use crate::wait::Interrupt;

/// A connection that is still for so long is broken.
const BROKEN_AFTER: Duration = Duration::from_secs(10);
/// Bytes of one write, and of one read at most.
const STEP: usize = 64 << 10;

/// A program of the kernel in namespace `from` asks the echo of xmit at `to`.
pub fn from_the_kernel(
    from: &str,
    to: SocketAddrV4,
    bytes: usize,
    narrator: &Narrator,
    interrupt: &Interrupt,
) -> Result<Streamed, Failure> {
    let stream = inside(from, "connect to xmit", || {
        let stream = TcpStream::connect_timeout(&SocketAddr::V4(to), BROKEN_AFTER)?;
        stream.set_read_timeout(Some(BROKEN_AFTER))?;
        stream.set_write_timeout(Some(BROKEN_AFTER))?;
        Ok(stream)
    })?;
    let end = |how| stream.shutdown(how);
    exchange("kernel to xmit", (&stream, &stream), end, bytes, narrator, interrupt)
}

/// A program on a session of xmitd asks an echo of the kernel at `to` in namespace `at`.
pub fn to_the_kernel(
    session: &Path,
    at: &str,
    to: SocketAddr,
    bytes: usize,
    narrator: &Narrator,
    interrupt: &Interrupt,
) -> Result<Streamed, Failure> {
    let echo = KernelEcho::start(at, to)?;
    let session = Session::connect(session).map_err(not_shown)?;
    let open = || {
        let stream = xmit::TcpStream::connect_timeout_in(&session, &echo.address, BROKEN_AFTER)?;
        stream.set_read_timeout(Some(BROKEN_AFTER))?;
        stream.set_write_timeout(Some(BROKEN_AFTER))?;
        Ok(stream)
    };
    let stream = open().map_err(Failure::io("connect from xmit"))?;
    let end = |how| stream.shutdown(how);
    exchange("xmit to kernel", (&stream, &stream), end, bytes, narrator, interrupt)
}

/// Sends and reads at the same time: what comes back is what was sent, in order, and then the end.
fn exchange(
    direction: &'static str,
    (reader, mut writer): (impl Read, impl Write + Send),
    end: impl Fn(Shutdown) -> io::Result<()> + Sync,
    bytes: usize,
    narrator: &Narrator,
    interrupt: &Interrupt,
) -> Result<Streamed, Failure> {
    let bar = narrator.bar("bytes", bytes as u32);
    let start = clock::monotonic();
    let end = &end;
    let mut shown = std::thread::scope(|scope| {
        // An error of the writer is the end of the connection, which the reader meets too.
        scope.spawn(move || write(&mut writer, bytes).and_then(|()| end(Shutdown::Write)));
        compare(reader, Streamed::new(direction, bytes), &bar, interrupt).inspect_err(|_| {
            // A writer that waits for room waits no longer. A connection that is over already has none.
            let _ = end(Shutdown::Both);
        })
    })?;
    bar.finish_and_clear();
    shown.seconds = clock::monotonic().saturating_since(start).as_secs_f64();
    Ok(shown)
}

/// Reads to the end.
fn compare(
    mut reader: impl Read,
    mut shown: Streamed,
    bar: &ProgressBar,
    interrupt: &Interrupt,
) -> Result<Streamed, Failure> {
    let (mut content, mut buffer) = (Content::new(), vec![0; STEP]);
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(shown),
            Ok(len) => {
                let came = buffer.get(..len).unwrap_or_default();
                shown.echoed += len;
                shown.wrong |= came != content.next(len);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::io("read what comes back by TCP")(error)),
        }
        bar.set_position(shown.echoed as u64);
        go_on(interrupt)?;
    }
}

fn write(writer: &mut impl Write, bytes: usize) -> io::Result<()> {
    let mut content = Content::new();
    let mut left = bytes;
    while left > 0 {
        let step = left.min(STEP);
        writer.write_all(&content.next(step))?;
        left -= step;
    }
    Ok(())
}

/// The bytes that both ends know.
struct Content {
    rng: Rng,
    ahead: Vec<u8>,
}

impl Content {
    fn new() -> Self {
        Self { rng: Rng::new(793), ahead: Vec::new() }
    }

    fn next(&mut self, len: usize) -> Vec<u8> {
        while self.ahead.len() < len {
            self.ahead.extend(self.rng.next_u64().to_ne_bytes());
        }
        let rest = self.ahead.split_off(len);
        std::mem::replace(&mut self.ahead, rest)
    }
}

/// An echo of the kernel for one connection; it ends with that, or when nobody comes.
struct KernelEcho {
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
    /// Ends the wait for a connection.
    listener: TcpListener,
}

impl KernelEcho {
    fn start(at: &str, address: SocketAddr) -> Result<Self, Failure> {
        let listener = inside(at, "listen for xmit", || TcpListener::bind(address))?;
        let accepting = listener.try_clone().map_err(Failure::io("listen for xmit"))?;
        let thread = std::thread::spawn(move || {
            let Ok((stream, _)) = accepting.accept() else { return };
            // An error is the end of the connection, which the other end notices and tells.
            let _ = io::copy(&mut &stream, &mut &stream);
        });
        Ok(Self { address, thread: Some(thread), listener })
    }
}

impl Drop for KernelEcho {
    fn drop(&mut self) {
        // A listener that is shut down accepts nobody any more.
        let _ = rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both);
        // A panic there has been printed.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echoed(bytes: usize, spoil: impl Fn(usize, &mut [u8]) + Send + Sync + 'static) -> Streamed {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (far, _) = listener.accept().unwrap();
        let echo = std::thread::spawn(move || {
            let (mut seen, mut buffer) = (0, [0; 1000]);
            while let Ok(len @ 1..) = (&far).read(&mut buffer) {
                spoil(seen, &mut buffer[..len]);
                (&far).write_all(&buffer[..len]).unwrap();
                seen += len;
            }
        });
        let (narrator, interrupt) = (Narrator::new(true), Interrupt::catch().unwrap());
        let end = |how| stream.shutdown(how);
        let shown = exchange("there", (&stream, &stream), end, bytes, &narrator, &interrupt).unwrap();
        echo.join().unwrap();
        shown
    }

    #[test]
    fn what_comes_back_is_compared() {
        let shown = echoed(200_001, |_, _| {});
        assert_eq!((shown.echoed, shown.wrong), (200_001, false));
        assert!(shown.holds());
        let spoiled = echoed(200_001, |seen, bytes| {
            if (seen..seen + bytes.len()).contains(&150_000) {
                bytes[150_000 - seen] ^= 1;
            }
        });
        assert!(spoiled.wrong && !spoiled.holds());
    }

    #[test]
    fn an_echo_that_nobody_asks_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let accepting = listener.try_clone().unwrap();
        let thread = std::thread::spawn(move || drop(accepting.accept()));
        drop(KernelEcho { address: listener.local_addr().unwrap(), thread: Some(thread), listener });
    }
}
