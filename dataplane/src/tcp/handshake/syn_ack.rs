//! The SYN-ACK of a half-open connection, built from its request (`tcp_make_synack`, `tcp_v4_send_synack`).

use super::reply::{Envelope, ports, send as send_reply};
use crate::Instant;
use crate::net::Net;
use crate::tcp::fastopen::ServerCookie;
use crate::tcp::listener::Listeners;
use crate::tcp::request::Request;
use crate::wire::tcp::{Flags, Header};
use crate::wire::tcp_options::{FastOpen, LEN_MAX, Options, Timestamps};

/// Builds and sends it. `ts_value` is our timestamp if it is not the time (a SYN cookie's); `cookie` is one for Fast Open.
pub(super) fn send(
    net: &mut Net,
    now: Instant,
    listeners: &Listeners,
    request: &Request,
    ts_value: Option<u32>,
    cookie: Option<&ServerCookie>,
) {
    let Some(listener) = listeners.get(request.listener) else { return };
    let config = &listener.config;
    let value = ts_value.unwrap_or_else(|| request.clock.value(now));
    let mut options = Options {
        mss: Some(request.advertised_mss),
        window_scale: request.peer_scale.map(|_| request.scale.shift()),
        sack_permitted: request.sack,
        timestamps: request.timestamp.map(|echo| Timestamps { value, echo }),
        ..Options::NONE
    };
    options.fast_open = cookie.map(|cookie| FastOpen { cookie: cookie.cookie(), experimental: cookie.experimental });
    if options.len() > LEN_MAX {
        options.fast_open = None;
    }
    let ecn = if request.ecn { Flags::ECE } else { Flags::NONE };
    let header = Header {
        seq: request.isn.number(),
        ack: (request.peer_isn + 1).number(),
        flags: Flags::SYN | Flags::ACK | ecn,
        window: request.receive_window.min(0xffff) as u16,
        options,
        ..ports(&request.flow)
    };
    let tos = request.reflected_tos.unwrap_or(config.tos);
    let envelope = Envelope { tos, ttl: config.ttl, priority: config.priority };
    send_reply(net, now, &request.flow, &header, &envelope);
}
