//! The demo against the kernel: two acts in one lab, over AF_XDP and over two 3C501s.
//!
//! ```text
//!   xmit-a: ping, programs with UDP and TCP     xmit-b: xmitd, programs on its shared memory, the kernel's TCP
//!   1)  xa0 10.77.0.1 ---- veth ---- xb0 --AF_XDP-- lane, 10.77.0.2
//!   2)  xa0 10.77.0.1 ---- veth ---- xb0 --AF_XDP-- 3C501 ==coax, 10 Mbit/s== 3C501 -- lane, 10.77.0.4
//! ```

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use xmitd::api::Stat;

use crate::Failure;
use crate::demo::exchange::{Load, exchange};
use crate::demo::narrator::Narrator;
use crate::demo::not_shown;
use crate::demo::ping::ping;
use crate::demo::place::Place;
use crate::demo::shown::{Shown, Streamed};
use crate::demo::stream;
use crate::demo::talk::Talk;
use crate::demo::xmitd::Xmitd;
use crate::view::lists;
use crate::view::stat::{StatOptions, stat_text};
use crate::wait::Interrupt;

/// One way to reach the daemon.
struct Act {
    title: &'static str,
    over: &'static str,
    address: Ipv4Addr,
    /// The rest of the daemon's configuration.
    interface: &'static str,
    load: Load,
    /// Bytes that go there and back on each TCP connection.
    stream_bytes: usize,
    has_collisions: bool,
}

const ACTS: [Act; 2] = [
    Act {
        title: "AF_XDP: xmitd has an address of its own on xb0, which the kernel goes on using",
        over: "xmitd on AF_XDP",
        address: Ipv4Addr::new(10, 77, 0, 2),
        interface: "[[interface]]\nname = \"xb0\"\naddresses = [\"10.77.0.2/24\"]\n",
        load: Load { datagrams: 20_000, window: 64 },
        stream_bytes: 16 << 20,
        has_collisions: false,
    },
    Act {
        title: "Two 3C501s on one coax of 10 Mbit/s: one is xmitd's, the other is joined to xb0",
        over: "xmitd on two 3C501s",
        address: Ipv4Addr::new(10, 77, 0, 4),
        interface: "[[interface]]\nname = \"el0\"\nkind = \"el3c501\"\naddresses = [\"10.77.0.4/24\"]\n\
                    [interface.el3c501]\nsegment = \"coax0\"\njoin = \"af_xdp:xb0\"\npeer = \"card\"\n",
        // Two at once meet on the wire now and then; more would only overrun cards with one buffer.
        load: Load { datagrams: 500, window: 2 },
        stream_bytes: 128 << 10,
        has_collisions: true,
    },
];

const PINGS: u32 = 20;
/// The port of the echo service (RFC 862).
const ECHO: u16 = 7;
/// The kernel's own address beside the daemon's, and a port for its TCP.
const KERNEL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(10, 77, 0, 3)), 2222);

/// The kernel's echo of TCP, on the other side of the wire.
const KERNEL_ECHO: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(10, 77, 0, 1)), ECHO);

/// Both acts, one after the other, with one TCP connection of the kernel all along.
pub fn run(place: Place, narrator: &Narrator, interrupt: &Interrupt) -> Result<Vec<Shown>, Failure> {
    narrator.say("== The lab")?;
    if place.cleaned {
        narrator.say("What a killed demo had left was removed.")?;
    }
    for side in &place.state.sides {
        narrator.say(&format!("namespace {}: {} with {}", side.namespace, side.interface, side.address))?;
    }
    let [a, b] = &place.state.sides;
    let talk = Talk::start(&a.namespace, &b.namespace, KERNEL)?;
    narrator
        .say(&format!("A TCP connection of the kernel goes on from here to the end, {} to {KERNEL}.", a.address))?;
    let mut shown = Vec::new();
    for act in &ACTS {
        shown.push(play(act, &place, &talk, narrator, interrupt)?);
    }
    let (lines, longest) = (talk.lines(), talk.stop()?);
    narrator.say(&format!(
        "\nThe kernel's TCP connection carried {lines} lines while xmitd came and went twice; the slowest took {:.1} ms.",
        longest.as_secs_f64() * 1e3
    ))?;
    place.remove()?;
    narrator.say("Everything made is removed.")?;
    Ok(shown)
}

fn play(act: &Act, place: &Place, talk: &Talk, narrator: &Narrator, interrupt: &Interrupt) -> Result<Shown, Failure> {
    narrator.say(&format!("\n== {}", act.title))?;
    let [a, _] = &place.state.sides;
    let lines_before = talk.lines();
    let mut xmitd = Xmitd::start(place, act.interface, interrupt)?;
    narrator.say(&format!("xmitd {} answers, process {}.", xmitd.version.daemon, xmitd.version.pid))?;
    let interfaces = xmitd.interfaces(interrupt)?;
    narrator.say(&lists::interfaces(&interfaces).to_string())?;
    let mode = interfaces.first().and_then(|interface| interface.ports.first());
    let mode = mode.map(|port| port.mode.clone()).ok_or_else(|| not_shown("xmitd has no port"))?;

    let target = SocketAddrV4::new(act.address, ECHO);
    let echo = xmitd.start_echo(target, interrupt)?;
    narrator.say(&format!("The echo has a socket in shared memory at {target}, process {}.", echo.id()))?;
    let pings = ping(&a.namespace, act.address, PINGS, interrupt)?;
    narrator.say(&format!("ping: {} of {} answered, median {:.3} ms", pings.answered, pings.sent, pings.median_ms))?;
    let echoes = exchange(&a.namespace, target, act.load, narrator, interrupt)?;
    narrator.say(&format!("UDP: {} of {} datagrams came back as they were sent", echoes.echoed, echoes.wanted))?;

    let streams = streams(act, place, &xmitd, narrator, interrupt)?;

    let stat = xmitd.client.stat()?;
    narrator.say(&format!("\n{}", stat_text(&stat, None, StatOptions::default())))?;
    echo.stop();
    let log = xmitd.stop()?;
    narrator.say(&said(&log, "segment ").unwrap_or_default())?;
    narrator.say("xmitd stopped in order.")?;
    let collisions = act.has_collisions.then(|| collisions(&stat));
    let kernel_tcp_lines = Some(talk.lines() - lines_before);
    Ok(Shown { over: act.over, mode, pings, echoes, streams, collisions, kernel_tcp_lines, frames_lost: None })
}

/// A TCP connection each way: the kernel's program to the echo on xmit, and one on xmit to the kernel's echo.
fn streams(
    act: &Act,
    place: &Place,
    xmitd: &Xmitd,
    narrator: &Narrator,
    interrupt: &Interrupt,
) -> Result<Vec<Streamed>, Failure> {
    let [a, _] = &place.state.sides;
    let target = SocketAddrV4::new(act.address, ECHO);
    let bytes = act.stream_bytes;
    let there = stream::from_the_kernel(&a.namespace, target, bytes, narrator, interrupt)?;
    narrator.say(&format!("TCP: {there}"))?;
    let back = stream::to_the_kernel(&xmitd.session, &a.namespace, KERNEL_ECHO, bytes, narrator, interrupt)?;
    narrator.say(&format!("TCP: {back}"))?;
    Ok(vec![there, back])
}

/// Collisions that the daemon's cards had part in.
fn collisions(stat: &Stat) -> u64 {
    let ports = stat.lanes.iter().flat_map(|lane| &lane.ports);
    ports.filter_map(|port| port.counters.get("collisions")).sum()
}

/// The last line of the log with `what`, from there on.
fn said(log: &str, what: &str) -> Option<String> {
    log.lines().rev().find_map(|line| line.find(what).and_then(|at| line.get(at..)).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_quoted_from_the_word_on() {
        let log = "12:00 INFO joins: segment a: joined\n12:01 INFO joins: segment a: 3 frames\n12:02 INFO done";
        assert_eq!(said(log, "segment ").as_deref(), Some("segment a: 3 frames"));
        assert_eq!(said(log, "coax"), None);
    }
}
