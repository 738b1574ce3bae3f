//! The tables that only a lane knows, for operators.

use super::{Lane, LaneDescription, NeighbourDescription, QueueDescription, StreamDescription};
use crate::stack::Stack;
use crate::tcp::Connection;
use crate::tcp::deadlines::{Retransmission, Timer};
use crate::tcp::listener::Listener;
use crate::tcp::request::Request;
use crate::tcp::state::{State, TIME_WAIT_NAME};
use crate::tcp::time_wait::TimeWait;
use crate::udp::UdpSocket;
use std::net::SocketAddrV4;

impl Lane {
    /// The tables that only this lane knows.
    pub fn describe(&self) -> LaneDescription {
        let net = &self.stack.net;
        let named = |socket: &UdpSocket| {
            let session = self.stack.sockets.name_at(socket.owner.session)?;
            Some((session, socket.clone()))
        };
        let queues = net.devices.iter().map(|d| QueueDescription {
            port: d.caps.name.clone(),
            interface: d.interface,
            discipline: d.queue.name(),
            limit: d.queue.limit(),
            stats: d.queue.stats(),
        });
        let neighbours = net.neighbours.iter().map(|n| NeighbourDescription {
            interface: n.interface,
            address: n.address,
            mac: n.is_valid().then_some(n.mac),
            state: n.state.name(),
            waiting: n.waiting(),
        });
        let ports = self.ports.iter().zip(&net.devices);
        LaneDescription {
            lane: self.id,
            sockets: self.stack.udp.iter().filter_map(named).collect(),
            streams: streams(&self.stack),
            neighbours: neighbours.collect(),
            queues: queues.collect(),
            frames: net.pool.census(),
            ports: ports.map(|(p, d)| (d.caps.name.clone(), d.interface, p.caps().mode.clone(), p.stats())).collect(),
        }
    }
}

/// Listeners, then connections from the handshake to TIME_WAIT. Bounded by [`STREAMS_SHOWN_MAX`]: a lane has no time for
/// a million lines.
fn streams(stack: &Stack) -> Vec<StreamDescription> {
    let tables = &stack.tcp.table;
    let listeners = stack.tcp.listeners.iter().map(|(_, listener)| of_listener(stack, listener));
    let connections = tables.connections.iter().map(|(_, connection)| of_connection(stack, connection));
    let requests = tables.requests.iter().map(|(_, request)| of_request(request));
    let time_waits = tables.time_waits.iter().map(|(_, time_wait)| of_time_wait(time_wait));
    listeners.chain(connections).chain(requests).chain(time_waits).take(STREAMS_SHOWN_MAX).collect()
}

/// What a lane copies in about a millisecond.
const STREAMS_SHOWN_MAX: usize = 10_000;

fn blank(state: &'static str, local: SocketAddrV4, remote: Option<SocketAddrV4>) -> StreamDescription {
    StreamDescription {
        session: None,
        state,
        local,
        remote,
        receive_queue: 0,
        send_queue: 0,
        timer: None,
        retransmits: 0,
        cwnd: 0,
        bytes_retrans: 0,
        bytes_received: 0,
        bytes_acked: 0,
    }
}

fn of_listener(stack: &Stack, listener: &Listener) -> StreamDescription {
    StreamDescription {
        session: stack.sockets.name_at(listener.owner.session),
        receive_queue: listener.waiting.len() as u32,
        send_queue: listener.backlog,
        ..blank("LISTEN", listener.local, None)
    }
}

fn of_connection(stack: &Stack, connection: &Connection) -> StreamDescription {
    let send = &connection.send;
    StreamDescription {
        session: connection.owner.and_then(|owner| stack.sockets.name_at(owner.session)),
        receive_queue: connection.owner.map_or(0, |owner| stack.sockets.unread(owner)),
        send_queue: send.end.distance(send.una).max(0).unsigned_abs(),
        timer: timer(connection),
        retransmits: connection.retransmits,
        cwnd: connection.congestion.cwnd(),
        bytes_retrans: connection.rare.bytes_retrans,
        bytes_received: connection.stats.bytes_received,
        bytes_acked: connection.stats.bytes_acked,
        ..blank(connection.state.name(), connection.flow.local, Some(connection.flow.remote))
    }
}

/// The timer that `ss -o` shows: of retransmission or probes before keepalive.
fn timer(connection: &Connection) -> Option<(&'static str, crate::Instant)> {
    let deadlines = &connection.deadlines;
    let name = match deadlines.retransmission {
        Retransmission::WindowProbe => "persist",
        _ => "on",
    };
    let retransmission = deadlines.at(Timer::Retransmission).map(|at| (name, at));
    retransmission.or_else(|| deadlines.at(Timer::KeepAlive).map(|at| ("keepalive", at)))
}

fn of_request(request: &Request) -> StreamDescription {
    StreamDescription {
        retransmits: request.retransmits,
        ..blank(State::SynReceived.name(), request.flow.local, Some(request.flow.remote))
    }
}

fn of_time_wait(time_wait: &TimeWait) -> StreamDescription {
    let state = if time_wait.fin_wait_2 { State::FinWait2.name() } else { TIME_WAIT_NAME };
    blank(state, time_wait.flow.local, Some(time_wait.flow.remote))
}
