//! TCP Fast Open (RFC 7413): data in the SYN, for those who have a cookie.
//!
//! * client: `TCP_FASTOPEN_CONNECT` defers the SYN to the first data if there is a cookie, and asks for one otherwise;
//! * server: a valid cookie makes a connection of a SYN, which is accepted at once; how many of these may be unfinished is
//!   the listener's `TCP_FASTOPEN`.

use crate::counters::Snmp;
use crate::net::Net;
use crate::tcp::commons::{Commons, Ctx};
use crate::tcp::connection::{Connection, FastOpenState};
use crate::tcp::fastopen::{CookieVerdict, ServerCookie};
use crate::tcp::flow::Flow;
use crate::tcp::listener::Listener;
use crate::tcp::mss::Mss;
use crate::wire::tcp_options::{FastOpen, LEN_MAX, Options};
use std::net::IpAddr;
use xmit_shared::session::StreamEvents;

/// `tcp_fastopen`: clients may.
const CLIENT: u32 = 1;
/// Servers may.
const SERVER: u32 = 2;
/// Clients send data without a cookie.
const CLIENT_NO_COOKIE: u32 = 4;
/// Servers want no cookie.
const SERVER_NO_COOKIE: u32 = 0x200;
/// Every listener does, also without `TCP_FASTOPEN`.
const SERVER_WITHOUT_OPTION: u32 = 0x400;
/// Bytes of IPv4 and TCP headers without options.
const HEADERS: u16 = 40;

impl Connection {
    /// True if the SYN waits for data of the program: data may go with it (`tcp_fastopen_defer_connect`). If it may not
    /// because there is no cookie, the SYN asks for one.
    pub(super) fn defer_to_data(&mut self, ctx: &mut Ctx<'_>) -> bool {
        let wanted = self.config.fast_open_connect && ctx.commons.settings.fastopen & CLIENT != 0;
        if !wanted || ctx.commons.cookies.is_disabled(ctx.now) {
            return false;
        }
        self.cookie = ctx.commons.cookies.get(ctx.now, self.server());
        if self.cookie.is_none() && !self.needs_no_cookie(ctx.commons) {
            self.fast_open = FastOpenState::Requested;
            return false;
        }
        self.fast_open = FastOpenState::Deferred;
        if let (Some(owner), Some(end)) = (self.owner, ctx.end.as_deref_mut()) {
            // The program may write, as if it were connected.
            end.set_stream_events(owner.slot, StreamEvents::CONNECTED);
        }
        true
    }

    /// The program wrote while the SYN waited for that.
    pub(in crate::tcp) fn send_deferred_syn(&mut self, ctx: &mut Ctx<'_>) {
        if self.fast_open != FastOpenState::Deferred {
            return;
        }
        self.look(ctx);
        if self.send.end.after(self.isn + 1) {
            self.choose_syn_data();
            self.send_first_syn(ctx);
        }
    }

    /// As much data as the server was known to take in a segment goes with the SYN, beside the most options that anybody may
    /// add on the way (`tcp_send_syn_data`).
    fn choose_syn_data(&mut self) {
        let mss = self.cookie.map_or(self.receive.advertised_mss, |cookie| cookie.mss.bytes());
        self.send.mss_clamp = mss.min(self.send.mss_clamp).min(self.receive.advertised_mss);
        let segment = self.send.pmtu.saturating_sub(HEADERS).min(self.send.mss_clamp);
        let room = segment.saturating_sub(LEN_MAX as u16);
        self.fast_open = FastOpenState::SentData(self.send.end.earlier(self.isn + 1 + u32::from(room)));
    }

    /// What the SYN-ACK says about our data and cookie (`tcp_rcv_fastopen_synack`). True if data of the SYN has to be sent
    /// again.
    pub(super) fn on_fast_open_answer(&mut self, ctx: &mut Ctx<'_>, options: &Options<'_>, resends: u32) -> bool {
        let data_end = match self.fast_open {
            FastOpenState::Requested => None,
            FastOpenState::SentData(end) => Some(end),
            _ => return false,
        };
        let refused = self.sent.segments() > 0;
        let fresh = options.fast_open.and_then(|option| {
            let mss = Mss::of_option(options.mss);
            ServerCookie::new(option.cookie, mss, option.experimental)
        });
        if let Some(cookie) = fresh {
            ctx.commons.cookies.put(ctx.now, self.server(), cookie);
        } else if resends > 0 && refused {
            // Only the SYN without data came through: something on the path does not like the other.
            ctx.commons.cookies.remove(self.server());
        }
        self.cookie = None;
        if refused {
            ctx.net.counters.inc(Snmp::TcpExtTCPFastOpenActiveFail);
            self.send_syn_data_again(ctx);
        } else if data_end.is_some_and(|end| end != self.isn + 1) {
            ctx.net.counters.inc(Snmp::TcpExtTCPFastOpenActive);
            self.syn_data_acked = true;
            ctx.commons.cookies.on_success();
        }
        refused
    }

    /// The data of the SYN is sent again, and not because of congestion (`tcp_non_congestion_loss_retransmit`).
    fn send_syn_data_again(&mut self, ctx: &mut Ctx<'_>) {
        self.sent.mark_all_lost(&mut ctx.commons.slab, false);
        self.recovery.on_harmless_loss(self.send.nxt);
        self.pending.send = true;
    }

    /// SYNs are lost that Fast Open touched: perhaps something on the path swallows them
    /// (`tcp_fastopen_active_detect_blackhole`). `expired`: this timeout was the last.
    pub(in crate::tcp) fn suspect_fast_open(&self, ctx: &mut Ctx<'_>, expired: bool) {
        let used = matches!(self.fast_open, FastOpenState::Requested | FastOpenState::SentData(_));
        let telling = self.retransmits == 2 || (self.retransmits < 2 && expired);
        if used && telling && !ctx.commons.settings.fastopen_blackhole_timeout.is_zero() {
            ctx.commons.cookies.on_blackhole(ctx.now);
            ctx.net.counters.inc(Snmp::TcpExtTCPFastOpenBlackhole);
        }
    }

    fn server(&self) -> IpAddr {
        IpAddr::V4(*self.flow.remote.ip())
    }

    fn needs_no_cookie(&self, commons: &Commons) -> bool {
        self.config.fast_open_no_cookie || commons.settings.fastopen & CLIENT_NO_COOKIE != 0
    }
}

/// What a server does with a SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Welcome {
    /// The usual handshake; the SYN-ACK brings this cookie, in the old form of the option if the peer spoke that.
    Handshake(Option<ServerCookie>),
    /// A connection at once; the SYN-ACK brings this cookie, if the one that was shown gets old.
    Connection(Option<ServerCookie>),
}

/// Judges a SYN with `data` bytes of data (`tcp_try_fastopen`).
pub(super) fn welcome(
    net: &mut Net,
    commons: &Commons,
    listener: &Listener,
    flow: &Flow,
    option: Option<FastOpen<'_>>,
    data: u32,
) -> Welcome {
    if option.is_some_and(|option| option.cookie.is_empty()) {
        net.counters.inc(Snmp::TcpExtTCPFastOpenCookieReqd);
    }
    let settings = commons.settings.fastopen;
    if settings & SERVER == 0 || (data == 0 && option.is_none()) || !queue_has_room(net, listener) {
        return Welcome::Handshake(None);
    }
    if settings & SERVER_NO_COOKIE != 0 || listener.config.fast_open_no_cookie {
        return Welcome::Connection(None);
    }
    let Some(option) = option else { return Welcome::Handshake(None) };
    let (local, remote) = (flow.local_addr().ip(), flow.remote_addr().ip());
    let answer = |cookie: &[u8]| ServerCookie::new(cookie, Mss::DEFAULT, option.experimental);
    if option.cookie.is_empty() {
        return Welcome::Handshake(answer(&commons.keys.cookie(local, remote)));
    }
    match commons.keys.check(local, remote, option.cookie) {
        CookieVerdict::Valid => Welcome::Connection(None),
        CookieVerdict::Renew(cookie) => {
            net.counters.inc(Snmp::TcpExtTCPFastOpenPassiveAltKey);
            Welcome::Connection(answer(&cookie))
        }
        CookieVerdict::Invalid(cookie) => {
            net.counters.inc(Snmp::TcpExtTCPFastOpenPassiveFail);
            Welcome::Handshake(answer(&cookie))
        }
    }
}

/// A listener that did not ask for Fast Open gets it where all do: as many as may wait for their program (`inet_listen`,
/// `fastopen_queue_tune`).
pub(super) fn tune_queue(settings: u32, listener: &mut Listener) {
    let all = settings & (SERVER | SERVER_WITHOUT_OPTION) == SERVER | SERVER_WITHOUT_OPTION;
    if all && listener.config.fast_open_queue == 0 {
        listener.config.fast_open_queue = listener.backlog.min(u16::MAX.into()) as u16;
    }
}

/// `tcp_fastopen_queue_check`.
fn queue_has_room(net: &mut Net, listener: &Listener) -> bool {
    let max = u32::from(listener.config.fast_open_queue);
    if max > 0 && listener.fast_open_pending >= max {
        net.counters.inc(Snmp::TcpExtTCPFastOpenListenOverflow);
    }
    listener.fast_open_pending < max
}
