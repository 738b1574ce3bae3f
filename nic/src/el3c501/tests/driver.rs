//! The driver on one card, step by step: vectors 43 to 45, the two traps, Linux's habits.

use super::bench::{BROADCAST, Bench, GROUP, MAC, OTHER, frame};
use crate::el3c501::driver::TX_TIMEOUT;
use crate::el3c501::frame_ring::FrameRing;
use crate::el3c501::{Driver, Fault, Isa, Parity, Quirks, RxFilter, Segment, Timing, Xmit};
use crate::{Instant, MacAddr, PortStats};

/// A card on a bench with its driver; interrupts are delivered by hand.
struct Host {
    bench: Bench,
    driver: Driver,
    inbox: FrameRing,
}

impl Host {
    fn new(parity: Parity) -> Self {
        Self::on(Bench::new(), parity)
    }

    fn on(mut bench: Bench, parity: Parity) -> Self {
        let (id, now) = (bench.id, bench.now);
        let mut io = Isa::new(&mut bench.segment, id, now);
        let mut driver = Driver::el_probe(&mut io, parity).unwrap();
        driver.el_open(&mut io);
        Self { bench, driver, inbox: FrameRing::new() }
    }

    fn call<T>(&mut self, f: impl FnOnce(&mut Driver, &mut Isa<'_>, &mut FrameRing) -> T) -> T {
        let (id, now) = (self.bench.id, self.bench.now);
        f(&mut self.driver, &mut Isa::new(&mut self.bench.segment, id, now), &mut self.inbox)
    }

    fn xmit(&mut self, bytes: &[u8]) -> Xmit {
        self.call(|driver, io, inbox| driver.el_start_xmit(io, inbox, bytes))
    }

    fn interrupt(&mut self) {
        self.call(|driver, io, inbox| driver.el_interrupt(io, inbox));
    }

    /// The wire and the handler until both have nothing to do.
    fn settle(&mut self) {
        self.bench.run();
        while self.bench.irq() {
            self.interrupt();
            self.bench.run();
        }
    }

    fn stats(&self) -> PortStats {
        self.driver.stats()
    }

    fn received(&mut self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| {
            let bytes = self.inbox.front()?.to_vec();
            self.inbox.pop();
            Some(bytes)
        })
        .collect()
    }
}

#[test]
fn probe_finds_the_address_and_refuses_strangers() {
    assert_eq!(Host::new(Parity::default()).driver.mac(), MAC);
    let mut segment = Segment::new(Timing::Wire, 1);
    let stranger = MacAddr([0x52, 0x54, 0, 1, 2, 3]);
    let id = segment.add_card(stranger, Quirks::HARDWARE);
    let error = Driver::el_probe(&mut Isa::new(&mut segment, id, Instant::ZERO), Parity::default()).unwrap_err();
    assert_eq!(error.found, stranger);
    assert!(error.to_string().contains("52:54:00:01:02:03"));
}

#[test]
fn open_leaves_the_card_receiving() {
    let mut host = Host::new(Parity::default());
    assert_eq!(host.bench.r8(0xe), 0x49);
    assert_eq!(host.bench.card().station(), MAC);
}

#[test]
fn a_frame_is_sent_padded_and_counted_once() {
    let mut host = Host::new(Parity::default());
    host.xmit(&frame(60, BROADCAST));
    host.settle();
    assert_eq!(host.xmit(&frame(42, OTHER)), Xmit::Accepted);
    assert_eq!(host.xmit(&frame(42, OTHER)), Xmit::Busy);
    host.settle();
    let mut padded = frame(42, OTHER);
    padded.resize(60, 0);
    assert_eq!(host.bench.heard()[1], padded, "zeros, not what the frame before left in the buffer");
    let expected = PortStats { tx_packets: 2, tx_bytes: 102, ..PortStats::default() };
    assert_eq!(host.stats(), expected);
    assert!(host.driver.is_ready());
}

#[test]
fn frames_are_received_one_after_the_other() {
    let mut host = Host::new(Parity::default());
    for len in [60, 1514, 61] {
        let bytes = host.bench.rx(len, MAC);
        host.settle();
        assert_eq!(host.received(), [bytes]);
    }
    host.bench.rx(59, MAC);
    host.settle();
    host.bench.rx(60, MAC);
    host.settle();
    let stats = host.stats();
    assert_eq!((stats.rx_packets, stats.rx_bytes, stats.rx_length_errors), (4, 1695, 1));
}

#[test]
fn group_addresses_are_heard_after_set_multicast_list() {
    let mut host = Host::new(Parity::default());
    host.bench.rx(60, GROUP);
    host.settle();
    host.call(|driver, io, _| driver.set_multicast_list(io, RxFilter::AllMulticast));
    host.bench.rx(60, GROUP);
    host.settle();
    assert_eq!(host.stats().rx_packets, 1);
}

#[test]
fn vector_22_driver_counts_fifteen_collisions_and_one_abort() {
    let mut host = Host::new(Parity::default());
    host.bench.segment.inject(Fault::Collision, 16);
    host.xmit(&frame(60, OTHER));
    host.settle();
    assert_eq!(host.stats(), PortStats { collisions: 15, tx_aborted_errors: 1, ..PortStats::default() });
    host.xmit(&frame(60, OTHER));
    host.settle();
    assert_eq!((host.stats().tx_packets, host.bench.heard().len()), (1, 1));
}

#[test]
fn vector_43_interrupt_during_the_load_causes_one_reload() {
    for (parity, tx_bytes) in [(Parity::default(), 60), (Parity::LINUX, 120)] {
        let mut host = Host::new(parity);
        let bytes = frame(60, OTHER);
        host.call(|driver, io, inbox| {
            driver.take_card(io, 60);
            driver.load(io, &bytes[..30]);
            driver.el_interrupt(io, inbox);
            assert!(!driver.trigger(io), "must load again");
            driver.load(io, &bytes);
            assert!(driver.trigger(io));
        });
        host.settle();
        assert_eq!(host.bench.heard(), [bytes]);
        assert_eq!((host.stats().tx_packets, host.stats().tx_bytes), (1, tx_bytes), "{parity:?}");
    }
}

#[test]
fn vector_44_completion_never_comes_inside_the_trigger() {
    for timing in [Timing::Wire, Timing::FreeRun] {
        let mut host = Host::new(Parity::default());
        host.bench = Bench::timed(timing).opened();
        host.call(|driver, io, inbox| {
            driver.el_start_xmit(io, inbox, &frame(60, OTHER));
            assert!(!io.irq());
            assert_eq!(io.inb(0xe), 0xc4);
        });
        assert!(!host.driver.is_ready());
        host.settle();
        assert!(host.driver.is_ready(), "{timing:?}");
        assert_eq!(host.stats().tx_packets, 1);
    }
}

#[test]
fn late_interrupt_behind_the_trigger_is_no_completion() {
    let mut host = Host::new(Parity::default());
    host.xmit(&frame(60, OTHER));
    host.interrupt();
    assert!(!host.driver.is_ready());
    host.settle();
    assert_eq!((host.stats().tx_packets, host.bench.heard().len()), (1, 1));
}

#[test]
fn vector_45_watchdog() {
    for (parity, hears_group) in [(Parity::default(), true), (Parity::LINUX, false)] {
        let mut host = Host::new(parity);
        host.call(|driver, io, _| driver.set_multicast_list(io, RxFilter::AllMulticast));
        host.bench.segment.inject(Fault::Underflow, 1); // not enabled: the interrupt never comes
        host.xmit(&frame(60, OTHER));
        host.settle();
        assert_eq!(host.driver.next_deadline(), Some(Instant::ZERO + TX_TIMEOUT));
        assert!(!host.driver.is_ready());
        host.call(|driver, io, _| driver.el_timeout(io));
        assert_eq!((host.stats().tx_errors, host.driver.is_ready()), (1, true));
        assert_eq!(host.bench.r8(0xe), 0x49, "off, then receiving");
        host.bench.rx(60, GROUP);
        assert_eq!(host.bench.irq(), hears_group, "{parity:?}");
    }
}

/// A frame arrives between the end of the transmission and its handler.
#[test]
fn frame_behind_a_transmission_is_kept_but_not_by_linux() {
    for (parity, received) in [(Parity::default(), 1), (Parity::LINUX, 0)] {
        let mut host = Host::new(parity);
        host.xmit(&frame(60, OTHER));
        host.bench.run();
        host.bench.rx(60, MAC);
        host.settle();
        assert_eq!((host.stats().rx_packets, host.stats().tx_packets), (received, 1), "{parity:?}");
        host.bench.rx(60, MAC);
        host.settle();
        assert_eq!(host.stats().rx_packets, received + 1, "and the receiver goes on");
    }
}

/// The card may leave the pointer behind a frame that nobody asked for; the next frame must not be appended to it.
#[test]
fn damaged_frame_behind_a_transmission_does_no_harm() {
    let quirks = Quirks { keep_rxptr_on_discard: true, ..Quirks::HARDWARE };
    let mut host = Host::on(Bench::with(quirks), Parity::default());
    host.xmit(&frame(60, OTHER));
    host.bench.run();
    host.bench.rx_bad_fcs(60, MAC);
    host.settle();
    let bytes = host.bench.rx(80, MAC);
    host.settle();
    assert_eq!(host.received(), [bytes]);
}

#[test]
fn frame_waiting_when_the_next_is_sent_is_kept_but_not_by_linux() {
    for (parity, received) in [(Parity::default(), 1), (Parity::LINUX, 0)] {
        let mut host = Host::new(parity);
        host.bench.rx(60, MAC);
        host.xmit(&frame(60, OTHER));
        host.settle();
        assert_eq!((host.stats().rx_packets, host.stats().tx_packets), (received, 1), "{parity:?}");
    }
}

#[test]
fn full_inbox_drops_and_counts() {
    let mut host = Host::new(Parity::default());
    for _ in 0..70 {
        host.bench.rx(60, MAC);
        host.settle();
    }
    assert_eq!((host.stats().rx_packets, host.stats().rx_dropped), (64, 6));
    assert_eq!(host.received().len(), 64);
}

/// On every reading of the card and with every habit the traffic of one host goes on.
#[test]
fn every_card_and_every_driver_work_together() {
    for quirks in [Quirks::HARDWARE, Quirks::VIRTUALBOX] {
        for parity in [Parity::default(), Parity::LINUX] {
            let mut host = Host::on(Bench::with(quirks), parity);
            for round in 1..=5 {
                host.xmit(&frame(60, OTHER));
                host.settle();
                host.bench.rx(60, MAC);
                host.settle();
                host.bench.rx(100, BROADCAST);
                host.settle();
                let counts = (host.stats().tx_packets, host.stats().rx_packets);
                assert_eq!(counts, (round, 2 * round), "{quirks:?} {parity:?}");
            }
        }
    }
}

#[test]
fn closed_card_says_nothing() {
    let mut host = Host::new(Parity::default());
    host.xmit(&frame(60, OTHER));
    host.call(|driver, io, _| driver.el_close(io));
    host.bench.rx(60, MAC);
    host.settle();
    assert!(!host.bench.irq());
    assert_eq!(host.xmit(&frame(60, OTHER)), Xmit::Busy);
    assert!(host.bench.heard().is_empty());
}
