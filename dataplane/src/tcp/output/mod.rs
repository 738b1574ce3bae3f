//! Sending.

use super::commons::{Ctx, Fate};
use super::connection::Connection;

impl Connection {
    pub(super) fn output(&mut self, _ctx: &mut Ctx<'_>) -> Fate {
        Fate::Lives
    }
    pub(super) fn send_ack(&mut self, _ctx: &mut Ctx<'_>) {}
    pub(super) fn send_syn(&mut self, _ctx: &mut Ctx<'_>) {}
    pub(super) fn send_syn_ack(&mut self, _ctx: &mut Ctx<'_>) {}
    pub(super) fn arm_keepalive(&mut self, _ctx: &mut Ctx<'_>) {}
    pub(super) fn send_reset(&mut self, _ctx: &mut Ctx<'_>) {}
    pub(super) fn rearm_rto(&mut self, _ctx: &mut Ctx<'_>) {}
    pub(super) fn schedule_loss_probe(&mut self, _ctx: &mut Ctx<'_>) -> bool {
        false
    }
    pub(super) fn update_mss(&mut self, _ctx: &mut Ctx<'_>, _pmtu: u16) {}
}
