//! TCP: RFC 9293 and what a modern sender needs.
//!
//! Here stand the parts that need no connection: plain data, time as an argument, nothing allocated after construction.
//!
//! * numbers: `seq`, `window`, `mss`, `timestamp`;
//! * the sender's memory: `marks` (borders in what was written, in a `slab`), `sent` (scoreboard over the lane's slab), `rtt`, `min_rtt`;
//! * when something is lost, and whether it was: `rack`, `tlp`, `frto`, `undo`, and `recovery`, which drives them;
//! * how much may be in flight: `congestion`, `prr`;
//! * what a stranger must not guess or exhaust: `isn`, `syncookies`, `fastopen`, `challenge`.
//!
//! Address family stays out: a flow is given as addresses and ports only where they are hashed.

#[cfg(test)]
mod arrival;
pub mod challenge;
pub mod commons;
pub mod config;
pub mod congestion;
pub mod connection;
pub mod deadlines;
pub mod early;
mod errors;
mod events;
pub mod fastopen;
pub mod flow;
mod flow_index;
pub mod frto;
mod handshake;
mod info;
mod input;
pub mod isn;
pub mod limited;
pub mod listener;
pub mod marks;
pub mod metrics;
pub mod min_rtt;
pub mod mss;
pub mod mtu_search;
pub mod options;
pub mod out_of_order;
mod output;
pub mod part;
pub mod port_flows;
pub mod prr;
pub mod rack;
pub mod recovery;
pub mod request;
pub mod rtt;
pub mod segment;
pub mod sent;
pub mod seq;
pub mod settings;
pub mod siblings;
pub mod slab;
pub mod state;
pub mod syncookies;
pub mod sysctl;
pub mod table;
pub mod time_wait;
mod timer;
pub mod timestamp;
pub mod tlp;
mod transport;
pub mod undo;
mod user;
pub mod window;

pub use commons::{Capacity, Ctx, Fate, News};
pub use connection::Connection;
pub use handshake::Dial;
pub use input::{Target, refuse, tcp_v4_rcv};
pub use settings::Settings;
pub use table::ConnectionId;
pub use transport::Tcp;

/// How long a connection's numbers are kept after its end (`TCP_TIMEWAIT_LEN`).
const fn time_wait_len() -> crate::Duration {
    crate::Duration::from_secs(60)
}

/// What a connection holds of these parts; segments in flight are in the lane's slab.
const _: () = assert!(
    size_of::<sent::Sent>()
        + size_of::<rtt::RttEstimator>()
        + size_of::<recovery::Recovery>()
        + size_of::<congestion::Congestion>()
        <= 288,
    "a million idle connections have to fit"
);
