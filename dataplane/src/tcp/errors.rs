//! ICMP errors about our segments (`tcp_v4_err`; RFC 5927: believed only if they quote a number that is under way).

use super::commons::{Ctx, Fate};
use super::config::MtuDiscover;
use super::connection::{Connection, FastOpenState};
use super::mss::Mss;
use super::seq::SeqNum;
use super::state::State;
use super::table::ConnectionId;
use super::transport::Tcp;
use crate::Instant;
use crate::counters::Snmp;
use crate::errno::{EHOSTUNREACH, EMSGSIZE, ENETUNREACH, EPROTO};
use crate::icmp::IcmpNews;
use crate::net::Net;
use std::net::IpAddr;
use xmit_shared::session::LaneEnd;

impl Tcp {
    /// Takes an error about a segment of connection `id`.
    pub fn on_icmp(
        &mut self,
        net: &mut Net,
        now: Instant,
        mut end: Option<&mut LaneEnd>,
        id: ConnectionId,
        news: &IcmpNews,
    ) {
        let seq = SeqNum::new(news.quote.sequence);
        let connected = self.is_fetched(end.as_deref_mut(), id);
        self.with(net, now, end, id, |connection, ctx| {
            if !connection.is_under_way(seq) {
                ctx.net.counters.inc(Snmp::TcpExtOutOfWindowIcmps);
                return Fate::Lives;
            }
            match news.next_hop_mtu {
                Some(mtu) => connection.on_path_mtu(ctx, mtu),
                None => connection.on_unreachable(ctx, news, seq, connected),
            }
        });
    }

    /// Takes an error about the SYN-ACK of the half-open connection `index` (`tcp_req_err`): a path that ends nowhere ends it
    /// silently. Its peer's port says nothing about ours.
    pub fn on_request_icmp(&mut self, net: &mut Net, index: u32, news: &IcmpNews) {
        let Some(request) = self.table.requests.get(index) else { return };
        if request.isn != SeqNum::new(news.quote.sequence) {
            net.counters.inc(Snmp::TcpExtOutOfWindowIcmps);
        } else if news.errno == EPROTO || is_transient(news) {
            self.remove_request(index);
            net.counters.inc(Snmp::TcpExtListenDrops);
        }
    }
}

/// The network says that there is no way at present.
fn is_transient(news: &IcmpNews) -> bool {
    !news.fatal && matches!(news.errno, ENETUNREACH | EHOSTUNREACH)
}

impl Connection {
    /// `SND.UNA <= seq <= SND.NXT`.
    fn is_under_way(&self, seq: SeqNum) -> bool {
        seq.at_or_after(self.send.una) && seq.at_or_before(self.send.nxt)
    }

    /// A segment did not reach its peer.
    fn on_unreachable(&mut self, ctx: &mut Ctx<'_>, news: &IcmpNews, seq: SeqNum, connected: bool) -> Fate {
        let errno = news.errno as u16;
        let opening = matches!(self.state, State::SynSent | State::SynReceived);
        if self.fast_open != FastOpenState::Server && is_transient(news) {
            self.revert_timeout(ctx, seq);
        }
        // A fast open that the program has accepted counts as connected; one that waits in the queue fails there (`fastopen->sk`).
        if opening && !connected {
            return self.fail(ctx, errno);
        }
        // RFC 1122 section 4.2.3.9: a hint, reported if the connection fails for good.
        self.soft_error = errno;
        Fate::Lives
    }

    /// The segment that timed out did not get as far as to be lost by congestion: the timeout is not doubled for it (RFC 6069;
    /// `tcp_ld_RTO_revert`).
    fn revert_timeout(&mut self, ctx: &mut Ctx<'_>, seq: SeqNum) {
        let Some(first) = self.sent.first() else { return };
        if seq != self.send.una || self.retransmits == 0 || self.rtt.backoff() == 0 {
            return;
        }
        self.rtt.revert_backoff();
        let due = ctx.commons.slab[first].sent_at() + self.rtt.rto();
        self.arm_rto(ctx, due.max(ctx.now));
    }

    /// A router says that the path takes no more than `mtu` (RFC 1191; `tcp_v4_mtu_reduced`).
    fn on_path_mtu(&mut self, ctx: &mut Ctx<'_>, mtu: u16) -> Fate {
        if self.config.mtu_discover == MtuDiscover::Dont {
            return Fate::Lives;
        }
        let told = mtu;
        let mtu = told.max(ctx.commons.settings.min_pmtu);
        self.remember_path_mtu(ctx, mtu.min(self.send.pmtu), told < mtu);
        if told < mtu && self.send.dont_fragment {
            self.soft_error = EMSGSIZE as u16;
        }
        if let Some(search) = self.part.mtu_search_mut() {
            search.bound(mtu);
        }
        if mtu >= self.send.pmtu {
            return Fate::Lives;
        }
        self.update_mss(ctx, mtu);
        self.resend_too_long(ctx);
        Fate::Lives
    }

    /// For the next connection to this destination. On a path that is `locked`, below `min_pmtu`, segments go without DF from now on
    /// (`__ip_rt_update_pmtu`): nobody may shrink them further by a forged error.
    fn remember_path_mtu(&mut self, ctx: &mut Ctx<'_>, mtu: u16, locked: bool) {
        let destination = IpAddr::V4(*self.flow.remote.ip());
        ctx.commons.metrics.update(ctx.now, destination, |known| {
            known.pmtu = Some(known.pmtu.map_or(mtu, |known| known.min(mtu)));
            known.pmtu_locked |= locked;
        });
        self.choose_fragmentation(ctx);
    }

    /// Whether segments carry DF, by what the program wants and what is known of the path (`ip_dont_fragment`). Asked again for each
    /// segment without it, because what is known of a path grows old.
    #[cold]
    pub(in crate::tcp) fn choose_fragmentation(&mut self, ctx: &mut Ctx<'_>) {
        let known = ctx.commons.metrics.get(ctx.now, IpAddr::V4(*self.flow.remote.ip()));
        let locked = known.is_some_and(|known| known.pmtu_locked);
        self.send.dont_fragment = self.config.mtu_discover.forbids_cutting(locked);
    }

    /// What is longer than a segment may be now did not arrive, and not because of congestion
    /// (`tcp_simple_retransmit`). Bounded by the segments in flight.
    fn resend_too_long(&mut self, ctx: &mut Ctx<'_>) {
        if self.state == State::SynSent {
            return self.resend_syn(ctx);
        }
        let (slab, mss) = (&mut ctx.commons.slab, u32::from(self.send.mss));
        let mut next = self.sent.oldest();
        let mut lost = false;
        while let Some(id) = next {
            next = self.sent.sent_after(slab, id);
            if slab[id].len() > mss {
                lost |= self.sent.mark_lost(slab, id);
            }
        }
        if lost {
            self.recovery.on_harmless_loss(&mut ctx.commons.episodes, self.send.nxt);
            self.pending.send = true;
        }
    }

    /// A SYN with data was too long, whatever its parts are: all of it is lost, and the SYN goes again at once.
    fn resend_syn(&mut self, ctx: &mut Ctx<'_>) {
        if !matches!(self.fast_open, FastOpenState::SentData(_)) {
            return;
        }
        // What the peer sends takes the same path (`tcp_advertise_mss`).
        self.receive.advertised_mss = self.receive.advertised_mss.min(Mss::of_mtu(self.send.pmtu).bytes());
        self.sent.mark_all_lost(&mut ctx.commons.slab, false);
        self.recovery.on_harmless_loss(&mut ctx.commons.episodes, self.send.nxt);
        if let (Some(first), Some(path)) = (self.sent.first(), self.route(ctx)) {
            // What does not leave now leaves by the timer.
            let _ = self.retransmit(ctx, &path, first);
        }
    }
}
