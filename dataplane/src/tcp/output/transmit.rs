//! The one place that builds a TCP header (`__tcp_transmit_skb`): first transmissions, retransmissions, pure ACKs,
//! probes, SYNs and resets.
//!
//! RFC 9293 section 3.1, RFC 7323 (timestamps), RFC 2018 (SACK), RFC 3168 (ECN). Data is copied from the send ring
//! into the frame here, each time anew.

use super::super::commons::Ctx;
use super::super::congestion::Signal;
use super::super::connection::{Connection, FastOpenState};
use super::super::fastopen::{Form, ServerCookie};
use super::super::recovery::Phase;
use super::super::window::WireWindow;
use super::segment::Outbound;
use crate::counters::Snmp;
use crate::drop::DropReason;
use crate::errno::{EHOSTUNREACH, ENETUNREACH};
use crate::ip::{Outgoing, Path, PathKey, PathKind, has_room, ip_queue_xmit, ip_route_output, reserve};
use crate::wire::checksum::Sum;
use crate::wire::ipv4::{ECN_MASK, Protocol};
use crate::wire::tcp::{self, Flags, PlainHeader};
use crate::wire::tcp_options::{FastOpen, Options, Timestamps};
use xmit_nic::frame::FrameFlags;

/// ECT(0) (RFC 3168 section 5).
const ECT_0: u8 = 2;

/// What came of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(in crate::tcp) enum Departure {
    /// It left, or was lost below, which is the network's matter.
    Left,
    /// There is no room for it now: nothing has happened, the connection tries again.
    NoRoom,
    /// Its bytes cannot be read: the program's memory is gone.
    NoData,
}

impl Connection {
    /// The way to the peer, whose MTU the segment size follows down (`tcp_current_mss`). `None`: there is none; counted,
    /// and kept as the error to report if the connection fails.
    pub(in crate::tcp) fn route(&mut self, ctx: &mut Ctx<'_>) -> Option<Path> {
        let mut path = Path::NOWHERE;
        self.route_by(ctx, &mut path).then_some(path)
    }

    /// The same, into `path`, which is copied as a whole: handed on in pieces it would be read back before they are written. False
    /// if there is none.
    #[inline]
    pub(super) fn route_by(&mut self, ctx: &mut Ctx<'_>, path: &mut Path) -> bool {
        let key = PathKey {
            destination: *self.flow.remote.ip(),
            source: Some(*self.flow.local.ip()),
            tos: self.config.tos,
            interface: None,
        };
        match ip_route_output(ctx.net, ctx.now, &key) {
            Ok(found) => *path = *found,
            Err(reason) => {
                self.note_no_route(ctx, reason);
                return false;
            }
        }
        if !self.send.dont_fragment {
            self.choose_fragmentation(ctx);
        }
        if path.mtu < self.send.pmtu {
            self.update_mss(ctx, path.mtu);
        }
        true
    }

    #[cold]
    fn note_no_route(&mut self, ctx: &mut Ctx<'_>, reason: DropReason) {
        ctx.net.counters.inc(Snmp::IpOutNoRoutes);
        ctx.net.counters.dropped(reason);
        self.soft_error = if reason == DropReason::IpNoRoute { ENETUNREACH as u16 } else { EHOSTUNREACH as u16 };
    }

    /// Builds and sends one segment. Nothing is changed unless it left.
    pub(in crate::tcp) fn transmit(&mut self, ctx: &mut Ctx<'_>, path: &Path, outbound: &Outbound) -> Departure {
        if !has_room(ctx.net, path) {
            return Departure::NoRoom;
        }
        let Some(mut frame) = reserve(ctx.net, path) else { return Departure::NoRoom };
        let cookie = if outbound.fast_open { self.part.cookie() } else { None };
        let options = (!self.is_plain(outbound)).then(|| self.all_options(ctx, outbound, cookie.as_ref()));
        let header_len = match &options {
            Some(options) => tcp::LEN + options.len(),
            None => PlainHeader::len_with(self.agreed.timestamps),
        };
        let whole = frame.set_len(header_len + outbound.len as usize);
        if !whole || !self.copy_data(ctx, outbound, &mut frame.bytes_mut()[header_len..]) {
            ctx.net.pool.release(frame);
            return Departure::NoData;
        }
        let syn = outbound.flags.contains(Flags::SYN);
        let space = if syn { None } else { self.space(ctx) };
        let window = if syn {
            WireWindow(self.receive.wnd.0.min(0xffff) as u16)
        } else {
            self.select_window(ctx, space.as_ref())
        };
        let flags = self.ecn_flags(outbound) | outbound.flags;
        let plain = PlainHeader {
            source_port: self.flow.local.port(),
            destination_port: self.flow.remote.port(),
            seq: outbound.seq.number(),
            ack: if flags.contains(Flags::ACK) { self.receive.nxt.number() } else { 0 },
            flags,
            window: window.0,
            timestamps: self.agreed.timestamps.then(|| self.timestamps(ctx)),
        };
        let pseudo = (path.kind != PathKind::Local).then(|| self.flow.pseudo_header(frame.len()));
        if pseudo.is_none() {
            frame.flags = FrameFlags::CHECKSUM_VERIFIED;
        }
        match options {
            None => _ = plain.emit(pseudo, frame.bytes_mut()),
            Some(options) => self.emit_full(outbound, &plain, options, pseudo, frame.bytes_mut()),
        }
        let out = self.ip_header(outbound);
        self.count_departure(ctx, outbound, flags);
        if let Some(space) = &space {
            self.after_window(ctx, space);
        }
        if let Err(reason) = ip_queue_xmit(ctx.net, ctx.now, path, &out, frame) {
            self.on_local_loss(ctx, reason);
        }
        Departure::Left
    }

    /// Nothing but timestamps and what every header has.
    #[inline]
    fn is_plain(&self, outbound: &Outbound) -> bool {
        !outbound.flags.contains(Flags::SYN) && self.send.urgent.is_none() && !self.out_of_order.has_report()
    }

    /// The options of a segment that is not plain, Fast Open's among them.
    #[cold]
    fn all_options<'a>(
        &mut self,
        ctx: &mut Ctx<'_>,
        outbound: &Outbound,
        cookie: Option<&'a ServerCookie>,
    ) -> Options<'a> {
        let mut options: Options<'a> = self.options(ctx, outbound);
        if outbound.fast_open {
            let asked = self.fast_open == FastOpenState::Requested(Form::Experimental);
            let (cookie, experimental) = cookie.map_or((&[][..], asked), |c| (c.cookie(), c.experimental));
            options.fast_open = Some(FastOpen { cookie, experimental });
        }
        options
    }

    /// The header of such a segment.
    #[cold]
    fn emit_full(
        &self,
        outbound: &Outbound,
        plain: &PlainHeader,
        options: Options<'_>,
        pseudo: Option<Sum>,
        bytes: &mut [u8],
    ) {
        let urgent = self.urgent_pointer(outbound);
        let header = tcp::Header {
            source_port: plain.source_port,
            destination_port: plain.destination_port,
            seq: plain.seq,
            ack: plain.ack,
            flags: if urgent.is_some() { plain.flags | Flags::URG } else { plain.flags },
            window: plain.window,
            urgent: urgent.unwrap_or(0),
            options,
        };
        header.emit(bytes);
        if let Some(pseudo) = pseudo {
            tcp::fill_checksum(pseudo, bytes);
        }
    }

    /// What IP must know.
    fn ip_header(&mut self, outbound: &Outbound) -> Outgoing {
        let ident = self.ident;
        self.ident = ident.wrapping_add(1);
        let ecn = if self.is_ecn_capable(outbound) { ECT_0 } else { 0 };
        Outgoing {
            source: *self.flow.local.ip(),
            destination: *self.flow.remote.ip(),
            protocol: Protocol::TCP,
            tos: self.config.tos & !ECN_MASK | ecn,
            ttl: self.config.ttl,
            ident: Some(ident),
            dont_fragment: self.send.dont_fragment,
            priority: self.config.priority,
        }
    }

    /// The data of the segment, from the send ring.
    #[inline]
    fn copy_data(&self, ctx: &Ctx<'_>, outbound: &Outbound, room: &mut [u8]) -> bool {
        if outbound.len == 0 {
            return true;
        }
        let first = outbound.seq + u32::from(outbound.flags.contains(Flags::SYN));
        let offset = first.since(self.ring_start());
        match (self.owner, ctx.end.as_deref()) {
            (Some(owner), Some(end)) => end.tx_copy_at(owner.slot, offset, room),
            _ => false,
        }
    }

    /// `tcp_established_options`, `tcp_syn_options`.
    #[inline]
    fn options(&mut self, ctx: &mut Ctx<'_>, outbound: &Outbound) -> Options<'static> {
        if outbound.flags.contains(Flags::SYN) {
            return self.syn_options(ctx, outbound);
        }
        let mut options = Options::NONE;
        if self.agreed.timestamps {
            options.timestamps = Some(self.timestamps(ctx));
        }
        if self.agreed.sack && self.out_of_order.has_report() && outbound.flags.contains(Flags::ACK) {
            options.sack = self.out_of_order.blocks(&mut ctx.commons.ranges, options.sack_room());
        }
        options
    }

    fn timestamps(&self, ctx: &Ctx<'_>) -> Timestamps {
        Timestamps { value: self.clock.value(ctx.now), echo: self.receive.ts_recent }
    }

    /// The options of a SYN: what we want; of a SYN-ACK: what was agreed on.
    fn syn_options(&self, ctx: &Ctx<'_>, outbound: &Outbound) -> Options<'static> {
        let settings = &ctx.commons.settings;
        let answer = outbound.flags.contains(Flags::ACK);
        let wants = |wanted: bool, agreed: bool| if answer { agreed } else { wanted };
        let scaling = wants(settings.window_scaling, self.agreed.window_scaling);
        Options {
            mss: Some(self.receive.advertised_mss),
            window_scale: scaling.then_some(self.receive.scale.shift()),
            sack_permitted: wants(settings.sack, self.agreed.sack),
            timestamps: wants(settings.timestamps, self.agreed.timestamps).then(|| self.timestamps(ctx)),
            ..Options::NONE
        }
    }

    /// ECE and CWR (RFC 3168 sections 6.1.2 and 6.1.3; `tcp_ecn_send`).
    #[inline]
    fn ecn_flags(&mut self, outbound: &Outbound) -> Flags {
        if !self.agreed.ecn || outbound.flags.intersects(Flags::SYN | Flags::RST) {
            return Flags::NONE;
        }
        let mut flags = if self.receive.echo_congestion { Flags::ECE } else { Flags::NONE };
        if self.send.announce_cwr && outbound.len > 0 && !outbound.again {
            self.send.announce_cwr = false;
            flags |= Flags::CWR;
        }
        flags
    }

    /// New data may be marked; with DCTCP everything (RFC 8257 section 3).
    #[inline]
    fn is_ecn_capable(&self, outbound: &Outbound) -> bool {
        let everything = self.congestion.kind().needs_ecn();
        self.agreed.ecn && (everything || (outbound.len > 0 && !outbound.again && !outbound.flags.contains(Flags::SYN)))
    }

    /// The urgent pointer, while urgent data lies ahead (`tcp_urg_mode`).
    #[inline]
    fn urgent_pointer(&self, outbound: &Outbound) -> Option<u16> {
        let up = self.send.urgent.filter(|up| outbound.seq.before(*up))?;
        match up.since(outbound.seq) {
            ahead @ 0..=0xffff => Some(ahead as u16),
            _ if (outbound.seq + 0xffff).after(self.send.nxt) => Some(0xffff),
            _ => None,
        }
    }

    /// Counts, and what an ACK and data do to the delay of ACKs.
    #[inline]
    fn count_departure(&mut self, ctx: &mut Ctx<'_>, outbound: &Outbound, flags: Flags) {
        if flags.contains(Flags::ACK) {
            self.on_ack_sent();
        }
        self.stats.segs_out = self.stats.segs_out.wrapping_add(1);
        if outbound.len > 0 {
            self.stats.data_segs_out = self.stats.data_segs_out.wrapping_add(1);
            self.stats.bytes_sent += u64::from(outbound.len);
            self.on_data_sent(ctx.now);
        }
        if outbound.again {
            self.rare.bytes_retrans += u64::from(outbound.len);
            ctx.net.counters.inc(Snmp::TcpRetransSegs);
        } else {
            ctx.net.counters.inc(Snmp::TcpOutSegs);
        }
    }

    /// Our own queues refused it: that is congestion, too (`net_xmit_eval`, `tcp_enter_cwr`).
    #[cold]
    fn on_local_loss(&mut self, ctx: &mut Ctx<'_>, reason: DropReason) {
        let full = matches!(reason, DropReason::QdiscFull | DropReason::BacklogFull);
        if full && self.state.is_synchronized() && self.recovery.phase() < Phase::Cwr {
            let episodes = &mut ctx.commons.episodes;
            self.recovery.enter_cwr(&mut self.congestion, episodes, self.send.nxt, Signal::Loss);
        }
    }
}
