//! One end's program in a simulation: what it has to write, what it reads, and when it does so.

use xmit_nic::Instant;
use xmit_nic::rng::Rng;
use xmit_script::End;
use xmit_shared::session::{How, Op, StreamEvents};

/// What it has to write, and what it read.
pub(crate) struct Program {
    /// Its stream.
    pub(crate) slot: u32,
    /// What it writes.
    pub(crate) outgoing: Vec<u8>,
    /// Of that it has written so much.
    pub(crate) written: usize,
    /// What it read.
    pub(crate) incoming: Vec<u8>,
    /// It writes and reads at most so much at once.
    pub(crate) gulp: usize,
    /// It does not read before this much of its own was written (a slow reader).
    pub(crate) reads_after: usize,
    /// It does not read before this time.
    pub(crate) reads_from: Instant,
    shut: bool,
    ended: bool,
}

impl Program {
    /// One that writes `len` bytes, as fast as the seed says.
    pub(crate) fn new(slot: u32, len: usize, rng: &mut Rng) -> Self {
        let outgoing: Vec<u8> = (0..len).map(|_| rng.next_u64() as u8).collect();
        let gulp = 1 + rng.below(40_000) as usize;
        let reads_after = if rng.below(3) == 0 { len / 2 } else { 0 };
        Self {
            slot,
            outgoing,
            written: 0,
            incoming: Vec::new(),
            gulp,
            reads_after,
            reads_from: Instant::ZERO,
            shut: false,
            ended: false,
        }
    }

    /// Writes and reads what it can. True if it may go on at once.
    pub(crate) fn act(&mut self, end: &mut End, now: Instant) -> bool {
        let events = end.client.events(self.slot);
        if !events.contains(StreamEvents::CONNECTED) {
            return false;
        }
        let before = (self.written, self.incoming.len());
        self.write(end, now, self.gulp);
        if self.written >= self.reads_after && now >= self.reads_from {
            self.read(end, self.gulp);
        }
        before != (self.written, self.incoming.len())
    }

    /// Reads at most `gulp` bytes, one at least.
    pub(crate) fn read(&mut self, end: &mut End, gulp: usize) {
        // What was to be read when the end was told of is all.
        let events = end.client.events(self.slot);
        let mut room = vec![0; gulp.max(1)];
        let len = end.client.read(self.slot, &mut room).unwrap();
        self.incoming.extend(&room[..len]);
        self.ended = len == 0 && events.contains(StreamEvents::RECEIVE_END);
    }

    /// Writes at most `gulp` bytes; when nothing is left to write it ends this half.
    pub(crate) fn write(&mut self, end: &mut End, now: Instant, gulp: usize) {
        let upto = (self.written + gulp).min(self.outgoing.len());
        if self.written < upto {
            self.written += end.client.write(self.slot, &self.outgoing[self.written..upto], false).unwrap();
        } else if !self.shut && self.written == self.outgoing.len() {
            self.shut = true;
            // A connection that has failed meanwhile has nothing to shut.
            let _ = end.call(now, self.slot, Op::Shutdown(How::Write));
        }
    }

    /// It wrote everything and read the end.
    pub(crate) fn done(&self) -> bool {
        self.shut && self.ended
    }

    /// What it read is the beginning of what `other` wrote; all of it if `whole`.
    pub(crate) fn check(&self, other: &Self, whole: bool, what: &str) {
        let same =
            other.outgoing.starts_with(&self.incoming) && (!whole || self.incoming.len() == other.outgoing.len());
        assert!(same, "{what}: {} bytes were read, {} written", self.incoming.len(), other.outgoing.len());
    }
}
