//! Loom models of several pieces together: a client and a lane that both sleep.

use crate::dirty::{DirtyBits, DirtyCollector, DirtyMarker};
use crate::memory::{Bytes, Word32, Words64};
use crate::record::{Meta, RecordReader, RecordRing, RecordWriter};
use crate::sleep::SleepWord;
use crate::sync::Ordering;
use core::net::{Ipv4Addr, SocketAddrV4};
use loom::sync::{Arc, Condvar, Mutex};

/// What an eventfd or a pipe does: remembers that it was written.
pub(crate) struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    pub(crate) fn new() -> Self {
        Self { rung: Mutex::new(false), changed: Condvar::new() }
    }
    pub(crate) fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.changed.notify_one();
    }
    /// Loom fails the model if nobody ever rings.
    pub(crate) fn wait(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.changed.wait(rung).unwrap();
        }
        *rung = false;
    }
}

fn rings(size: u32) -> (RecordWriter, RecordReader) {
    let (head, tail, bytes) = (Word32::private().unwrap(), Word32::private().unwrap(), Bytes::new(size as usize));
    let ring = || RecordRing { head: head.clone(), tail: tail.clone(), bytes: bytes.clone(), size };
    (RecordWriter::new(ring()), RecordReader::new(ring()))
}

const META: Meta = Meta::of(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 7));

/// `ClientTx::push` and `ClientShared::kick` against `LaneEnd::{collect_dirty, next_dirty, prepare_sleep, has_work}`.
#[test]
fn loom_a_kicked_datagram_is_found_by_a_sleeping_lane() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3); // without a bound it passes too, and takes a minute and a half
    model.check(|| {
        let (mut writer, mut reader) = rings(256);
        let bits = DirtyBits { summary: Words64::new(1), middle: Words64::new(1), words: Words64::new(1) };
        let (marker, mut dirty) = (DirtyMarker::new(bits.clone()), DirtyCollector::new(bits, 1));
        let (word, bell) = (SleepWord::new(Word32::private().unwrap()), Arc::new(Bell::new()));
        let client = {
            let (word, bell) = (word.clone(), bell.clone());
            loom::thread::spawn(move || {
                for _ in 0..2 {
                    writer.push(&META, &[b"x"]).unwrap();
                    marker.mark(0);
                    if word.claim() {
                        bell.ring();
                    }
                }
            })
        };
        let mut received = 0;
        while received < 2 {
            dirty.collect();
            while dirty.next_slot().is_some() {
                while reader.peek().unwrap().is_some() {
                    reader.consume();
                    received += 1;
                }
            }
            if received < 2 {
                word.announce();
                if !dirty.any() {
                    bell.wait();
                }
                word.awake();
            }
        }
        client.join().unwrap();
    });
}

/// `SlotStatus::want_room` against `LaneEnd::{tx_consume, ring_client}`.
#[test]
fn loom_room_wakes_the_writer_that_waits_for_it() {
    loom::model(|| {
        let (mut writer, mut reader) = rings(128);
        writer.push(&META, &[&[0; 96]]).unwrap();
        let (word, bell) = (SleepWord::new(Word32::private().unwrap()), Arc::new(Bell::new()));
        let wants = Word32::private().unwrap();
        let lane = {
            let (word, bell, wants) = (word.clone(), bell.clone(), wants.clone());
            loom::thread::spawn(move || {
                reader.peek().unwrap().unwrap();
                reader.consume();
                if word.claim_if(|| wants.load(Ordering::Relaxed) != 0) {
                    bell.ring();
                }
            })
        };
        wants.fetch_add(1, Ordering::Relaxed);
        while writer.push(&META, &[b"x"]).is_err() {
            word.announce();
            if writer.room().unwrap() < 64 {
                bell.wait();
            }
            word.awake();
        }
        lane.join().unwrap();
    });
}
