//! The way of captured frames from lanes to the writer.
//!
//! Records are made once and circle between two bounded lock-free queues. Called on the lanes by `CapturePort` and by
//! the device layer's taps, on the other side by `CaptureWriter` only.

use super::Direction;
use crate::{Instant, MacAddr};
use crossbeam::queue::ArrayQueue;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// An interface that a capture describes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureInterface {
    /// `if_name`: what the operator calls the port.
    pub name: String,
    /// `if_MACaddr`.
    pub mac: MacAddr,
}

/// A captured frame on its way to the file.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) at: Instant,
    pub(super) direction: Direction,
    pub(super) interface: u32,
    pub(super) original_len: u32,
    pub(super) data: Vec<u8>,
}

/// Frames of one interface.
#[derive(Debug, Default)]
struct Counters {
    captured: AtomicU64,
    dropped: AtomicU64,
}

#[derive(Debug)]
struct Shared {
    empty: ArrayQueue<Record>,
    filled: ArrayQueue<Record>,
    counters: Vec<Counters>,
    snaplen: usize,
    open: AtomicBool,
}

/// The lane's end: offers the frames of one interface to a capture. Cheap to clone and to call.
#[derive(Clone, Debug)]
pub struct CaptureTap {
    shared: Arc<Shared>,
    interface: u32,
}

impl CaptureTap {
    /// Copies a frame into the capture. False if it was not captured: nobody listens any more, or every record is
    /// filled (counted in [`CaptureTap::dropped`]).
    #[inline]
    pub fn offer(&self, now: Instant, direction: Direction, bytes: &[u8]) -> bool {
        let record = self.prepare(bytes);
        record.map(|r| self.commit(r, now, direction)).is_some()
    }

    /// True while a writer listens.
    #[inline]
    pub fn is_open(&self) -> bool {
        // Pairs with nothing: it only saves work, and a record offered late is dropped with the queue.
        self.shared.open.load(Ordering::Relaxed)
    }

    /// Frames of this interface that found no empty record.
    pub fn dropped(&self) -> u64 {
        self.counters().map_or(0, |c| c.dropped.load(Ordering::Relaxed))
    }

    /// A record with a copy of `bytes`, for a frame of which it is not known yet whether it goes.
    pub(super) fn prepare(&self, bytes: &[u8]) -> Option<Record> {
        if !self.is_open() {
            return None;
        }
        let Some(mut record) = self.shared.empty.pop() else {
            if let Some(counters) = self.counters() {
                counters.dropped.fetch_add(1, Ordering::Relaxed);
            }
            return None;
        };
        let kept = bytes.get(..self.shared.snaplen).unwrap_or(bytes);
        record.data.clear();
        record.data.extend_from_slice(kept); // never grows: `kept` is at most `snaplen`
        record.original_len = bytes.len() as u32;
        Some(record)
    }

    /// The frame went: its record goes to the writer.
    pub(super) fn commit(&self, mut record: Record, now: Instant, direction: Direction) {
        (record.at, record.direction, record.interface) = (now, direction, self.interface);
        // There are as many places as records, so neither queue can be full.
        let _ = self.shared.filled.push(record);
        if let Some(counters) = self.counters() {
            counters.captured.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The frame did not go: its record is free again.
    pub(super) fn discard(&self, record: Record) {
        let _ = self.shared.empty.push(record);
    }

    fn counters(&self) -> Option<&Counters> {
        self.shared.counters.get(self.interface as usize)
    }
}

/// The writer's end. Dropping it closes every tap.
#[derive(Debug)]
pub struct CaptureQueue {
    shared: Arc<Shared>,
    interfaces: Vec<CaptureInterface>,
}

impl CaptureQueue {
    /// A queue of `records` records (at least one) of at most `snaplen` bytes each, for the given interfaces.
    pub fn new(interfaces: Vec<CaptureInterface>, records: usize, snaplen: usize) -> Self {
        let records = records.max(1);
        let shared = Shared {
            empty: ArrayQueue::new(records),
            filled: ArrayQueue::new(records),
            counters: interfaces.iter().map(|_| Counters::default()).collect(),
            snaplen,
            open: AtomicBool::new(true),
        };
        for _ in 0..records {
            let (at, direction, data) = (Instant::ZERO, Direction::Inbound, Vec::with_capacity(snaplen));
            let _ = shared.empty.push(Record { at, direction, interface: 0, original_len: 0, data });
        }
        Self { shared: Arc::new(shared), interfaces }
    }

    /// The tap of the interface at `index`; `None` if the capture does not describe so many.
    pub fn tap(&self, index: usize) -> Option<CaptureTap> {
        self.interfaces.get(index)?;
        Some(CaptureTap { shared: Arc::clone(&self.shared), interface: index as u32 })
    }

    /// What the capture describes.
    pub fn interfaces(&self) -> &[CaptureInterface] {
        &self.interfaces
    }

    pub(super) fn snaplen(&self) -> usize {
        self.shared.snaplen
    }

    /// From now on nothing more is offered.
    pub(super) fn close(&self) {
        self.shared.open.store(false, Ordering::Relaxed);
    }

    /// Passes the next record to `write` and recycles it. False if none waits.
    pub(super) fn take(&self, write: impl FnOnce(&Record)) -> bool {
        let Some(record) = self.shared.filled.pop() else { return false };
        write(&record);
        let _ = self.shared.empty.push(record);
        true
    }

    /// Frames captured and dropped, of the interface at `index`.
    pub(super) fn counts(&self, index: usize) -> (u64, u64) {
        let counters = self.shared.counters.get(index);
        counters.map_or((0, 0), |c| (c.captured.load(Ordering::Relaxed), c.dropped.load(Ordering::Relaxed)))
    }
}

impl Drop for CaptureQueue {
    fn drop(&mut self) {
        self.close();
    }
}
