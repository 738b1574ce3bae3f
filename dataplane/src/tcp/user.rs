//! What the program asks of its connection (`tcp_shutdown`, `tcp_close`, `tcp_disconnect`), and what it did to its rings.

use super::commons::{Ctx, Fate};
use super::connection::{Connection, FastOpenState};
use super::settings::Settings;
use super::state::State;
use super::time_wait_len;
use crate::counters::Snmp;
use crate::errno::ECONNRESET;

impl Connection {
    /// Its slot is dirty: it wrote, read, or changed its flags.
    pub fn on_client(&mut self, ctx: &mut Ctx<'_>) -> Fate {
        if self.state == State::SynSent {
            if self.fast_open == FastOpenState::Deferred {
                self.send_deferred_syn(ctx);
            }
            return Fate::Lives;
        }
        (self.pending.read, self.pending.send) = (true, true);
        Fate::Lives
    }

    /// `SHUT_WR`: a FIN goes behind what was written. Not called in SYN_SENT, which shutdown ends.
    pub fn shutdown_write(&mut self, ctx: &mut Ctx<'_>) -> Fate {
        if matches!(self.state, State::Established | State::CloseWait | State::SynReceived) {
            self.queue_fin(ctx);
        }
        Fate::Lives
    }

    /// `SHUT_RD`: what still comes is not for the program.
    pub fn shutdown_read(&mut self, _ctx: &mut Ctx<'_>) {
        self.receive.shut = true;
    }

    /// The program is done with it (`tcp_close`).
    pub fn close(&mut self, ctx: &mut Ctx<'_>) -> Fate {
        self.receive.shut = true;
        let unread = self.unread(ctx);
        if unread > 0 && self.state != State::SynSent {
            ctx.net.counters.inc(Snmp::TcpExtTCPAbortOnClose);
            return self.reset(ctx, 0);
        }
        if self.config.linger == Some(0) {
            ctx.net.counters.inc(Snmp::TcpExtTCPAbortOnData);
            return self.disconnect(ctx);
        }
        match self.state {
            State::SynSent | State::Closed => return self.fail(ctx, 0),
            State::Established | State::SynReceived | State::CloseWait => self.queue_fin(ctx),
            _ => {}
        }
        self.orphan(ctx)
    }

    /// Ends it by a reset, as `SO_LINGER` 0 does.
    pub fn abort(&mut self, ctx: &mut Ctx<'_>) -> Fate {
        self.disconnect(ctx)
    }

    /// Nobody will hear of it any more: too many such are not kept (`sock_orphan`, `tcp_check_oom`).
    fn orphan(&mut self, ctx: &mut Ctx<'_>) -> Fate {
        if !self.closed_by_user {
            self.closed_by_user = true;
            ctx.commons.orphans += 1;
        }
        if let Some(fate) = self.yield_to_orphans(ctx) {
            return fate;
        }
        if self.state == State::FinWait2 { self.enter_fin_wait_2(ctx) } else { Fate::Lives }
    }

    /// There are too many orphans: this one goes (`tcp_check_oom`, `tcp_out_of_resources`).
    pub(super) fn yield_to_orphans(&mut self, ctx: &mut Ctx<'_>) -> Option<Fate> {
        if !self.closed_by_user || ctx.commons.orphans <= ctx.commons.settings.max_orphans {
            return None;
        }
        ctx.net.counters.inc(Snmp::TcpExtTCPAbortOnMemory);
        Some(self.reset(ctx, 0))
    }

    /// An orphan in FIN_WAIT2 waits for the peer's FIN, not for ever: as a small object, after the part of
    /// `tcp_fin_timeout` that is longer than TIME_WAIT (`tcp_rcv_state_process`, `tcp_close`).
    pub(super) fn enter_fin_wait_2(&mut self, ctx: &mut Ctx<'_>) -> Fate {
        if self.config.linger2 < 0 {
            ctx.net.counters.inc(Snmp::TcpExtTCPAbortOnLinger);
            return self.reset(ctx, 0);
        }
        let timeout = self.fin_time(ctx);
        if timeout > time_wait_len() {
            self.arm_keep_alive(ctx, timeout - time_wait_len());
            return Fate::Lives;
        }
        Fate::FinWait2
    }

    /// The timer of an orphan in FIN_WAIT2.
    pub(super) fn end_fin_wait_2(&mut self, ctx: &mut Ctx<'_>) -> Fate {
        if self.fin_time(ctx) > time_wait_len() {
            return Fate::FinWait2;
        }
        self.reset(ctx, 0)
    }

    /// `tcp_fin_time`: at least as long as a timeout of data needs to be repaired.
    pub(super) fn fin_time(&self, ctx: &Ctx<'_>) -> crate::Duration {
        let rto = self.rtt.rto();
        self.fin_timeout(&ctx.commons.settings).max(4 * rto - rto / 2)
    }

    /// `TCP_LINGER2`, or the system's.
    pub(super) fn fin_timeout(&self, settings: &Settings) -> crate::Duration {
        match self.config.linger2 {
            own @ 1.. => crate::Duration::from_secs(own.unsigned_abs().into()),
            _ => settings.fin_timeout,
        }
    }

    /// `tcp_disconnect`.
    fn disconnect(&mut self, ctx: &mut Ctx<'_>) -> Fate {
        use State::{CloseWait, Closing, Established, FinWait1, FinWait2, LastAck, SynReceived};
        let unsent = self.unsent() > 0;
        let tells = match self.state {
            Established | CloseWait | FinWait1 | FinWait2 | SynReceived => true,
            Closing | LastAck => unsent,
            State::SynSent | State::Closed => false,
        };
        match self.state {
            _ if tells => self.reset(ctx, ECONNRESET as u16),
            State::SynSent => self.fail(ctx, ECONNRESET as u16),
            _ => self.fail(ctx, 0),
        }
    }

    fn reset(&mut self, ctx: &mut Ctx<'_>, errno: u16) -> Fate {
        self.send_reset(ctx);
        self.fail(ctx, errno)
    }

    /// A FIN goes behind the last byte (`tcp_close_state`, `tcp_send_fin`).
    fn queue_fin(&mut self, ctx: &mut Ctx<'_>) {
        self.look_for_the_last_time(ctx);
        self.send.pushed = self.send.end;
        self.state = if self.state == State::CloseWait { State::LastAck } else { State::FinWait1 };
        self.expect_nothing();
        self.tell(ctx);
        self.pending.send = true;
    }

    fn unread(&self, ctx: &mut Ctx<'_>) -> u32 {
        let (Some(owner), Some(end)) = (self.owner, ctx.end.as_deref_mut()) else { return 0 };
        end.rx_space(owner.slot).map_or(0, |(_, unread)| unread)
    }
}
