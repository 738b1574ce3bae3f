//! Answers that the lanes must be asked for: counters, sockets, neighbours, queues, captures.

use super::{Control, clients};
use crate::api::{self, Counters, Response, Stages, Stat};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;
use xmit_dataplane::device::Tap;
use xmit_dataplane::lane::{LaneCommand, LaneDescription, StreamDescription};
use xmit_dataplane::route::InterfaceId;
use xmit_dataplane::udp::UdpSocket;
use xmit_shared::Instant;

/// A lane that has not published for this long, though it does not sleep, is stuck.
const STUCK_NS: u64 = 1_000_000_000;

impl Control {
    fn interface_name(&self, id: InterfaceId) -> String {
        self.network.interfaces.get(usize::from(id.0)).map(|i| i.name.clone()).unwrap_or_default()
    }

    pub(super) fn describe_lanes(&mut self) -> Vec<LaneDescription> {
        self.lanes.as_mut().map(|lanes| lanes.describe()).unwrap_or_default()
    }

    pub(super) fn stat(&mut self, now: Instant) -> Stat {
        let descriptions = self.describe_lanes();
        let readings = self.lanes.as_ref().map(|lanes| lanes.readings()).unwrap_or_default();
        let mut lanes: Vec<_> = readings.into_iter().map(|reading| reading.stat).collect();
        for stat in &mut lanes {
            self.name_ports(stat);
        }
        for lane in &descriptions {
            // A lane that did not answer in time has no description, and shows no census.
            let Some(stat) = lanes.get_mut(usize::from(lane.lane)) else { continue };
            let census = lane.frames;
            stat.frames = named([
                ("free", census.free as u64),
                ("lane", census.lane as u64),
                ("receive", census.receive as u64),
                ("transmit", census.transmit as u64),
            ]);
        }
        let sockets = descriptions.iter().map(|lane| (lane.sockets.len() + lane.streams.len()) as u64).sum();
        let sessions = self.sessions.as_ref().map_or(0, |sessions| sessions.served()) as u64;
        Stat { sockets, sessions, ..Stat::of_lanes(now.as_nanos(), self.generation, lanes) }
    }

    /// The lane publishes counters by the place of a port; its name and mode are known here.
    fn name_ports(&self, stat: &mut api::LaneStat) {
        let facts = self.lanes.as_ref().map(|lanes| lanes.ports()).unwrap_or_default();
        let ours: Vec<_> = facts.iter().filter(|port| port.lane == stat.lane).collect();
        stat.ports.truncate(ours.len());
        for (port, facts) in stat.ports.iter_mut().zip(ours) {
            (port.name, port.mode) = (facts.name.clone(), facts.mode.clone());
            port.interface = self.interface_name(InterfaceId(facts.interface));
            port.steering = self.steering(facts.interface);
        }
    }

    fn steering(&self, interface: u16) -> Counters {
        let Some(counters) = self.steer.counters(interface) else { return Counters::default() };
        named([("redirected", counters.redirected), ("passed", counters.passed), ("malformed", counters.malformed)])
    }

    pub(super) fn stages(&self) -> Stages {
        let readings = self.lanes.as_ref().map(|lanes| lanes.readings()).unwrap_or_default();
        let lanes = readings.into_iter().map(|reading| reading.stages).collect();
        Stages { cycles_per_second: self.cycles_per_second, lanes }
    }

    pub(super) fn health(&self, now: Instant) -> api::Health {
        let Some(lanes) = &self.lanes else { return api::Health::default() };
        let rows = lanes.readings().into_iter().zip(lanes.alive()).map(|(reading, alive)| api::LaneHealth {
            lane: reading.stat.lane,
            core: reading.stat.core,
            alive,
            sleeping: reading.sleeping,
            last_turn_ns: now.as_nanos().saturating_sub(reading.last_turn.as_nanos()),
        });
        let rows: Vec<_> = rows.collect();
        let mut problems = self.network.notes.clone();
        for lane in &rows {
            if !lane.alive {
                problems.push(format!("lane {} has ended: see the log, and restart the daemon", lane.lane));
            } else if !lane.sleeping && lane.last_turn_ns > STUCK_NS {
                problems.push(format!(
                    "lane {} has not turned for {} ms: is core {} given to something else?",
                    lane.lane,
                    lane.last_turn_ns / 1_000_000,
                    lane.core
                ));
            }
        }
        api::Health { lanes: rows, problems }
    }

    pub(super) fn sockets(&mut self, now: Instant) -> Vec<api::Socket> {
        let lanes = self.describe_lanes();
        let pid = |session: Option<u32>| {
            let client = session.and_then(|session| self.sessions.as_ref()?.client(session));
            client.map_or(0, |client| client.pid)
        };
        let mut rows = Vec::new();
        for lane in &lanes {
            let datagrams = lane.sockets.iter().map(|(s, socket)| socket_row(lane.lane, *s, pid(Some(*s)), socket));
            rows.extend(datagrams);
            rows.extend(lane.streams.iter().map(|stream| stream_row(now, lane.lane, pid(stream.session), stream)));
        }
        rows
    }

    pub(super) fn neighbors(&mut self) -> Vec<api::Neighbor> {
        let mut rows = Vec::new();
        for lane in self.describe_lanes() {
            for neighbour in &lane.neighbours {
                rows.push(api::Neighbor {
                    address: neighbour.address,
                    interface: self.interface_name(neighbour.interface),
                    lane: lane.lane.into(),
                    mac: neighbour.mac.map(|mac| mac.to_string()),
                    state: neighbour.state.to_owned(),
                    waiting: neighbour.waiting as u32,
                });
            }
        }
        rows
    }

    pub(super) fn qdiscs(&mut self) -> Vec<api::Qdisc> {
        let mut rows = Vec::new();
        for lane in self.describe_lanes() {
            for queue in &lane.queues {
                rows.push(api::Qdisc {
                    interface: self.interface_name(queue.interface),
                    lane: lane.lane.into(),
                    kind: queue.discipline.to_owned(),
                    backlog: queue.stats.backlog as u64,
                    limit: queue.limit as u64,
                    counters: named([
                        ("packets", queue.stats.packets),
                        ("bytes", queue.stats.bytes),
                        ("drops", queue.stats.drops),
                        ("requeues", queue.stats.requeues),
                    ]),
                });
            }
        }
        rows
    }

    pub(super) fn capture_start(&mut self, interface: Option<String>, path: Option<PathBuf>, snaplen: u32) -> Response {
        let chosen: Vec<(u16, String, xmit_nic::MacAddr)> = (0..)
            .zip(&self.network.interfaces)
            .filter(|(_, i)| interface.as_ref().is_none_or(|name| *name == i.name))
            .map(|(id, i)| (id, i.name.clone(), i.mac))
            .collect();
        if chosen.is_empty() {
            return Response::Error(format!(
                "no interface {}: `xmit stat` shows their names",
                interface.unwrap_or_default()
            ));
        }
        let directory = self.config.daemon.operator_socket.parent().map(PathBuf::from).unwrap_or_default();
        let named = chosen.iter().map(|(_, name, mac)| (name.clone(), *mac)).collect();
        let begun = match self.captures.start(named, path, &directory, snaplen) {
            Ok(begun) => begun,
            Err(error) => return Response::Error(error.to_string()),
        };
        for ((id, ..), tap) in chosen.iter().zip(begun.taps) {
            let tap = Tap::new(begun.id, tap);
            if let Some(lanes) = &mut self.lanes {
                lanes.tell_all(|_| LaneCommand::AddTap { interface: InterfaceId(*id), tap: tap.clone() });
            }
        }
        Response::CaptureStarted(api::CaptureStarted { id: begun.id, path: begun.path })
    }

    pub(super) fn capture_stop(&mut self, id: u64) -> Response {
        if let (Some(tap), Some(lanes)) = (self.captures.tap_of(id), &mut self.lanes) {
            lanes.tell_all(|_| LaneCommand::RemoveTap { id: tap });
            // Their answer comes after the taps are gone: the file then holds all that passed before this call.
            lanes.describe();
        }
        match self.captures.stop(id) {
            Ok((path, summary)) => Response::CaptureStopped(api::CaptureStopped {
                id,
                path,
                packets: summary.frames,
                bytes: summary.bytes,
                missed: summary.dropped,
            }),
            Err(error) => Response::Error(error.to_string()),
        }
    }
}

fn socket_row(lane: u16, session: u32, pid: u32, socket: &UdpSocket) -> api::Socket {
    api::Socket {
        session: session.into(),
        pid,
        protocol: "udp".into(),
        state: if socket.remote.is_some() { "ESTAB" } else { "UNCONN" }.into(),
        local: socket.local,
        remote: socket.remote.filter(|remote| *remote.ip() != Ipv4Addr::UNSPECIFIED),
        lane: lane.into(),
        receive_queue: 0,
        send_queue: 0,
        timer: None,
        counters: named([
            ("rx_datagrams", socket.counts.rx_datagrams),
            ("tx_datagrams", socket.counts.tx_datagrams),
            ("rx_buffer_full", socket.counts.rx_buffer_full),
            ("tx_refused", socket.counts.tx_refused),
        ]),
    }
}

fn stream_row(now: Instant, lane: u16, pid: u32, stream: &StreamDescription) -> api::Socket {
    let left = |at: Instant| crate::config::Span(Duration::from_millis(at.saturating_since(now).as_millis() as u64));
    let timer = stream.timer.map(|(name, at)| format!("{name},{},{}", left(at), stream.retransmits));
    let counters = [
        ("cwnd", u64::from(stream.cwnd)),
        ("bytes_acked", stream.bytes_acked),
        ("bytes_received", stream.bytes_received),
        ("bytes_retrans", stream.bytes_retrans),
    ];
    api::Socket {
        session: stream.session.unwrap_or(0).into(),
        pid,
        protocol: "tcp".into(),
        state: stream.state.into(),
        local: stream.local,
        remote: stream.remote,
        lane: lane.into(),
        receive_queue: stream.receive_queue.into(),
        send_queue: stream.send_queue.into(),
        timer,
        counters: named(counters),
    }
}

fn named<const N: usize>(values: [(&str, u64); N]) -> Counters {
    values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Ticks of the time-stamp counter in a second.
pub(super) fn cycles_per_second() -> u64 {
    clients::measure_cycles_per_second()
}
