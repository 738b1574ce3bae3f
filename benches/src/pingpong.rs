//! Two stacks on two lanes, joined by a [`cable`], with 64 bytes going to and fro on many connections.
//!
//! Each lane shares its thread with its program, which uses the client library: `xmit::Poller`, `read` and `write`. Two threads, or one for
//! both, where nothing waits for another core and cycles are those of the work alone.

use crate::cable::cable;
use crate::host::{ENDS, Ends};
use crate::node::{Node, while_turning};
use crate::tcp::REQUEST_BYTES;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;
use xmit::{Event, Interest, Poller, TcpListener, TcpStream};
use xmit_dataplane::lane::{Stage, Stages, Turns};
use xmit_nic::PortStats;
use xmit_shared::clock;
use xmit_shared::session::SessionConfig;
use xmit_shared::time::Instant;

/// The port of the echo.
const PORT: u16 = 7000;
/// Turns between two looks at the clock's end.
const TURNS_PER_LOOK: usize = 64;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Connections, each with one request under way.
    pub connections: usize,
    /// Unmeasured beginning.
    pub warm_up: Duration,
    /// What is measured.
    pub duration: Duration,
    /// Both lanes in one thread.
    pub one_thread: bool,
}

/// What one lane and its program did in the measured time.
#[derive(Clone, Debug)]
pub struct Side {
    /// Who.
    pub name: &'static str,
    /// Cycles and items of each stage.
    pub stages: Vec<(Stage, u64, u64)>,
    /// Cycles that the program used when it found something, and what it found.
    pub program: (u64, u64),
    /// Turns, and those that found nothing.
    pub turns: (u64, u64),
    /// Segments sent and received.
    pub segments: (u64, u64),
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Answers that the asking side received.
    pub requests: u64,
    /// In so many seconds.
    pub seconds: f64,
    /// Cycles of the counter in that time.
    pub cycles: u64,
    /// The answering side and the asking one.
    pub sides: [Side; 2],
}

/// Runs it.
///
/// # Errors
/// If the kernel has no memory or threads, or a connection fails.
pub fn run(options: &Options) -> io::Result<Outcome> {
    let slots = (options.connections as u32 * 2).next_power_of_two().max(256);
    let config = SessionConfig { slots, ..SessionConfig::default() };
    let there = Ends { host: ENDS.peer, peer: ENDS.host };
    let (here_port, there_port) = cable(ENDS.host.1, ENDS.peer.1)?;
    let mut server = Node::new(ENDS, Box::new(here_port), &config, clock::cycles)?;
    let mut client = Node::new(there, Box::new(there_port), &config, clock::cycles)?;
    let (accepted, connected) = connect(&mut server, &mut client, options.connections)?;
    let mut answering = Party::new("answers", server, accepted)?;
    let mut asking = Party::new("asks", client, connected)?;
    asking.ask_all()?;
    measure(options, &mut answering, &mut asking)
}

/// The same number of connections at both ends, in any order.
fn connect(server: &mut Node, client: &mut Node, count: usize) -> io::Result<(Vec<TcpStream>, Vec<TcpStream>)> {
    let (here, there) = (server.session.clone(), client.session.clone());
    while_turning(&mut [&mut server.host, &mut client.host], || {
        let listener = TcpListener::bind_in(&here, (ENDS.host.0, PORT))?;
        let mut pairs = (Vec::new(), Vec::new());
        for _ in 0..count {
            pairs.1.push(TcpStream::connect_in(&there, (ENDS.host.0, PORT))?);
            pairs.0.push(listener.accept()?.0);
        }
        for stream in pairs.0.iter().chain(&pairs.1) {
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
        }
        Ok(pairs)
    })
}

/// A node, its connections and its program.
struct Party {
    name: &'static str,
    node: Node,
    poller: Poller<'static>,
    connections: Vec<Connection>,
    events: Vec<Event>,
    buffer: [u8; REQUEST_BYTES],
    program: (u64, u64),
    before: Before,
}

struct Connection {
    stream: TcpStream,
    /// Bytes of the present message that are still to come.
    missing: usize,
}

/// The counters at the beginning of the measured time.
#[derive(Default)]
struct Before {
    stages: Stages,
    program: (u64, u64),
    turns: Turns,
    port: PortStats,
}

impl Party {
    fn new(name: &'static str, node: Node, streams: Vec<TcpStream>) -> io::Result<Self> {
        let mut poller = Poller::new(&node.session);
        for (key, stream) in streams.iter().enumerate() {
            poller.add_stream(stream, key, Interest::READABLE)?;
        }
        let connections = streams.into_iter().map(|stream| Connection { stream, missing: REQUEST_BYTES }).collect();
        let (events, buffer, program, before) = (Vec::new(), [0x5a; REQUEST_BYTES], (0, 0), Before::default());
        Ok(Self { name, node, poller, connections, events, buffer, program, before })
    }

    fn ask_all(&mut self) -> io::Result<()> {
        self.connections.iter().try_for_each(|connection| (&connection.stream).write_all(&self.buffer))
    }

    /// One turn of the lane and what it brought: whole messages are answered at once.
    fn turn(&mut self) -> io::Result<()> {
        self.node.host.turn(clock::monotonic());
        let start = clock::cycles();
        if self.poller.wait(&mut self.events, Some(Duration::ZERO))? == 0 {
            return Ok(());
        }
        let mut whole = 0;
        for event in &self.events {
            let Some(connection) = self.connections.get_mut(event.key) else { continue };
            whole += u64::from(connection.serve(&mut self.buffer)?);
        }
        self.program.0 += clock::cycles() - start;
        self.program.1 += whole;
        Ok(())
    }

    fn mark(&mut self) {
        let lane = self.node.host.lane();
        let port = lane.ports().first().map(|port| port.stats()).unwrap_or_default();
        self.before = Before { stages: *lane.stages(), program: self.program, turns: lane.turns(), port };
    }

    fn side(&self) -> Side {
        let (lane, before) = (self.node.host.lane(), &self.before);
        let stages = lane.stages().iter().zip(before.stages.iter());
        let port = lane.ports().first().map(|port| port.stats()).unwrap_or_default();
        Side {
            name: self.name,
            stages: stages.map(|((stage, cycles, items), (_, c, i))| (stage, cycles - c, items - i)).collect(),
            program: (self.program.0 - before.program.0, self.program.1 - before.program.1),
            turns: (lane.turns().total - before.turns.total, lane.turns().idle - before.turns.idle),
            segments: (port.tx_packets - before.port.tx_packets, port.rx_packets - before.port.rx_packets),
        }
    }
}

impl Connection {
    /// Reads what came; a whole message is answered, and that is told.
    fn serve(&mut self, buffer: &mut [u8; REQUEST_BYTES]) -> io::Result<bool> {
        match (&self.stream).read(buffer.get_mut(..self.missing).unwrap_or_default()) {
            Ok(0) => Err(io::Error::other("a connection ended")),
            Ok(len) if len < self.missing => {
                self.missing -= len;
                Ok(false)
            }
            Ok(_) => {
                self.missing = REQUEST_BYTES;
                (&self.stream).write_all(buffer)?;
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn measure(options: &Options, answering: &mut Party, asking: &mut Party) -> io::Result<Outcome> {
    let start = clock::monotonic();
    let played = match options.one_thread {
        true => play(options, start, &mut [answering, asking])?,
        false => std::thread::scope(|scope| {
            let threads = [(1, &mut *answering), (0, &mut *asking)].map(|(core, party)| {
                scope.spawn(move || {
                    pin(core);
                    play(options, start, &mut [party])
                })
            });
            let panicked = || Err(io::Error::other("a lane's thread panicked"));
            let [one, other] = threads.map(|thread| thread.join().unwrap_or_else(|_| panicked()));
            one.and(other)
        })?,
    };
    let sides = [answering.side(), asking.side()];
    let [_, Side { program: (_, requests), .. }] = sides;
    Ok(Outcome { requests, seconds: played.0, cycles: played.1, sides })
}

/// Turns `parties` through the warm-up and the measured time, which begin for all threads at once. Answers seconds and cycles.
fn play(options: &Options, start: Instant, parties: &mut [&mut Party]) -> io::Result<(f64, u64)> {
    let warm = start + options.warm_up;
    turn_until(parties, warm)?;
    parties.iter_mut().for_each(|party| party.mark());
    let (began, cycles) = (clock::monotonic(), clock::cycles());
    turn_until(parties, warm + options.duration)?;
    Ok((clock::monotonic().saturating_since(began).as_secs_f64(), clock::cycles() - cycles))
}

fn turn_until(parties: &mut [&mut Party], end: Instant) -> io::Result<()> {
    while clock::monotonic() < end {
        for _ in 0..TURNS_PER_LOOK {
            parties.iter_mut().try_for_each(|party| party.turn())?;
        }
    }
    Ok(())
}

/// Keeps this thread on `core`, where there is one: a thread that moves between the cores would measure that.
fn pin(core: usize) {
    let mut cores = rustix::thread::CpuSet::new();
    cores.set(core);
    // On a machine with fewer cores it stays where it may run.
    let _ = rustix::thread::sched_setaffinity(None, &cores);
}

/// As people read it.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (requests, seconds) = (self.requests.max(1), self.seconds);
        writeln!(
            f,
            "{:.0} requests a second, {} cycles of one core each",
            requests as f64 / seconds,
            self.cycles / requests
        )?;
        self.sides.iter().try_for_each(|side| side.fmt(f, self.cycles))
    }
}

impl Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>, all: u64) -> fmt::Result {
        let (sent, received) = self.segments;
        let (turns, idle) = self.turns;
        let share = |cycles: u64| 100.0 * cycles as f64 / all.max(1) as f64;
        writeln!(f, "{}: {sent} segments sent, {received} received, {turns} turns, {idle} of them idle", self.name)?;
        writeln!(
            f,
            "  {:<12} {:>12} {:>14} {:>18} {:>8}",
            "stage", "items", "cycles each", "cycles a segment", "share"
        )?;
        let program = ("program", self.program.0, self.program.1);
        let stages = self.stages.iter().map(|(stage, cycles, items)| (stage.name(), *cycles, *items));
        for (name, cycles, items) in stages.chain([program]).filter(|(_, _, items)| *items > 0) {
            let (each, segment) = (cycles / items, cycles / received.max(1));
            writeln!(f, "  {name:<12} {items:>12} {each:>14} {segment:>18} {:>7.1}%", share(cycles))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_go_to_and_fro() {
        for one_thread in [true, false] {
            let (warm_up, duration) = (Duration::from_millis(1), Duration::from_millis(20));
            let outcome = run(&Options { connections: 4, warm_up, duration, one_thread }).unwrap();
            assert!(outcome.requests > 10, "{outcome}");
            assert!(outcome.to_string().contains("Input"), "{outcome}");
        }
    }
}
