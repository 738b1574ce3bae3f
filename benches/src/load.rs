//! The load: one client on a kernel socket that keeps a window of datagrams under way.
//!
//! The same program for every contender. Each datagram carries its number and the time it was sent; an answer moves the
//! window on by one. A window of one uses `send` and `recv`, a larger one `sendmmsg` and `recvmmsg`, so that generating
//! is cheap. Latency is what this client sees, its own waiting in the window included.

use crate::mmsg::Batch;
use crate::outcome::{Meter, Outcome, latencies};
use hdrhistogram::Histogram;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use xmit_shared::clock;
use xmit_shared::time::Duration;

/// Without an answer for so long the window counts as lost and is sent again: longer than a busy scheduler lets anybody wait.
const LOST_AFTER: Duration = Duration::from_millis(100);
/// Bytes of a datagram that the load needs: time and number.
const STAMP_BYTES: usize = 16;

/// What is asked of the client.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// The echo.
    pub to: SocketAddr,
    /// Datagrams under way at once.
    pub window: usize,
    /// Bytes of each, at least 16.
    pub payload: usize,
    /// Unmeasured beginning.
    pub warm_up: Duration,
    /// What is measured.
    pub duration: Duration,
}

/// Runs the load to its end.
///
/// # Errors
/// The kernel's.
pub fn run(load: &Load) -> io::Result<Outcome> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect(load.to)?;
    socket.set_read_timeout(Some(LOST_AFTER))?;
    let mut client = Client {
        socket,
        batch: Batch::new(load.window),
        payload: load.payload.max(STAMP_BYTES),
        next: 0,
        oldest: 0,
        lost: 0,
        latency: latencies()?,
    };
    client.drive(load.window, load.warm_up)?;
    (client.latency, client.lost) = (latencies()?, 0);
    let meter = Meter::start();
    client.drive(load.window, load.duration)?;
    Ok(meter.outcome(client.latency.len(), client.lost, &client.latency))
}

struct Client {
    socket: UdpSocket,
    batch: Batch,
    payload: usize,
    /// The number of the next datagram.
    next: u64,
    /// Answers to earlier ones come too late to count.
    oldest: u64,
    lost: u64,
    latency: Histogram<u64>,
}

impl Client {
    fn drive(&mut self, window: usize, duration: Duration) -> io::Result<()> {
        let end = clock::monotonic() + duration;
        self.oldest = self.next;
        let mut room = window;
        loop {
            self.send(room)?;
            let now = clock::monotonic();
            if now >= end {
                return Ok(());
            }
            match self.receive() {
                Ok(answers) => room = answers,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    self.lost += window as u64;
                    (self.oldest, room) = (self.next, window);
                }
                // The echo is not there yet, or its network refuses: the window is sent again.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => room = window,
                Err(error) => return Err(error),
            }
        }
    }

    fn send(&mut self, count: usize) -> io::Result<()> {
        let now = clock::monotonic().as_nanos();
        for index in 0..count {
            let bytes = self.batch.bytes_mut(index, self.payload);
            bytes[..8].copy_from_slice(&now.to_le_bytes());
            bytes[8..STAMP_BYTES].copy_from_slice(&self.next.to_le_bytes());
            self.next += 1;
        }
        let sent = match count {
            0 => Ok(()),
            1 => self.socket.send(self.batch.bytes(0)).map(drop),
            _ => self.batch.send(self.socket.as_fd(), count, true).map(drop),
        };
        match sent {
            // An ICMP error of an earlier datagram; what was not sent shows as lost.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
            other => other,
        }
    }

    fn receive(&mut self) -> io::Result<usize> {
        let window_of_one = self.batch.capacity() == 1;
        let count = if window_of_one {
            let bytes = self.batch.bytes_mut(0, self.payload);
            self.socket.recv(bytes).map(|_| 1)?
        } else {
            self.batch.receive(self.socket.as_fd())?
        };
        let now = clock::monotonic().as_nanos();
        let mut answers = 0;
        for index in 0..count {
            let Some((time, number)) = stamp(self.batch.bytes(index)) else { continue };
            if number >= self.oldest {
                let _ = self.latency.record(now.saturating_sub(time)); // beyond the range: counted as lost already
                answers += 1;
            }
        }
        Ok(answers)
    }
}

fn stamp(bytes: &[u8]) -> Option<(u64, u64)> {
    let (time, rest) = bytes.split_first_chunk()?;
    Some((u64::from_le_bytes(*time), u64::from_le_bytes(*rest.first_chunk()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::echo::kernel;

    fn against_the_kernel(window: usize, batch: usize) -> Outcome {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = socket.local_addr().unwrap();
        std::thread::spawn(move || kernel(&socket, batch)); // ends with the test program
        let (warm_up, duration) = (Duration::from_millis(1), Duration::from_millis(20));
        run(&Load { to, window, payload: 64, warm_up, duration }).unwrap()
    }

    #[test]
    fn answers_are_counted_and_timed() {
        for (window, batch) in [(1, 1), (64, 1), (64, 64)] {
            let outcome = against_the_kernel(window, batch);
            assert!(outcome.count > 0, "window {window}, batch {batch}: {outcome:?}");
            assert!(outcome.p50_us > 0.0 && outcome.p50_us <= outcome.p99_us, "{outcome:?}");
        }
    }
}
