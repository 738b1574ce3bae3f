//! TCP Fast Open (RFC 7413): data in the SYN, for those who have a cookie.
//!
//! * client: `TCP_FASTOPEN_CONNECT` defers the SYN to the first data if there is a cookie, and asks for one otherwise;
//! * server: a valid cookie makes a connection of a SYN, which is accepted at once; how many of these may be unfinished is
//!   the listener's `TCP_FASTOPEN`.

use crate::counters::Snmp;
use crate::net::Net;
use crate::tcp::commons::{Commons, Ctx};
use crate::tcp::connection::{Connection, FastOpenState};
use crate::tcp::fastopen::{CookieVerdict, Form, ServerCookie, Told};
use crate::tcp::flow::Flow;
use crate::tcp::listener::Listener;
use crate::tcp::mss::{HEADERS_LEN, Mss};
use crate::tcp::part::Part;
use crate::wire::tcp_options::{FastOpen, LEN_MAX, Options};
use std::net::IpAddr;
use std::sync::Arc;

/// `tcp_fastopen`: servers may.
const SERVER: u32 = 2;
/// Clients send data without a cookie.
const CLIENT_NO_COOKIE: u32 = 4;
/// Servers want no cookie.
const SERVER_NO_COOKIE: u32 = 0x200;
/// Every listener does, also without `TCP_FASTOPEN`.
const SERVER_WITHOUT_OPTION: u32 = 0x400;

impl Connection {
    /// Whether the SYN waits for data of the program, or asks for a cookie, or neither (`tcp_fastopen_cookie_check`). `wanted`: the
    /// call that connects has data. True if it waits.
    pub(super) fn defer_to_data(&mut self, ctx: &mut Ctx<'_>, wanted: bool) -> bool {
        let wanted = wanted || self.config.fast_open_connect;
        let may = ctx.commons.settings.client_fast_open() && !ctx.commons.cookies.is_disabled(ctx.now);
        if !wanted || !may {
            return false;
        }
        let known = ctx.commons.cookies.get(ctx.now, self.server());
        if let Some(mss) = known.mss {
            self.send.mss_clamp = mss.bytes().min(self.send.mss_clamp);
        }
        let free = self.needs_no_cookie(ctx.commons);
        if !free && known.cookie.is_none() {
            self.fast_open = FastOpenState::Requested(known.form);
            return false;
        }
        self.part = Part::Handshake(known.cookie.filter(|_| !free));
        self.fast_open = FastOpenState::Deferred;
        true
    }

    /// The program wrote while the SYN waited for that.
    pub(in crate::tcp) fn send_deferred_syn(&mut self, ctx: &mut Ctx<'_>) {
        self.look(ctx);
        if self.send.end.after(self.send.isn + 1) {
            self.send_syn_as_it_is(ctx);
        }
    }

    /// The SYN that waits for data leaves with what is there (`tcp_send_syn_data`).
    pub(crate) fn send_syn_as_it_is(&mut self, ctx: &mut Ctx<'_>) {
        let Some(room) = self.syn_room() else { return };
        self.look(ctx);
        self.fast_open = FastOpenState::SentData(self.send.end.earlier(self.send.isn + 1 + u32::from(room)));
        self.send_first_syn(ctx);
    }

    /// Data that goes with the SYN, if that waits: as much as the server was known to take in a segment, beside the most
    /// options that anybody may add on the way.
    pub(crate) fn syn_room(&self) -> Option<u16> {
        let mss = self.send.mss_clamp.min(self.receive.advertised_mss);
        let segment = self.send.pmtu.saturating_sub(HEADERS_LEN).min(mss);
        (self.fast_open == FastOpenState::Deferred).then(|| segment.saturating_sub(LEN_MAX as u16))
    }

    /// What the SYN-ACK says about our data and cookie (`tcp_rcv_fastopen_synack`). True if data of the SYN has to be sent
    /// again.
    pub(super) fn on_fast_open_answer(&mut self, ctx: &mut Ctx<'_>, options: &Options<'_>, resends: u32) -> bool {
        let (asked_in, data_end) = match self.fast_open {
            FastOpenState::Requested(form) => (Some(form), self.send.isn + 1),
            FastOpenState::SentData(end) => (None, end),
            _ => return false,
        };
        let spoke = asked_in.is_some() || self.part.cookie().is_some();
        // A cookie that nobody asked for is not kept.
        let answer = options.fast_open.filter(|_| spoke);
        let next_form = match asked_in.filter(|_| answer.is_none() && resends == 0) {
            Some(Form::Experimental) => Form::StandardAgain,
            Some(_) => Form::Experimental,
            None => Form::Standard,
        };
        let cookie = answer.and_then(|option| ServerCookie::new(option.cookie, option.experimental));
        let told = Told { mss: Mss::of_option(options.mss), cookie, next_form };
        ctx.commons.cookies.put(ctx.now, self.server(), &told);
        let refused = self.sent.segments() > 0;
        if refused {
            ctx.net.counters.inc(Snmp::TcpExtTCPFastOpenActiveFail);
            self.send_syn_data_again(ctx);
        } else if data_end != self.send.isn + 1 {
            ctx.net.counters.inc(Snmp::TcpExtTCPFastOpenActive);
            ctx.commons.cookies.on_success();
            self.fast_open = FastOpenState::DataTaken;
            self.sent.join_syn_data();
        }
        refused
    }

    /// The data of the SYN is sent again, and not because of congestion (`tcp_non_congestion_loss_retransmit`).
    fn send_syn_data_again(&mut self, ctx: &mut Ctx<'_>) {
        self.sent.mark_all_lost(&mut ctx.commons.slab, false);
        self.recovery.on_harmless_loss(&mut ctx.commons.episodes, self.send.nxt);
        self.pending.send = true;
    }

    /// SYNs are lost that Fast Open touched: perhaps something on the path swallows them
    /// (`tcp_fastopen_active_detect_blackhole`). `expired`: this timeout was the last.
    pub(in crate::tcp) fn suspect_fast_open(&self, ctx: &mut Ctx<'_>, expired: bool) {
        let used = matches!(
            self.fast_open,
            FastOpenState::Requested(_) | FastOpenState::SentData(_) | FastOpenState::DataTaken
        );
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
    let answer = |cookie: &[u8]| ServerCookie::new(cookie, option.experimental);
    let keys = listener.keys.as_ref().unwrap_or(&commons.keys);
    if option.cookie.is_empty() {
        return Welcome::Handshake(answer(&keys.cookie(local, remote)));
    }
    match keys.check(local, remote, option.cookie) {
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
        Arc::make_mut(&mut listener.config).fast_open_queue = listener.backlog.min(u16::MAX.into()) as u16;
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
