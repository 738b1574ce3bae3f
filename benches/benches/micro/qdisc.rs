//! `pfifo_fast`: one frame through an empty queue, and a burst through one that is half full.

use criterion::{Criterion, Throughput};
use xmit_dataplane::qdisc::{PfifoFast, Priority};
use xmit_nic::{BURST_FRAMES_MAX, Pool};

pub(crate) fn bench(c: &mut Criterion) {
    let Ok(mut pool) = Pool::anonymous(0, 1024) else { return };
    let mut queue = PfifoFast::new(1000);
    let mut group = c.benchmark_group("pfifo_fast");
    group.bench_function("enqueue, dequeue", |b| {
        b.iter(|| {
            enqueue(&mut queue, &mut pool, 1);
            dequeue(&mut queue, &mut pool, 1);
        });
    });
    enqueue(&mut queue, &mut pool, 500);
    group.throughput(Throughput::Elements(BURST_FRAMES_MAX as u64));
    group.bench_function("a burst behind 500 frames", |b| {
        b.iter(|| {
            enqueue(&mut queue, &mut pool, BURST_FRAMES_MAX);
            dequeue(&mut queue, &mut pool, BURST_FRAMES_MAX);
        });
    });
    group.finish();
    dequeue(&mut queue, &mut pool, 1000);
}

fn enqueue(queue: &mut PfifoFast, pool: &mut Pool, count: usize) {
    for _ in 0..count {
        let Some(frame) = pool.acquire() else { return };
        if let Err(frame) = queue.enqueue(frame, Priority::BEST_EFFORT) {
            pool.release(frame);
        }
    }
}

fn dequeue(queue: &mut PfifoFast, pool: &mut Pool, count: usize) {
    for _ in 0..count {
        let Some(frame) = queue.dequeue() else { return };
        pool.release(frame);
    }
}
