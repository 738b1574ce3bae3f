//! A card on a bench: its ports by hand, a wire that nobody else uses, a clock that moves when told.
//!
//! Notation of the vectors: `w8(offset, value)`, `r8(offset)`, `w16`, `r16`, `rx(frame)` = a frame arrives complete,
//! `run()` = until nothing is due any more.

use crate::el3c501::device::Heard;
use crate::el3c501::{Card, Quirks, Segment, StationId, Timing};
use crate::{Instant, MacAddr};

pub(super) const MAC: MacAddr = MacAddr([0x02, 0x60, 0x8c, 0x12, 0x34, 0x56]);
pub(super) const OTHER: MacAddr = MacAddr([0x02, 0x60, 0x8c, 0xaa, 0xbb, 0xcc]);
pub(super) const GROUP: MacAddr = MacAddr([0x01, 0x00, 0x5e, 0x00, 0x00, 0x01]);
pub(super) const BROADCAST: MacAddr = MacAddr::BROADCAST;

pub(super) struct Bench {
    pub(super) segment: Segment,
    pub(super) id: StationId,
    ear: StationId,
    pub(super) now: Instant,
}

/// A frame of `len` bytes to `to`, every byte of the rest different from its neighbours.
pub(super) fn frame(len: usize, to: MacAddr) -> Vec<u8> {
    let rest = (0..).map(|i: u32| (i * 7 + 1) as u8);
    to.0.into_iter().chain(rest).take(len).collect()
}

impl Bench {
    /// Fresh from power-on.
    pub(super) fn new() -> Self {
        Self::with(Quirks::HARDWARE)
    }

    pub(super) fn with(quirks: Quirks) -> Self {
        Self::build(Timing::Wire, quirks)
    }

    pub(super) fn timed(timing: Timing) -> Self {
        Self::build(timing, Quirks::HARDWARE)
    }

    fn build(timing: Timing, quirks: Quirks) -> Self {
        let mut segment = Segment::new(timing, 1);
        let id = segment.add_card(MAC, quirks);
        let ear = segment.add_tap();
        Self { segment, id, ear, now: Instant::ZERO }
    }

    /// After the sequence that the vectors call OPEN.
    pub(super) fn open() -> Self {
        Self::new().opened()
    }

    pub(super) fn opened(mut self) -> Self {
        self.aux(&[0x80, 0x0c]);
        self.program_mac();
        self.w16(0xa, 0);
        self.w8(7, 0x0a);
        self.w8(6, 0xa8);
        self.r8(6);
        self.r8(7);
        self.w8(0xe, 0x48);
        self
    }

    pub(super) fn program_mac(&mut self) {
        for (i, byte) in MAC.0.into_iter().enumerate() {
            self.w8(i as u8, byte);
        }
    }

    pub(super) fn card(&mut self) -> &mut Card {
        self.segment.card(self.id).expect("the card")
    }

    pub(super) fn w8(&mut self, offset: u8, value: u8) {
        let now = self.now;
        self.card().outb(now, offset, value);
    }

    pub(super) fn r8(&mut self, offset: u8) -> u8 {
        self.card().inb(offset)
    }

    pub(super) fn w16(&mut self, offset: u8, value: u16) {
        let now = self.now;
        self.card().outw(now, offset, value);
    }

    pub(super) fn r16(&mut self, offset: u8) -> u16 {
        self.card().inw(offset)
    }

    /// Auxiliary commands, one after the other.
    pub(super) fn aux(&mut self, values: &[u8]) {
        values.iter().for_each(|v| self.w8(0xe, *v));
    }

    /// Writes the data port.
    pub(super) fn load(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|b| self.w8(0xf, *b));
    }

    /// Reads `n` bytes of the buffer from `at` on.
    pub(super) fn dump(&mut self, at: u16, n: usize) -> Vec<u8> {
        self.w16(8, at);
        (0..n).map(|_| self.r8(0xf)).collect()
    }

    /// Host mode, statuses read, a frame of 60 bytes loaded (vector 15).
    pub(super) fn load_60(&mut self) -> Vec<u8> {
        let bytes = frame(60, OTHER);
        self.w8(0xe, 0x40);
        self.r8(6);
        self.r8(7);
        self.w16(0xa, 0);
        self.w16(8, 0x7c4);
        self.load(&bytes);
        bytes
    }

    /// GP to the frame's start, then transmit (vector 16).
    pub(super) fn send_60(&mut self) {
        self.w16(8, 0x7c4);
        self.w8(0xe, 0x44);
    }

    /// Rewind and retry, as every driver does.
    pub(super) fn resend_60(&mut self) {
        self.w8(0xe, 0x40);
        self.send_60();
    }

    pub(super) fn irq(&mut self) -> bool {
        self.card().irq()
    }

    /// A good frame arrives.
    pub(super) fn rx(&mut self, len: usize, to: MacAddr) -> Vec<u8> {
        let bytes = frame(len, to);
        self.rx_heard(Heard::good(&bytes));
        bytes
    }

    /// A frame with a wrong check sequence arrives.
    pub(super) fn rx_bad_fcs(&mut self, len: usize, to: MacAddr) {
        let bytes = frame(len, to);
        self.rx_heard(Heard { fcs_good: false, ..Heard::good(&bytes) });
    }

    pub(super) fn rx_heard(&mut self, heard: Heard<'_>) {
        self.card().hear_start();
        self.card().hear_end(heard);
    }

    /// Lets `nanos` pass.
    pub(super) fn pass(&mut self, nanos: u64) {
        self.now = Instant::from_nanos(self.now.as_nanos() + nanos);
        self.segment.advance(self.now);
    }

    /// Until nothing is due.
    pub(super) fn run(&mut self) {
        while let Some(at) = self.segment.next_deadline() {
            self.now = self.now.max(at);
            self.segment.advance(self.now);
        }
    }

    /// What the wire carried since the last call.
    pub(super) fn heard(&mut self) -> Vec<Vec<u8>> {
        let ring = &mut self.segment.tap(self.ear).expect("the tap").heard;
        let mut frames = Vec::new();
        while let Some(bytes) = ring.front() {
            frames.push(bytes.to_vec());
            ring.pop();
        }
        frames
    }

    /// Frames with wrong check sequences that the wire carried.
    pub(super) fn heard_bad(&mut self) -> u64 {
        self.segment.tap(self.ear).expect("the tap").stats.rx_errors
    }
}
