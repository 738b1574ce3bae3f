//! The rings between client and lane: an entry, and a datagram by size, through both ends on one core.

use criterion::{Criterion, Throughput};
use std::error::Error;
use std::net::SocketAddrV4;
use xmit_benches::packets::{PEER, PEER_PORT};
use xmit_shared::memory::Memory;
use xmit_shared::record::{Meta, RecordReader, RecordRing, RecordWriter};
use xmit_shared::ring::{Consumer, Producer, Ring};

const ENTRIES: u32 = 64;
const RECORD_BYTES: u32 = 256 << 10;
/// Head and tail on lines of their own, then what they count.
const HEAD: usize = 0;
const TAIL: usize = 64;
const BODY: usize = 128;

pub(crate) fn bench(c: &mut Criterion) {
    if let Err(error) = entries(c).and_then(|()| records(c)) {
        println!("rings: {error}");
    }
}

fn entries(c: &mut Criterion) -> Result<(), Box<dyn Error>> {
    let memory = Memory::anonymous(BODY + 32 * ENTRIES as usize)?;
    let ring = || -> Result<Ring, Box<dyn Error>> {
        Ok(Ring {
            head: memory.word32(HEAD)?,
            tail: memory.word32(TAIL)?,
            entries: memory.entries(BODY, ENTRIES as usize)?,
            capacity: ENTRIES,
        })
    };
    let (mut producer, mut consumer) = (Producer::new(ring()?), Consumer::new(ring()?));
    c.bench_function("spsc ring/push, pop", |b| b.iter(|| (producer.push([1, 2, 3, 4]), consumer.pop())));
    Ok(())
}

fn records(c: &mut Criterion) -> Result<(), Box<dyn Error>> {
    let memory = Memory::anonymous(BODY + RECORD_BYTES as usize)?;
    let ring = || -> Result<RecordRing, Box<dyn Error>> {
        Ok(RecordRing {
            head: memory.word32(HEAD)?,
            tail: memory.word32(TAIL)?,
            bytes: memory.bytes(BODY, RECORD_BYTES as usize)?,
            size: RECORD_BYTES,
        })
    };
    let (mut writer, mut reader) = (RecordWriter::new(ring()?), RecordReader::new(ring()?));
    let meta = Meta::of(SocketAddrV4::new(PEER, PEER_PORT));
    let payload = vec![0x5a; 65_507];
    let mut out = vec![0; payload.len()];
    let mut group = c.benchmark_group("record ring");
    for len in [64, 1472, 65_507] {
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(format!("push, copy, consume {len} bytes"), |b| {
            b.iter(|| {
                let pushed = writer.push(&meta, &[&payload[..len]]).is_ok();
                let found = reader.peek();
                let copied = reader.copy(&mut out);
                reader.consume();
                (pushed, found.is_ok(), copied)
            });
        });
    }
    group.finish();
    Ok(())
}
