//! The timing wheel with as many timers as a busy server has.

use crate::is_test;
use criterion::Criterion;
use std::hint::black_box;
use xmit_benches::numbers::numbers;
use xmit_dataplane::timers::Wheel;
use xmit_dataplane::{Duration, Instant};

pub(crate) fn bench(c: &mut Criterion) {
    let timers = if is_test() { 500 } else { 50_000 };
    let mut wheel = Wheel::new(Instant::ZERO, 2 * timers, Duration::from_millis(1));
    let mut random = numbers(3);
    let mut now = Instant::ZERO;
    for token in 0..timers {
        wheel.schedule(Instant::from_millis(random.next().unwrap_or(0) % 60_000), token);
    }
    let mut group = c.benchmark_group("timing wheel");
    group.bench_function("schedule, cancel", |b| {
        b.iter(|| wheel.schedule(now + Duration::from_millis(200), 0).map(|id| wheel.cancel(id)));
    });
    group.bench_function("a tick with what expires, scheduled anew", |b| {
        let mut due = Vec::with_capacity(64);
        b.iter(|| {
            now += Duration::from_millis(1);
            wheel.expire(now, 64, |token| due.push(token));
            for token in due.drain(..) {
                wheel.schedule(now + Duration::from_millis(random.next().unwrap_or(0) % 60_000), token);
            }
        });
    });
    group.bench_function("next deadline", |b| b.iter(|| black_box(&wheel).next_deadline()));
    group.finish();
}
