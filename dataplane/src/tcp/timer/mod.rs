//! What happens when a timer expires (`tcp_write_timer`, `tcp_delack_timer`, `tcp_keepalive_timer`).
//!
//! `retransmission`: timeouts and how long they go on; `keep_alive`: a silent peer, and an orphan's FIN_WAIT2; `idle`: memory. Called with
//! a connection whose entry in the wheel came out.

mod idle;
mod keep_alive;
mod retransmission;

use super::commons::{Ctx, Fate};
use super::connection::Connection;
use super::deadlines::{Retransmission, TIMERS, Timer};
use super::input::DELAY_MIN_MS;
use super::recovery::Sender;
use crate::counters::Snmp;

impl Connection {
    /// The earliest deadline has come. Bounded by the number of timers.
    pub(super) fn on_timers(&mut self, ctx: &mut Ctx<'_>) -> Fate {
        self.deadlines.entry_expired();
        // Each once: one that is due again at once comes out of the wheel again.
        for _ in 0..TIMERS {
            let Some(timer) = self.deadlines.take_due(ctx.now) else { break };
            let fate = match timer {
                Timer::DelayedAck => self.on_delayed_ack(ctx),
                Timer::Retransmission => self.on_retransmission(ctx),
                Timer::Pace => {
                    self.pending.send = true;
                    Fate::Lives
                }
                Timer::KeepAlive => {
                    let fate = self.on_keep_alive(ctx);
                    if fate == Fate::Lives {
                        self.give_memory_back(ctx);
                    }
                    fate
                }
            };
            if fate != Fate::Lives {
                return fate;
            }
        }
        self.deadlines.enter_again(&mut ctx.commons.wheel, self.id.index);
        Fate::Lives
    }

    /// An ACK waited long enough (`tcp_delack_timer_handler`).
    fn on_delayed_ack(&mut self, ctx: &mut Ctx<'_>) -> Fate {
        if self.ack.scheduled {
            if !self.ack.is_by_turns() {
                let rto = self.rtt.rto().as_millis().min(u128::from(u16::MAX)) as u16;
                self.ack.ato_ms = self.ack.ato_ms.saturating_mul(2).min(rto);
            } else {
                self.ack.end_turns();
                self.ack.ato_ms = DELAY_MIN_MS;
            }
            self.send_ack(ctx);
            ctx.net.counters.inc(Snmp::TcpExtDelayedACKs);
        }
        Fate::Lives
    }

    /// `tcp_write_timer_handler`.
    fn on_retransmission(&mut self, ctx: &mut Ctx<'_>) -> Fate {
        match std::mem::take(&mut self.deadlines.retransmission) {
            Retransmission::None => Fate::Lives,
            Retransmission::Timeout => self.on_timeout(ctx),
            Retransmission::WindowProbe => self.on_window_probe(ctx),
            Retransmission::LossProbe => {
                self.deadlines.retransmission = Retransmission::LossProbe;
                self.send_loss_probe(ctx);
                Fate::Lives
            }
            Retransmission::Reordering => self.on_reordering(ctx),
        }
    }

    /// What was allowed for reordering did not come (`tcp_rack_reo_timeout`).
    fn on_reordering(&mut self, ctx: &mut Ctx<'_>) -> Fate {
        let probe = self.mtu_probe();
        let mut sender = Sender {
            sent: &mut self.sent,
            slab: &mut ctx.commons.slab,
            episodes: &mut ctx.commons.episodes,
            congestion: &mut self.congestion,
            rtt: &mut self.rtt,
        };
        let directive = self.recovery.on_reorder_timer(&mut sender, ctx.now, self.send.nxt, probe);
        if directive.mtu_probe_lost {
            self.on_mtu_probe_lost(ctx);
        }
        self.send.announce_cwr |= directive.reduced;
        self.deadlines.retransmission = Retransmission::Reordering;
        if let Some(timeout) = directive.reorder_timeout {
            let (index, at) = (self.id.index, ctx.now + timeout);
            self.deadlines.arm_retransmission(&mut ctx.commons.wheel, index, Retransmission::Reordering, at);
        } else {
            self.rearm_rto(ctx);
        }
        self.pending.send = true;
        Fate::Lives
    }
}
