//! The thread that writes a capture.

use super::{CaptureSummary, CaptureWriter};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;

/// How long an idle writer waits before it looks again, in nanoseconds. Looking spares the lanes a system call per
/// frame; 4,096 records last for 800,000 frames a second until then.
const LOOK_EVERY_NANOS: i64 = 5_000_000;

/// A capture that runs until it is stopped.
#[derive(Debug)]
pub struct CaptureThread {
    stop: Arc<OwnedFd>,
    thread: JoinHandle<io::Result<CaptureSummary>>,
}

impl CaptureThread {
    /// Starts writing.
    ///
    /// # Errors
    /// The kernel's, if it gives no descriptor or thread.
    pub fn spawn(writer: CaptureWriter) -> io::Result<Self> {
        let stop = Arc::new(eventfd(0, EventfdFlags::CLOEXEC)?);
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("capture".into()).spawn(move || run(writer, &stopped))?;
        Ok(Self { stop, thread })
    }

    /// False once the writer has given up because of an error, which [`CaptureThread::stop`] then answers.
    pub fn is_running(&self) -> bool {
        !self.thread.is_finished()
    }

    /// Ends the capture and waits until it is on the disk.
    ///
    /// # Errors
    /// Those of the file, whenever they happened.
    pub fn stop(self) -> io::Result<CaptureSummary> {
        rustix::io::write(&*self.stop, &1u64.to_ne_bytes())?;
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that writes the capture panicked")))
    }
}

fn run(mut writer: CaptureWriter, stop: &OwnedFd) -> io::Result<CaptureSummary> {
    let look = Timespec { tv_sec: 0, tv_nsec: LOOK_EVERY_NANOS };
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    loop {
        let busy = writer.turn()? > 0;
        let mut fds = [PollFd::new(stop, PollFlags::IN)];
        match poll(&mut fds, Some(if busy { &now } else { &look })) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return writer.finish(),
            Err(e) => return Err(e.into()),
        }
    }
}
