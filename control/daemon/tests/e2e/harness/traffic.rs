//! Questions of the kernel to an echo, one after the other, beside whatever the test does.

use std::net::{SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use xmit_netns::Netns;

use super::{LIMIT, again, until};

/// Running traffic; it ends when it is dropped. A wrong or missing answer is a failure of the test.
pub(crate) struct Traffic {
    answered: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Traffic {
    /// Asks the echo at `to` from `host`.
    pub(crate) fn start(host: &Netns, to: SocketAddrV4) -> Self {
        let socket = host.run(|| UdpSocket::bind("0.0.0.0:0")).unwrap().unwrap();
        host.run(|| socket.connect(to)).unwrap().unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        let (answered, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counter, ended) = (Arc::clone(&answered), Arc::clone(&stop));
        let ask = move || {
            while !ended.load(Ordering::Relaxed) {
                let question = counter.load(Ordering::Relaxed).to_ne_bytes();
                let mut answer = [0; 64];
                socket.send(&question).unwrap();
                let len = again(|| socket.recv(&mut answer)).unwrap();
                assert_eq!(answer[..len], question);
                counter.fetch_add(1, Ordering::Relaxed);
            }
        };
        Self { answered, stop, thread: Some(std::thread::spawn(ask)) }
    }

    /// Waits for `more` further answers.
    pub(crate) fn go_on(&self, more: u64) {
        let goal = self.answered.load(Ordering::Relaxed) + more;
        let failed = || self.thread.as_ref().is_none_or(JoinHandle::is_finished);
        until("answers", || self.answered.load(Ordering::Relaxed) >= goal || failed());
        assert!(!failed(), "the traffic stopped: its message stands above");
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
