//! Active opening (`tcp_v4_connect`, `tcp_connect`): the flow's place, our number, what the SYN offers.
//!
//! A flow in TIME_WAIT may be taken again if timestamps tell its old segments from the new ones (RFC 6191;
//! `tcp_twsk_unique`).

use super::birth::Birth;
use super::initial_window::{Opening, advertised_mss};
use crate::Instant;
use crate::counters::Snmp;
use crate::drop::DropReason;
use crate::errno::{EADDRNOTAVAIL, EHOSTUNREACH, ENETUNREACH, ENOBUFS};
use crate::ip::{PathKey, ip_route_output};
use crate::net::Net;
use crate::owner::Owner;
use crate::tcp::commons::{Commons, Ctx, Fate};
use crate::tcp::config::Config;
use crate::tcp::connection::Connection;
use crate::tcp::flow::Flow;
use crate::tcp::isn;
use crate::tcp::seq::SeqNum;
use crate::tcp::settings::{EcnMode, Settings};
use crate::tcp::table::{ConnectionId, Place};
use crate::tcp::time_wait::TimeWait;
use crate::tcp::transport::Tcp;
use std::net::IpAddr;
use std::sync::Arc;
use xmit_shared::session::LaneEnd;

/// What a connection begins with.
#[derive(Clone, Copy, Debug)]
pub struct Dial<'a> {
    /// Between whom.
    pub flow: Flow,
    /// Whose it is.
    pub owner: Owner,
    /// The options of its socket.
    pub config: &'a Arc<Config>,
    /// The call has data for the SYN (`MSG_FASTOPEN`).
    pub fast_open: bool,
    /// The program chose its port.
    pub fixed_port: bool,
}

/// A connection that follows one in TIME_WAIT begins so far behind its end: beyond any window without scale.
const TIME_WAIT_STEP: u32 = 65_535 + 2;

/// The number that a connection begins with behind `time_wait`; 0 means "none yet" to Linux, and is passed over.
pub(super) fn isn_behind(time_wait: &TimeWait) -> SeqNum {
    let isn = time_wait.snd_nxt + TIME_WAIT_STEP;
    if isn == SeqNum::new(0) { SeqNum::new(1) } else { isn }
}

/// The largest datagrams of a path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mtus {
    /// To the next hop: what our MSS option is made of, as the way back may be another (RFC 1191 section 3.1).
    pub(super) first_hop: u16,
    /// To the peer, as far as is known.
    pub(super) path: u16,
    /// The path takes less than is believed of any (`ip_mtu_locked`).
    pub(super) locked: bool,
}

/// The MTU of the path of `flow`: the route's, or less if ICMP said so.
pub(super) fn path_mtu(
    net: &mut Net,
    now: Instant,
    commons: &mut Commons,
    flow: &Flow,
    config: &Config,
) -> Result<Mtus, DropReason> {
    let key =
        PathKey { destination: *flow.remote.ip(), source: Some(*flow.local.ip()), tos: config.tos, interface: None };
    let mtu = ip_route_output(net, now, &key)?.mtu;
    let known = commons.metrics.get(now, IpAddr::V4(*flow.remote.ip())).unwrap_or_default();
    Ok(Mtus { first_hop: mtu, path: known.pmtu.map_or(mtu, |known| mtu.min(known)), locked: known.pmtu_locked })
}

impl Tcp {
    /// Opens `flow` actively: the SYN leaves, or waits for data of the program (`TCP_FASTOPEN_CONNECT`). Its rings are
    /// open in `owner.slot`.
    ///
    /// # Errors
    /// The error number for the program: no route, the flow is taken, no room.
    pub fn connect(
        &mut self,
        net: &mut Net,
        now: Instant,
        mut end: Option<&mut LaneEnd>,
        dial: &Dial<'_>,
    ) -> Result<ConnectionId, i32> {
        let Dial { flow, owner, config, fast_open, fixed_port } = *dial;
        let mtus = path_mtu(net, now, &mut self.commons, &flow, config).map_err(|reason| match reason {
            DropReason::IpRouteRefused => EHOSTUNREACH,
            _ => ENETUNREACH,
        })?;
        if self.table.connections.is_full() {
            return Err(ENOBUFS);
        }
        let before = self.take_time_wait(net, now, &flow, fixed_port)?;
        let settings = &self.commons.settings;
        let room = end.as_deref_mut().and_then(|end| end.rx_room(owner.slot).ok()).filter(|room| *room > 0);
        let advertised_mss = advertised_mss(settings, config, mtus.first_hop);
        let birth = Birth {
            now,
            flow,
            isn: before.as_ref().map_or_else(
                || isn::initial_sequence(&self.commons.secret, now, flow.local_addr(), flow.remote_addr()),
                isn_behind,
            ),
            clock: isn::timestamp_clock(
                settings,
                &self.commons.secret,
                flow.local_addr().ip(),
                flow.remote_addr().ip(),
            ),
            mtu: mtus.path,
            mtu_locked: mtus.locked,
            opening: Opening::choose(
                settings,
                config,
                room.unwrap_or(u32::MAX),
                advertised_mss,
                settings.window_scaling,
            ),
            advertised_mss,
            ident: net.rng.next_u64() as u16,
            config,
        };
        let id = self.table.insert_connection(flow, |id| Connection::new(id, settings, &birth)).ok_or(EADDRNOTAVAIL)?;
        self.with(net, now, end, id, |connection, ctx| connection.begin(ctx, owner, before.as_ref(), fast_open));
        Ok(id)
    }

    /// Takes the flow from a TIME_WAIT that it may follow. An error if the flow is not to be had.
    fn take_time_wait(
        &mut self,
        net: &mut Net,
        now: Instant,
        flow: &Flow,
        fixed_port: bool,
    ) -> Result<Option<TimeWait>, i32> {
        let index = match self.table.lookup(flow) {
            None => return Ok(None),
            Some(Place::TimeWait(index)) => index,
            Some(_) => return Err(EADDRNOTAVAIL),
        };
        let settings = &self.commons.settings;
        let may = self.table.time_waits.get(index).is_some_and(|old| may_follow(settings, now, old, fixed_port));
        if !may {
            return Err(EADDRNOTAVAIL);
        }
        let old = self.remove_time_wait(index);
        net.counters.inc(Snmp::TcpExtTWRecycled);
        Ok(old)
    }
}

/// `tcp_twsk_unique`: old duplicates must be told from new segments by their timestamps, whose clock must have moved.
fn may_follow(settings: &Settings, now: Instant, old: &TimeWait, fixed_port: bool) -> bool {
    let loopback = old.flow.local.ip().is_loopback() || old.flow.remote.ip().is_loopback();
    let reuse = match settings.tw_reuse {
        _ if old.fin_wait_2 => false,
        0 => false,
        2 => loopback,
        _ => true,
    };
    let moved = now.as_millis() > old.since.as_millis() + settings.tw_reuse_delay.as_millis() as u64;
    // A program that chose its port wants exactly this.
    old.ts_recent.is_some() && (fixed_port || (reuse && moved))
}

impl Connection {
    /// The first step of a new connection.
    fn begin(&mut self, ctx: &mut Ctx<'_>, owner: Owner, before: Option<&TimeWait>, fast_open: bool) -> Fate {
        self.owner = Some(owner);
        if let Some(old) = before {
            // So that the first SYN-ACK is checked against it (RFC 7323 section 5).
            self.receive.ts_recent = old.ts_recent.unwrap_or(0);
            self.receive.ts_recent_at = old.ts_recent_at;
        }
        self.agree_to_offer(ctx);
        self.update_mss(ctx, self.send.pmtu);
        self.guess_segment_size();
        if !self.defer_to_data(ctx, fast_open) {
            self.send_first_syn(ctx);
        }
        Fate::Lives
    }

    /// What the SYN offers stands as agreed until the SYN-ACK says less.
    fn agree_to_offer(&mut self, ctx: &Ctx<'_>) {
        let settings = &ctx.commons.settings;
        self.agreed.timestamps = settings.timestamps;
        self.agreed.window_scaling = settings.window_scaling;
        self.agreed.sack = settings.sack;
        self.agreed.ecn = settings.ecn == EcnMode::On || self.congestion.kind().needs_ecn();
    }

    /// Sends the SYN for the first time (`tcp_connect`).
    pub(super) fn send_first_syn(&mut self, ctx: &mut Ctx<'_>) {
        ctx.net.counters.inc(Snmp::TcpActiveOpens);
        self.begun_at = ctx.now;
        self.stalled_since = Some(ctx.now);
        self.send_syn(ctx);
    }
}
