//! A lane allocates nothing on the path of a packet: it echoes UDP through a program's session and answers pings over the
//! simulated wire while an allocator counts.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on says so

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use xmit_nic::sim::Wire;
use xmit_nic::{Burst, Duration, Instant, Pool, Port};
use xmit_script::packet::Pattern;
use xmit_script::{Client, HOST_MAC, Host, PEER_MAC, Setup};
use xmit_shared::session::{Op, Transport};

/// The system's allocator, which counts what the counting thread asks of it.
struct Counting;

thread_local! {
    /// `None` while nothing is counted.
    static ALLOCATIONS: Cell<Option<u64>> = const { Cell::new(None) };
}

fn count() {
    // A thread that ends has no counter any more, and nothing to count.
    let _ = ALLOCATIONS.try_with(|counter| counter.set(counter.get().map(|n| n + 1)));
}

// SAFETY: every call is the system allocator's, which keeps the contract; counting touches a cell without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on as they are.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        // SAFETY: the caller's promises are passed on as they are.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations and releases while `run` runs on this thread.
fn allocations(run: impl FnOnce()) -> u64 {
    ALLOCATIONS.set(Some(0));
    run();
    ALLOCATIONS.take().unwrap_or(0)
}

/// A host with an echo program behind one end of a wire; we are the other end.
struct Echo {
    host: Host,
    client: Client,
    slot: u32,
    peer: Box<dyn Port>,
    pool: Pool,
    now: Instant,
    buffer: Vec<u8>,
    questions: Vec<Vec<u8>>,
    answers: usize,
}

impl Echo {
    fn new() -> Self {
        let now = Instant::from_millis(1000);
        let (ours, peer) = Wire::new(1).ports().unwrap();
        let setup = Setup::default();
        let mut host = Host::new(setup.snapshot(), 512, now, 1).unwrap();
        host.add_port(Box::new(ours.named("sim0", HOST_MAC)), setup.queue());
        let client = host.attach().unwrap();
        let text = [
            "arp request who-has 10.0.0.2 tell 10.0.0.1",
            "icmp echo request 10.0.0.1 > 10.0.0.2 id 1 seq 1 56 bytes",
            "udp 10.0.0.1:1000 > 10.0.0.2:7 \"hello\"",
            "udp 10.0.0.1:1000 > 10.0.0.2:7 1472 bytes",
        ];
        let questions = text.map(|text| Pattern::parse(text).unwrap().build(&setup.defaults()).unwrap()).into();
        let pool = Pool::anonymous(1, 64).unwrap();
        let peer = Box::new(peer.named("sim1", PEER_MAC));
        let mut echo = Self { host, client, slot: 0, peer, pool, now, buffer: vec![0; 2048], questions, answers: 0 };
        echo.call(Op::Open(Transport::Udp));
        echo.call(Op::Bind("10.0.0.2:7".parse().unwrap()));
        echo
    }

    fn call(&mut self, op: Op) {
        self.client.submit(self.slot, op).unwrap();
        for _ in 0..8 {
            self.host.turn(self.now);
            if let Some(answer) = self.client.completion().unwrap() {
                assert_eq!(answer.result, 0);
                return;
            }
        }
        panic!("no answer");
    }

    /// Every question once, two turns with the program between them, and whatever came back.
    fn round(&mut self) {
        self.now += Duration::from_millis(1);
        let mut burst = Burst::new();
        for question in &self.questions {
            let mut frame = self.pool.acquire().unwrap();
            frame.fill(question);
            burst.push(frame);
        }
        self.peer.tx_burst(self.now, &mut self.pool, &mut burst);
        self.host.turn(self.now);
        while let Some(meta) = self.client.receive(self.slot, &mut self.buffer) {
            self.client.send(self.slot, Some(meta.peer), &self.buffer[..meta.len as usize]).unwrap();
        }
        self.host.turn(self.now);
        self.peer.rx_burst(self.now, &mut self.pool, &mut burst);
        self.answers += burst.len();
        burst.drain(..).for_each(|frame| self.pool.release(frame));
    }
}

const ROUNDS: usize = 10_000;

#[test]
fn a_lane_allocates_nothing_on_the_path_of_a_packet() {
    let mut echo = Echo::new();
    (0..100).for_each(|_| echo.round());
    echo.answers = 0;
    let allocated = allocations(|| (0..ROUNDS).for_each(|_| echo.round()));
    // Not every round: the lane asks its neighbour by ARP when it has believed it long enough.
    assert!(echo.answers >= 4 * ROUNDS, "{} answers to {} questions", echo.answers, 4 * ROUNDS);
    assert_eq!(allocated, 0, "calls of the allocator in {ROUNDS} rounds");
    assert!(allocations(|| drop(vec![1u8])) > 0, "the allocator counts");
}
