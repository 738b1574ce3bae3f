//! The demo without root: the same stack twice in this process, over a simulated wire and over two 3C501s.
//!
//! Time is virtual, so round trips and rates are those of the wire, and the same at every run.

use xmit_nic::el3c501::{El3c501Port, LanConfig, Parity, Quirks, SharedLan};
use xmit_nic::sim::{Impairment, Wire};
use xmit_nic::{Duration, MacAddr, Port};
use xmit_script::Host;
use xmit_shared::clock;

use crate::Failure;
use crate::demo::exchange::Load;
use crate::demo::narrator::{Narrator, go_on};
use crate::demo::not_shown;
use crate::demo::shown::Shown;
use crate::demo::stacks::Stacks;
use crate::table::Table;
use crate::wait::Interrupt;

const PINGS: u16 = 20;
const SEED: u64 = 0x0003_c501;
/// Stations of the two cards: 3Com's prefix, because the cards' driver takes no other.
const CARDS: [MacAddr; 2] = [MacAddr([0x02, 0x60, 0x8c, 0, 0, 1]), MacAddr([0x02, 0x60, 0x8c, 0, 0, 2])];

/// Both ways, one after the other.
pub fn run(narrator: &Narrator, interrupt: &Interrupt) -> Result<Vec<Shown>, Failure> {
    narrator.say("Two stacks in this process. As root, where namespaces are allowed, the kernel is one of the two.")?;
    Ok(vec![wire(narrator, interrupt)?, cards(narrator, interrupt)?])
}

fn wire(narrator: &Narrator, interrupt: &Interrupt) -> Result<Shown, Failure> {
    narrator.say("\n== A simulated wire of 1 Gbit/s and 20 us")?;
    let (rate_bps, delay) = (1_000_000_000, Duration::from_micros(20));
    let wire = Wire::new(SEED).impair(Impairment { rate_bps, delay, ..Impairment::NONE });
    let (a, b) = wire.ports().map_err(Failure::io("make a simulated wire"))?;
    let load = Load { datagrams: 20_000, window: 64 };
    show("two stacks on a simulated wire", [Box::new(a), Box::new(b)], load, narrator, interrupt)
}

fn cards(narrator: &Narrator, interrupt: &Interrupt) -> Result<Shown, Failure> {
    narrator.say("\n== Two 3C501s on one coax of 10 Mbit/s")?;
    let lan = SharedLan::new(LanConfig { seed: SEED, ..LanConfig::default() });
    let [a, b] = CARDS;
    let card = |name, mac| -> Result<Box<dyn Port>, Failure> {
        let card = El3c501Port::open(&lan, name, mac, Quirks::default(), Parity::default());
        Ok(Box::new(card.map_err(not_shown)?))
    };
    let ports = [card("el0", a)?, card("el1", b)?];
    // Two at once meet on the wire now and then; more would only overrun cards with one buffer.
    let load = Load { datagrams: 2_000, window: 2 };
    let shown = show("two stacks on two 3C501s", ports, load, narrator, interrupt)?;
    let counters = lan.lock().segment().counters();
    narrator.say(&format!("the coax: {} frames, {} collisions", counters.frames, counters.collisions))?;
    Ok(Shown { collisions: Some(counters.collisions), ..shown })
}

fn show(
    over: &'static str,
    [a, b]: [Box<dyn Port>; 2],
    load: Load,
    narrator: &Narrator,
    interrupt: &Interrupt,
) -> Result<Shown, Failure> {
    let (start, mode) = (clock::monotonic(), b.caps().mode.clone());
    let mut stacks = Stacks::new(a, b)?;
    let pings = stacks.ping(PINGS);
    narrator.say(&format!("ping: {} of {} answered, median {:.3} ms", pings.answered, pings.sent, pings.median_ms))?;
    let bar = narrator.bar("datagrams", load.datagrams);
    let echoes = stacks.exchange(load, &bar, || go_on(interrupt))?;
    let took = clock::monotonic().saturating_since(start).as_secs_f64();
    narrator.say(&format!(
        "UDP: {} of {} datagrams came back as they were sent, {:.3} s on the wire, {took:.3} s on this machine",
        echoes.echoed, echoes.wanted, echoes.seconds
    ))?;
    let table = counters([("a", &mut stacks.a.host), ("b", &mut stacks.b.host)]);
    narrator.say(&format!("\n{table}"))?;
    let frames_lost = Some(stacks.finish());
    Ok(Shown { over, mode, pings, echoes, streams: Vec::new(), collisions: None, kernel_tcp_lines: None, frames_lost })
}

/// What the hosts and their ports counted, without zeros.
fn counters<const N: usize>(hosts: [(&str, &mut Host); N]) -> Table {
    let mut table = Table::new(&["host", "counter", "value"]);
    for (name, host) in hosts {
        let snmp = xmit_dataplane::counters::names().zip(host.counters().values()).collect::<Vec<_>>();
        let ports = host.lane().ports().iter().flat_map(|port| port.stats().named()).collect::<Vec<_>>();
        let all = snmp.into_iter().map(|(counter, value)| (counter.to_string(), value));
        let all = all.chain(ports.into_iter().map(|(counter, value)| (format!("port {counter}"), value)));
        all.filter(|(_, value)| *value > 0).for_each(|(counter, value)| table.row(&[&name, &counter, &value]));
    }
    table
}
