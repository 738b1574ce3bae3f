//! The 3C501 as its driver sees it: a frame through the data port, and one sent from trigger to interrupt.

use criterion::{Criterion, Throughput};
use std::hint::black_box;
use xmit_benches::packets::HOST_MAC;
use xmit_nic::Instant;
use xmit_nic::el3c501::{Isa, Quirks, Segment, StationId, Timing};

/// Offsets of the card's ports.
const GP: u8 = 8;
const AUX: u8 = 0xe;
const DATA: u8 = 0xf;
/// The auxiliary command that gives the buffer to the host.
const AX_SYS: u8 = 0x40;
/// The one that transmits and raises the line afterwards.
const AX_XMIT: u8 = 0x44;
/// Bytes of the card's buffer, at whose end a frame must end.
const BUFFER: u16 = 2048;

pub(crate) fn bench(c: &mut Criterion) {
    let mut segment = Segment::new(Timing::FreeRun, 1);
    let card = segment.add_card(HOST_MAC, Quirks::HARDWARE);
    let mut group = c.benchmark_group("3c501");
    for len in [60_u16, 1514] {
        let frame = vec![0x5a; usize::from(len)];
        group.throughput(Throughput::Bytes(u64::from(len)));
        group.bench_function(format!("outb each of {len} bytes"), |b| {
            b.iter(|| {
                let mut io = host(&mut segment, card, len);
                frame.iter().for_each(|byte| io.outb(black_box(*byte), DATA));
            });
        });
        group.bench_function(format!("outsb {len} bytes"), |b| {
            b.iter(|| host(&mut segment, card, len).outsb(DATA, black_box(&frame)));
        });
        group.bench_function(format!("insb {len} bytes"), |b| {
            let mut out = frame.clone();
            b.iter(|| host(&mut segment, card, len).insb(DATA, black_box(&mut out)));
        });
        group.bench_function(format!("load, send, interrupt, {len} bytes"), |b| {
            b.iter(|| send(&mut segment, card, &frame, len));
        });
    }
    group.finish();
}

/// The card in the host's hand, its pointer where a frame of `len` bytes begins.
fn host(segment: &mut Segment, card: StationId, len: u16) -> Isa<'_> {
    let mut io = Isa::new(segment, card, Instant::ZERO);
    io.outb(AX_SYS, AUX);
    io.outw(BUFFER - len, GP);
    io
}

fn send(segment: &mut Segment, card: StationId, frame: &[u8], len: u16) -> u64 {
    let mut io = host(segment, card, len);
    io.outsb(DATA, frame);
    io.outw(BUFFER - len, GP);
    io.outb(AX_XMIT, AUX);
    while let Some(at) = segment.next_deadline() {
        segment.advance(at);
    }
    segment.counters().frames
}
