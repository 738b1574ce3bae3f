//! Nothing allocates once ports are open: the simulated wire with impairments, captured at one end, and a join.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use xmit_nic::capture::{CaptureInterface, CapturePort, CaptureQueue};
use xmit_nic::join::Join;
use xmit_nic::sim::{Impairment, Wire};
use xmit_nic::{Burst, Duration, Instant, MacAddr, Pool, Port};

/// The system's allocator, counting what the present thread asks for.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|n| n.set(n.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const IMPAIRMENT: Impairment = Impairment {
    loss_ppm: 50_000,
    duplicate_ppm: 50_000,
    reorder_ppm: 50_000,
    corrupt_ppm: 50_000,
    rate_bps: 100_000_000,
    jitter: Duration::from_micros(100),
    ..Impairment::NONE
};

#[test]
fn ports_capture_and_joins_allocate_nothing_per_packet() {
    let (near, a) = Wire::new(1).impair(IMPAIRMENT).ports().unwrap();
    let (b, mut far) = Wire::new(2).impair(IMPAIRMENT).ports().unwrap();
    let interface = CaptureInterface { name: "sim0".into(), mac: MacAddr::ZERO };
    let queue = CaptureQueue::new(vec![interface], 256, 2048);
    let tap = queue.tap(0).unwrap();
    let mut near = CapturePort::new(Box::new(near), tap.clone());
    let mut join = Join::new(Box::new(a), Box::new(b), Pool::anonymous(1, 600).unwrap());
    join = join.impaired(3, IMPAIRMENT, IMPAIRMENT);
    let mut pool = Pool::anonymous(2, 128).unwrap();
    let (mut now, mut received) = (Instant::ZERO, 0);

    let before = ALLOCATIONS.with(Cell::get);
    assert!(before > 0, "the counter counts");
    for _ in 0..20_000 {
        let mut burst = Burst::new();
        burst.extend((0..4).filter_map(|_| pool.acquire()));
        burst.iter_mut().for_each(|frame| assert!(frame.set_len(200)));
        near.tx_burst(now, &mut pool, &mut burst);
        join.turn(now);
        far.rx_burst(now, &mut pool, &mut burst);
        received += burst.len();
        far.tx_burst(now, &mut pool, &mut burst);
        near.rx_burst(now, &mut pool, &mut burst);
        burst.drain(..).for_each(|frame| pool.release(frame));
        near.sleep(now);
        join.sleep(now);
        far.sleep(now);
        now += Duration::from_micros(80);
    }
    assert_eq!(ALLOCATIONS.with(Cell::get) - before, 0);
    assert!(received > 60_000, "the wire was busy: {received}");
    assert!(tap.dropped() > 0, "the capture was full: nobody wrote it");
    assert_eq!(pool.census().free, 128);
}
