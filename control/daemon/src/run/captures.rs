//! Captures that operators started: taps in the lanes, a file written off the lanes.

use crate::boot::StepError;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use xmit_nic::MacAddr;
use xmit_nic::capture::{
    CaptureFile, CaptureInterface, CaptureQueue, CaptureSummary, CaptureTap, CaptureThread, CaptureWriter,
};
use xmit_shared::clock;

/// Records between lanes and writer: what a million packets a second bring while the writer sleeps once.
const RECORDS: usize = 8192;

/// Bytes kept of a packet when all are asked for: more than any frame holds.
const SNAPLEN_ALL: usize = 4096;

/// A running capture.
#[derive(Debug)]
struct Running {
    thread: CaptureThread,
    path: PathBuf,
    tap: u64,
}

/// All captures.
#[derive(Debug, Default)]
pub struct Captures {
    running: BTreeMap<u64, Running>,
    next: u64,
}

/// A capture that has begun, and the taps to give to the lanes.
#[derive(Debug)]
pub struct Begun {
    /// Its name.
    pub id: u64,
    /// Its file.
    pub path: PathBuf,
    /// One tap per interface, as asked for.
    pub taps: Vec<CaptureTap>,
}

impl Captures {
    /// Begins to write what passes on `interfaces` to `path`, or to a new file in `directory`.
    ///
    /// # Errors
    /// The file cannot be made, or no thread.
    pub fn start(
        &mut self,
        interfaces: Vec<(String, MacAddr)>,
        path: Option<PathBuf>,
        directory: &Path,
        snaplen: u32,
    ) -> Result<Begun, StepError> {
        self.next += 1;
        let id = self.next;
        let path = path.unwrap_or_else(|| directory.join(format!("capture-{}-{id}.pcapng", std::process::id())));
        let file = CaptureFile::create(&path).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
        let snaplen = if snaplen == 0 { SNAPLEN_ALL } else { snaplen as usize };
        let count = interfaces.len();
        let interfaces = interfaces.into_iter().map(|(name, mac)| CaptureInterface { name, mac }).collect();
        let queue = CaptureQueue::new(interfaces, RECORDS, snaplen);
        let taps = (0..count).filter_map(|i| queue.tap(i)).collect();
        let epoch = clock::realtime_nanos().saturating_sub(clock::monotonic().as_nanos());
        let thread = CaptureThread::spawn(CaptureWriter::new(queue, file, epoch)?)?;
        self.running.insert(id, Running { thread, path: path.clone(), tap: id });
        Ok(Begun { id, path, taps })
    }

    /// The name of the taps of capture `id`.
    pub fn tap_of(&self, id: u64) -> Option<u64> {
        self.running.get(&id).map(|running| running.tap)
    }

    /// Ends capture `id`; its taps must be gone or may linger, they are ignored from now on.
    ///
    /// # Errors
    /// No such capture, or the file could not be finished.
    pub fn stop(&mut self, id: u64) -> Result<(PathBuf, CaptureSummary), StepError> {
        let running = self.running.remove(&id).ok_or_else(|| format!("no capture {id} is running"))?;
        let summary = running.thread.stop().map_err(|e| format!("{}: {e}", running.path.display()))?;
        Ok((running.path, summary))
    }

    /// The running captures.
    pub fn ids(&self) -> Vec<u64> {
        self.running.keys().copied().collect()
    }
}
