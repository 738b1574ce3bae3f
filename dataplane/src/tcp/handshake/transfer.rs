//! The transfer begins: window, buffers, first timeout (`tcp_init_transfer`, `tcp_init_buffer_space`).

use super::initial_window::window_of_buffer;
use crate::tcp::commons::Ctx;
use crate::tcp::connection::{Connection, FastOpenState};
use crate::tcp::segment::Segment;
use crate::wire::tcp_options::TIMESTAMPS_LEN;

/// SYNs or SYN-ACKs sent again after which the path counts as congested (RFC 6298 section 5.7, RFC 5681 section 3.1).
const RESENDS_HARMLESS: u32 = 1;

impl Connection {
    /// What data may be sent and taken from now on. `resends`: of our SYN or SYN-ACK; `spurious`: the peer answered the first
    /// one (`tcp_try_undo_spurious_syn`).
    pub(in crate::tcp) fn init_transfer(&mut self, ctx: &mut Ctx<'_>, resends: u32, spurious: bool) {
        self.init_metrics(ctx.now, ctx.commons);
        let congested = resends > RESENDS_HARMLESS && !spurious;
        self.congestion.set_cwnd(if congested { 1 } else { ctx.commons.settings.initial_window });
        self.congestion.set_ssthresh(crate::tcp::congestion::SSTHRESH_INFINITE);
        self.init_buffers(ctx);
        self.send.last_at = ctx.now;
        self.ack.last_data_at = ctx.now;
        self.stalled_since = None;
        self.retransmits = 0;
    }

    /// SYN_RECEIVED of a simultaneous or a fast open ends by `segment`, whose acknowledgment is yet to be taken.
    pub(in crate::tcp) fn end_syn_received(&mut self, ctx: &mut Ctx<'_>, segment: &Segment) {
        if self.agreed.timestamps {
            self.receive.advertised_mss = self.receive.advertised_mss.saturating_sub(TIMESTAMPS_LEN as u16);
        }
        if self.fast_open == FastOpenState::Server {
            // Its transfer began with the SYN.
            (self.stalled_since, self.retransmits) = (None, 0);
        } else {
            let spurious = self.answers_first(segment);
            self.init_transfer(ctx, self.sent.total_retransmits(), spurious);
        }
        self.init_mtu_search(ctx);
        self.guess_segment_size();
    }

    /// `segment` echoes the first of our SYNs or SYN-ACKs.
    pub(super) fn answers_first(&self, segment: &Segment) -> bool {
        let first = self.clock.value(self.begun_at);
        self.agreed.timestamps && segment.timestamps.is_some_and(|timestamps| timestamps.echo == first)
    }

    /// One segment of the receive buffer is kept free, or more by `tcp_app_win` (`tcp_init_buffer_space`).
    fn init_buffers(&mut self, ctx: &Ctx<'_>) {
        let full = window_of_buffer(&ctx.commons.settings, self.receive.buffer);
        let (mss, app_win) = (u32::from(self.receive.advertised_mss), ctx.commons.settings.app_win);
        let receive = &mut self.receive;
        if receive.clamp >= full {
            receive.clamp = full;
            if app_win > 0 && full > 4 * mss {
                receive.clamp = (full - (full >> app_win)).max(4 * mss);
            }
        }
        if app_win > 0 && receive.clamp > 2 * mss && receive.clamp + mss > full {
            receive.clamp = (full.saturating_sub(mss)).max(2 * mss);
        }
        receive.threshold = receive.threshold.min(receive.clamp);
        self.tuning.at = ctx.now;
        self.tuning.seq = receive.nxt;
        self.tuning.space = receive.threshold.min(receive.wnd.0).min(10 * mss);
    }

    /// Without window scaling no window exceeds 65,535 bytes.
    pub(super) fn drop_scaling(&mut self) {
        self.agreed.window_scaling = false;
        self.send.scale = crate::tcp::window::WindowScale::NONE;
        self.receive.scale = crate::tcp::window::WindowScale::NONE;
        self.receive.clamp = self.receive.clamp.min(u32::from(u16::MAX));
    }
}
