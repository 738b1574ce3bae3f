//! ICMP errors about our segments (`tcp_v4_err`; RFC 5927: believed only if they quote a number that is under way).

use super::commons::{Ctx, Fate};
use super::connection::{Connection, FastOpenState};
use super::flow::Flow;
use super::seq::SeqNum;
use super::state::State;
use super::table::{ConnectionId, Place};
use super::transport::Tcp;
use crate::Instant;
use crate::counters::Snmp;
use crate::errno::EHOSTUNREACH;
use crate::icmp::IcmpNews;
use crate::net::Net;
use crate::owner::Owner;
use std::net::IpAddr;
use xmit_shared::session::LaneEnd;

impl Tcp {
    /// Whose rings an error about `flow` needs.
    pub fn owner_of_flow(&self, flow: &Flow) -> Option<Owner> {
        match self.table.lookup(flow)? {
            Place::Connection(index) => self.table.connections.get(index)?.owner,
            Place::Request(_) | Place::TimeWait(_) => None,
        }
    }

    /// Takes an error about a segment of ours that was numbered `seq`. False if it is about nothing here.
    pub fn on_icmp(
        &mut self,
        net: &mut Net,
        now: Instant,
        end: Option<&mut LaneEnd>,
        news: &IcmpNews,
        seq: u32,
    ) -> bool {
        let flow = Flow { local: news.quote.source, remote: news.quote.destination };
        let seq = SeqNum::new(seq);
        match self.table.lookup(&flow) {
            Some(Place::Connection(index)) => {
                let Some(id) = self.table.connections.get(index).map(|c| c.id) else { return false };
                self.on_connection_error(net, now, end, id, news, seq);
            }
            Some(Place::Request(index)) => {
                let ours = self.table.requests.get(index).is_some_and(|request| request.isn == seq);
                if !ours {
                    net.counters.inc(Snmp::TcpExtOutOfWindowIcmps);
                } else if news.next_hop_mtu.is_none() && (news.fatal || is_hard(news)) {
                    self.remove_request(index);
                    net.counters.inc(Snmp::TcpExtListenDrops);
                }
            }
            Some(Place::TimeWait(_)) => {}
            None => return false,
        }
        true
    }

    fn on_connection_error(
        &mut self,
        net: &mut Net,
        now: Instant,
        end: Option<&mut LaneEnd>,
        id: ConnectionId,
        news: &IcmpNews,
        seq: SeqNum,
    ) {
        self.with(net, now, end, id, |connection, ctx| {
            if !connection.is_under_way(seq) {
                ctx.net.counters.inc(Snmp::TcpExtOutOfWindowIcmps);
                return Fate::Lives;
            }
            match news.next_hop_mtu {
                Some(mtu) => connection.on_path_mtu(ctx, mtu),
                None => connection.on_unreachable(ctx, news),
            }
        });
    }
}

/// An unreachable of any kind ends what has not begun (`tcp_v4_err`: a request's fate is that of a SYN_SENT).
fn is_hard(news: &IcmpNews) -> bool {
    news.errno != EHOSTUNREACH || news.fatal
}

impl Connection {
    /// `SND.UNA <= seq <= SND.NXT`.
    fn is_under_way(&self, seq: SeqNum) -> bool {
        seq.at_or_after(self.send.una) && seq.at_or_before(self.send.nxt)
    }

    /// A segment did not reach its peer.
    fn on_unreachable(&mut self, ctx: &mut Ctx<'_>, news: &IcmpNews) -> Fate {
        let errno = news.errno as u16;
        let opening = matches!(self.state, State::SynSent | State::SynReceived);
        // What a Fast Open server has answered lives on: its peer may be there.
        if opening && self.fast_open != FastOpenState::Server {
            ctx.net.counters.inc(Snmp::TcpAttemptFails);
            return self.fail(ctx, errno);
        }
        // RFC 1122 section 4.2.3.9: a hint, reported if the connection fails for good.
        self.soft_error = errno;
        Fate::Lives
    }

    /// A router says that the path takes no more than `mtu` (RFC 1191; `tcp_v4_mtu_reduced`).
    fn on_path_mtu(&mut self, ctx: &mut Ctx<'_>, mtu: u16) -> Fate {
        let settings = &ctx.commons.settings;
        if settings.ip_no_pmtu_disc {
            return Fate::Lives;
        }
        let mtu = mtu.max(settings.min_pmtu);
        if mtu >= self.send.pmtu {
            return Fate::Lives;
        }
        let destination = IpAddr::V4(*self.flow.remote.ip());
        ctx.commons.metrics.update(ctx.now, destination, |known| known.pmtu = Some(mtu));
        self.send.pmtu = mtu;
        self.update_mss(ctx, mtu);
        self.resend_too_long(ctx);
        Fate::Lives
    }

    /// What is longer than a segment may be now did not arrive, and not because of congestion
    /// (`tcp_simple_retransmit`). Bounded by the segments in flight.
    fn resend_too_long(&mut self, ctx: &mut Ctx<'_>) {
        let (slab, mss) = (&mut ctx.commons.slab, u32::from(self.send.mss));
        let mut next = self.sent.first();
        let mut lost = false;
        while let Some(id) = next {
            next = self.sent.sent_after(slab, id);
            if slab[id].len() > mss {
                lost |= self.sent.mark_lost(slab, id);
            }
        }
        self.pending.send |= lost;
    }
}
