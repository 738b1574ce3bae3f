//! Opening, and what comes before and after a connection.
//!
//! * active: `connect` (`tcp_v4_connect`), `syn_sent` (the answer to our SYN);
//! * passive: `listen`, `syn` (`tcp_conn_request`), `request` (the third segment, `tcp_check_req`), `syn_ack`,
//!   `cookies`, `fast_open` (RFC 7413), `child` and `accept` (how a connection gets its slot);
//! * both: `birth` (every field of a new connection), `initial_window`, `transfer` (what the first window is), `metrics`;
//! * without a connection: `time_wait`, `reply`.
//!
//! A stranger's SYN costs a [`Request`](super::request::Request), and nothing under SYN cookies; a connection is made
//! by the third segment.

mod accept;
mod birth;
mod child;
mod connect;
mod cookies;
mod fast_open;
mod initial_window;
mod listen;
mod metrics;
mod reply;
mod request;
mod syn;
mod syn_ack;
mod syn_sent;
#[cfg(test)]
mod tests;
mod time_wait;
mod transfer;

pub use connect::Dial;

pub(super) use reply::reply_reset;
pub(super) use request::{retries_in, seconds_of};

use super::settings::Settings;
use crate::wire::tcp_options::Options;

/// The options of a header of `header` bytes that the settings let count (`tcp_parse_options`).
fn options_of<'a>(settings: &Settings, header: &'a [u8]) -> Options<'a> {
    let mut options = Options::parse(header.get(crate::wire::tcp::LEN..).unwrap_or_default());
    options.window_scale = options.window_scale.filter(|_| settings.window_scaling);
    options.timestamps = options.timestamps.filter(|_| settings.timestamps);
    options.sack_permitted &= settings.sack;
    options
}
