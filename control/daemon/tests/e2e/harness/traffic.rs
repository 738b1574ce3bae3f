//! Questions of the kernel to an echo, one after the other, beside whatever the test does.

use std::net::{SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use xmit_netns::Netns;

use super::{LIMIT, SOON, again};

/// Running traffic; it ends when it is dropped. A wrong or missing answer is a failure of the test.
pub(crate) struct Traffic {
    answers: Receiver<()>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Traffic {
    /// Asks the echo at `to` from `host`.
    pub(crate) fn start(host: &Netns, to: SocketAddrV4) -> Self {
        let socket = host.run(|| UdpSocket::bind("0.0.0.0:0")).unwrap().unwrap();
        host.run(|| socket.connect(to)).unwrap().unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        let (answered, answers) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&stop);
        let ask = move || {
            for question in 0u64.. {
                let mut answer = [0; 64];
                socket.send(&question.to_ne_bytes()).unwrap();
                let len = again(|| socket.recv(&mut answer)).unwrap();
                assert_eq!(answer[..len], question.to_ne_bytes());
                if ended.load(Ordering::Relaxed) || answered.send(()).is_err() {
                    break;
                }
            }
        };
        Self { answers, stop, thread: Some(std::thread::spawn(ask)) }
    }

    /// Waits for `more` answers that come from now on.
    pub(crate) fn go_on(&self, more: usize) {
        self.answers.try_iter().for_each(drop);
        for _ in 0..more {
            // As long as a single question may take, and a little more, so that its own message stands first.
            let answered = self.answers.recv_timeout(LIMIT + SOON);
            assert!(answered.is_ok(), "the traffic stopped: its message stands above");
        }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let outcome = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            assert!(matches!(outcome, Some(Ok(()))), "the traffic stopped: its message stands above");
        }
    }
}

/// Datagrams of the kernel to a socket, whether it answers or not, a thousand a second or as fast as it does answer.
pub(crate) struct Stream {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_millis(1);

impl Stream {
    pub(crate) fn start(host: &Netns, to: SocketAddrV4) -> Self {
        let socket = host.run(|| UdpSocket::bind("0.0.0.0:0")).unwrap().unwrap();
        host.run(|| socket.connect(to)).unwrap().unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&stop);
        let send = move || {
            while !ended.load(Ordering::Relaxed) {
                // Whoever is there may hang or die: no answer, or "port unreachable", is what is wanted.
                let _ = socket.send(&[7; 1000]).and_then(|_| socket.recv(&mut [0; 2048]));
            }
        };
        Self { stop, thread: Some(std::thread::spawn(send)) }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
