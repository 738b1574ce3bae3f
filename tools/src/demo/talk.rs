//! A TCP connection of the kernel on the same interface, like somebody's SSH: it must go on whatever xmitd does.
//!
//! One side sends a line, the other returns it, and so on until told to stop; how many lines and the longest wait are
//! counted.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use xmit_shared::clock;

use crate::Failure;
use crate::namespace::inside;

/// Somebody types this fast.
const TYPING: Duration = Duration::from_millis(5);
/// A connection that is still for so long is broken.
const BROKEN_AFTER: Duration = Duration::from_secs(5);

/// A connection in use.
#[derive(Debug)]
pub struct Talk {
    lines: Arc<AtomicU64>,
    stop: Option<Sender<()>>,
    typist: Option<JoinHandle<io::Result<Duration>>>,
    echo: Option<JoinHandle<()>>,
}

impl Talk {
    /// Connects from namespace `from` to `to` in namespace `at`, and begins.
    pub fn start(from: &str, at: &str, to: SocketAddr) -> Result<Self, Failure> {
        let listener = inside(at, "listen on the kernel's TCP", || TcpListener::bind(to))?;
        let near = inside(from, "connect on the kernel's TCP", || TcpStream::connect_timeout(&to, BROKEN_AFTER))?;
        let (far, _) = listener.accept().map_err(Failure::io("accept on the kernel's TCP"))?;
        near.set_read_timeout(Some(BROKEN_AFTER)).map_err(Failure::io("prepare the kernel's TCP"))?;
        let (stop, stopped) = channel();
        let lines = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&lines);
        let typist = std::thread::spawn(move || type_lines(near, &stopped, &counter));
        let echo = std::thread::spawn(move || return_lines(far));
        Ok(Self { lines, stop: Some(stop), typist: Some(typist), echo: Some(echo) })
    }

    /// Lines that came back so far.
    pub fn lines(&self) -> u64 {
        self.lines.load(Ordering::Relaxed)
    }

    /// Hangs up; answers the longest that a line took to come back.
    pub fn stop(mut self) -> Result<Duration, Failure> {
        self.hang_up().map_err(Failure::io("keep the kernel's TCP connection alive"))
    }

    fn hang_up(&mut self) -> io::Result<Duration> {
        self.stop = None;
        let longest = self.typist.take().map_or(Ok(Duration::ZERO), |typist| {
            typist.join().unwrap_or_else(|_| Err(io::Error::other("its thread panicked")))
        });
        // The typist's end is closed, so the echo has ended as well; a panic of it has been printed.
        let _ = self.echo.take().map(JoinHandle::join);
        longest
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        let _ = self.hang_up();
    }
}

/// Types until the other end of `stopped` is gone.
fn type_lines(stream: TcpStream, stopped: &Receiver<()>, lines: &AtomicU64) -> io::Result<Duration> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut stream, mut longest, mut back) = (stream, Duration::ZERO, String::new());
    while stopped.recv_timeout(TYPING) == Err(RecvTimeoutError::Timeout) {
        let line = format!("line {}\n", lines.load(Ordering::Relaxed));
        let sent = clock::monotonic();
        stream.write_all(line.as_bytes())?;
        back.clear();
        reader.read_line(&mut back)?;
        if back != line {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{line:?} came back as {back:?}")));
        }
        longest = longest.max(clock::monotonic().saturating_since(sent));
        lines.fetch_add(1, Ordering::Relaxed);
    }
    Ok(longest)
}

/// Returns what comes, until the other side hangs up.
fn return_lines(stream: TcpStream) {
    let Ok(mut reader) = stream.try_clone() else { return };
    let mut writer = stream;
    // An error is the end of the connection, which the typist notices and reports.
    let _ = io::copy(&mut reader, &mut writer);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_until_it_is_told_to_stop() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (far, _) = listener.accept().unwrap();
        let echo = std::thread::spawn(move || return_lines(far));
        let (stop, stopped) = channel();
        let lines = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&lines);
        let typist = std::thread::spawn(move || type_lines(near, &stopped, &counter));
        while lines.load(Ordering::Relaxed) < 3 {
            std::thread::yield_now();
        }
        drop(stop);
        assert!(typist.join().unwrap().unwrap() > Duration::ZERO);
        echo.join().unwrap();
    }
}
