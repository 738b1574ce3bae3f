//! Probes of the path MTU (RFC 4821 section 7; `tcp_mtu_probe`, `tcp_mtup_probe_success`, `tcp_mtup_probe_failed`): a segment
//! of real data that is longer than the others. If it arrives, segments become as long; if it alone is lost, the path is
//! too narrow for it, which is no congestion.

use super::super::commons::Ctx;
use super::super::connection::Connection;
use super::super::mss::HEADERS_LEN;
use super::super::mtu_search::{MtuSearch, MtuStage};
use super::super::part::Part;
use super::super::recovery::Phase;
use super::super::seq::SeqNum;
use super::super::settings::MtuProbing;
use super::segment::Outbound;
use super::transmit::Departure;
use crate::counters::Snmp;
use crate::ip::Path;
use crate::wire::tcp::Flags;
use std::num::NonZeroU16;

/// What every packet has.
const HEADERS: NonZeroU16 = NonZeroU16::new(HEADERS_LEN).unwrap();
/// A smaller window would feel the segment that a probe takes of it.
const CWND_MIN: u32 = 11;

/// What came of the wish to probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Probing {
    /// There is nothing to probe now: data goes its usual way.
    No,
    /// A probe comes next: nothing else leaves until there is room for it.
    Waits,
    /// It left.
    Left,
}

impl Connection {
    /// The range to search, when the handshake is over (`tcp_mtup_init`).
    pub(in crate::tcp) fn init_mtu_search(&mut self, ctx: &Ctx<'_>) {
        let settings = &ctx.commons.settings;
        let low = self.mss_to_mtu(settings.base_mss);
        self.part = Part::Transfer(MtuSearch::new(ctx.now, low, self.mtu_max()));
        let always = settings.mtu_probing == MtuProbing::Always;
        self.send.mtu_stage = if always { MtuStage::On } else { MtuStage::Off };
    }

    /// The packet that the peer takes at most.
    fn mtu_max(&self) -> u16 {
        self.send.mss_clamp.saturating_add(HEADERS_LEN)
    }

    /// Headers with the options of every segment.
    fn headers_len(&self) -> NonZeroU16 {
        HEADERS.saturating_add(self.options_len())
    }

    fn mss_to_mtu(&self, mss: u16) -> u16 {
        mss.saturating_add(self.headers_len().get())
    }

    /// Sends a probe if it is time for one.
    #[cold]
    pub(super) fn probe_mtu(&mut self, ctx: &mut Ctx<'_>, path: &Path) -> Probing {
        // Reports of holes would take their room from the probe, or from what is measured by it.
        let calm = self.recovery.phase() == Phase::Open && !self.out_of_order.has_report();
        // What may be cut on its way proves nothing.
        if !calm
            || !self.send.dont_fragment
            || self.send.mtu_stage == MtuStage::Probing
            || self.congestion.cwnd() < CWND_MIN
        {
            return Probing::No;
        }
        let settings = &ctx.commons.settings;
        let (now, interval) = (ctx.now, settings.probe_interval);
        let (low, high) = (self.mss_to_mtu(self.send.mss), self.mtu_max());
        let Some(search) = self.part.mtu_search_mut() else { return Probing::No };
        let Some(mtu) = search.candidate(path.mtu, settings.probe_threshold) else {
            search.reopen(now, interval, low, high);
            return Probing::No;
        };
        let len = u32::from(self.mtu_to_mss(settings, mtu));
        match self.place_for_probe(ctx, len) {
            Probing::Left => self.send_mtu_probe(ctx, path, len),
            other => other,
        }
    }

    /// Whether a probe of `len` bytes can leave: behind it there must be enough to tell of its loss at once, and its loss must
    /// not make the window look full.
    fn place_for_probe(&self, ctx: &Ctx<'_>, len: u32) -> Probing {
        let needed = len + (self.recovery.rack().reordering() + 1) * u32::from(self.send.mss);
        let data = self.send.end.distance(self.send.nxt).max(0).cast_unsigned();
        if data < needed || self.send.wnd.0 < needed || ctx.commons.slab.room() == 0 {
            return Probing::No;
        }
        if (self.send.nxt + needed).after(self.window_end()) {
            return Probing::Waits;
        }
        match self.sent.in_flight() {
            0 => Probing::Left,
            in_flight if in_flight + 2 > self.congestion.cwnd() => Probing::Waits,
            _ => Probing::Left,
        }
    }

    fn send_mtu_probe(&mut self, ctx: &mut Ctx<'_>, path: &Path, len: u32) -> Probing {
        let outbound = Outbound { seq: self.send.nxt, len, flags: Flags::ACK, again: false, fast_open: false };
        if self.transmit(ctx, path, &outbound) != Departure::Left {
            return Probing::No;
        }
        // It is as good as two.
        self.congestion.set_cwnd(self.congestion.cwnd() - 1);
        self.on_new_sent(ctx, &outbound);
        self.pace_sent(ctx, outbound.len, 1);
        if let Some(search) = self.part.mtu_search_mut() {
            search.on_sent(outbound.seq, len as u16);
            self.send.mtu_stage = MtuStage::Probing;
        }
        Probing::Left
    }

    /// Where the probe begins that is under way.
    #[inline]
    pub(in crate::tcp) fn mtu_probe(&self) -> Option<SeqNum> {
        (self.send.mtu_stage == MtuStage::Probing).then(|| self.part.mtu_search().probe_start())
    }

    /// Something is sent again: what becomes of the probe will prove nothing.
    pub(super) fn forget_mtu_probe(&mut self) {
        if self.send.mtu_stage == MtuStage::Probing {
            self.send.mtu_stage = MtuStage::On;
        }
    }

    /// `ack` is about to be taken while a probe is under way. If that is below it, segments become as long as it was, and the
    /// window holds as many bytes as before (`tcp_mtup_probe_success`).
    #[cold]
    pub(in crate::tcp) fn judge_mtu_probe(&mut self, ctx: &mut Ctx<'_>, ack: SeqNum) {
        let (before, headers) = (self.mss_to_mtu(self.send.mss), self.headers_len());
        let Some(search) = self.part.mtu_search_mut().filter(|search| ack.at_or_after(search.probe_end())) else {
            return;
        };
        let size = search.on_success(headers);
        self.send.mtu_stage = MtuStage::On;
        self.congestion.rescale(ctx.now, before, size);
        // What passed is proof against what a router once said.
        self.update_mss(ctx, self.send.pmtu.max(size));
        ctx.net.counters.inc(Snmp::TcpExtTCPMTUPSuccess);
    }

    /// The probe, and nothing but the probe, was lost (`tcp_mtup_probe_failed`, `tcp_simple_retransmit`).
    #[cold]
    pub(in crate::tcp) fn on_mtu_probe_lost(&mut self, ctx: &mut Ctx<'_>) {
        self.send.mtu_stage = MtuStage::On;
        let headers = self.headers_len();
        if let Some(search) = self.part.mtu_search_mut() {
            search.on_failure(headers);
        }
        self.congestion.set_cwnd(self.congestion.cwnd() + 1);
        self.recovery.on_harmless_loss(&mut ctx.commons.episodes, self.send.nxt);
        self.pending.send = true;
        ctx.net.counters.inc(Snmp::TcpExtTCPMTUPFail);
    }

    /// Large segments may vanish on the way without a word (`tcp_mtu_probing`; RFC 4821 section 7.7).
    pub(in crate::tcp) fn suspect_black_hole(&mut self, ctx: &mut Ctx<'_>) {
        let settings = &ctx.commons.settings;
        if settings.mtu_probing == MtuProbing::Off {
            return;
        }
        let half = self.mtu_to_mss(settings, self.part.mtu_search().low()) / 2;
        let smaller = half.min(settings.base_mss).max(settings.mtu_probe_floor).max(settings.min_snd_mss);
        let smaller = self.mss_to_mtu(smaller);
        let Some(search) = self.part.mtu_search_mut() else { return };
        if self.send.mtu_stage == MtuStage::Off {
            self.send.mtu_stage = MtuStage::On;
            search.begin(ctx.now);
        } else {
            search.lower(smaller);
        }
        self.update_mss(ctx, self.send.pmtu);
    }
}
