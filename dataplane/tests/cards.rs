//! TCP over two 3C501s on one coax, in virtual time: cards with one buffer, deaf while they send, which lose frames all the time.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on says so

use std::net::{Ipv4Addr, SocketAddrV4};

use xmit_nic::el3c501::{El3c501Port, LanConfig, Parity, Quirks, SharedLan};
use xmit_nic::{Duration, Instant, MacAddr, Port};
use xmit_script::End;
use xmit_shared::session::{Op, StreamEvents};

const ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)];
const MACS: [MacAddr; 2] = [MacAddr([0x02, 0x60, 0x8c, 0, 0, 1]), MacAddr([0x02, 0x60, 0x8c, 0, 0, 2])];
const PORT: u16 = 7;
/// When hosts are made.
const START: Instant = Instant::from_millis(10_000);
const FRAMES: usize = 1024;
/// What goes there and comes back.
const BYTES: usize = 128 << 10;
/// What a program reads or writes at once.
const GULP: usize = 64 << 10;
const SEEDS: std::ops::RangeInclusive<u64> = 1..=20;
/// No exchange may take longer: a quarter of a Mbit/s each way.
const LONGEST: Duration = Duration::from_secs(4);
/// Nor all together: two thirds of a Mbit/s each way. Whole flights are lost to deaf cards, and then only the timeout helps.
const ALL: Duration = Duration::from_secs(32);

/// Two hosts, each on a card.
struct Cards {
    asker: End,
    echo: End,
    now: Instant,
}

impl Cards {
    fn new(seed: u64) -> Self {
        let lan = SharedLan::new(LanConfig { seed, ..LanConfig::default() });
        let host = |n: usize| {
            let card = El3c501Port::open(&lan, ["el0", "el1"][n], MACS[n], Quirks::default(), Parity::default());
            let port: Box<dyn Port> = Box::new(card.unwrap());
            End::new(ADDRESSES[n], port, 1500, FRAMES, seed ^ n as u64).unwrap()
        };
        Self { asker: host(0), echo: host(1), now: START }
    }

    /// One turn of both; without work time moves to the next event.
    fn step(&mut self) {
        if self.asker.host.turn(self.now) + self.echo.host.turn(self.now) > 0 {
            return;
        }
        let next = [self.asker.host.next_deadline(self.now), self.echo.host.next_deadline(self.now)];
        let next = next.into_iter().flatten().min().unwrap_or_else(|| panic!("nothing will ever happen"));
        // An event of the past that was no work must not stop time.
        self.now = next.max(self.now + Duration::from_nanos(1));
    }

    /// A connection: the asker's slot and the echo's.
    fn connect(&mut self) -> (u32, u32) {
        let listener = self.echo.listen(self.now, PORT, 8, 1).unwrap();
        let asker = self.asker.stream(self.now).unwrap();
        self.asker.call(self.now, asker, Op::Connect(SocketAddrV4::new(ADDRESSES[1], PORT))).unwrap();
        let mut accepted = None;
        while accepted.is_none() || !self.asker.client.events(asker).contains(StreamEvents::CONNECTED) {
            accepted = accepted.or_else(|| self.echo.client.accept(listener).unwrap());
            self.step();
        }
        (asker, accepted.unwrap().slot)
    }

    /// How long it takes until all has come back.
    fn exchange(&mut self) -> Duration {
        let (asker, echo) = self.connect();
        let (began, mut room) = (self.now, vec![0; GULP]);
        let (mut unsent, mut owed, mut back) = (BYTES, 0, 0);
        while back < BYTES {
            unsent -= self.asker.client.write(asker, &room[..unsent.min(GULP)], false).unwrap();
            if owed == 0 {
                owed = self.echo.client.read(echo, &mut room).unwrap();
            }
            owed -= self.echo.client.write(echo, &room[..owed], false).unwrap();
            back += self.asker.client.read(asker, &mut room).unwrap();
            assert!(self.now.saturating_since(began) < LONGEST, "{back} bytes came back in {LONGEST:?}");
            self.step();
        }
        self.now.saturating_since(began)
    }
}

#[test]
fn what_is_sent_both_ways_at_once_gets_through() {
    let took = SEEDS.map(|seed| {
        println!("seed {seed}");
        Cards::new(seed).exchange()
    });
    let all: Duration = took.inspect(|took| println!("  {took:?}")).sum();
    assert!(all < ALL, "{all:?}");
}
