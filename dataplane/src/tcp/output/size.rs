//! The segment size (`tcp_sync_mss`, `tcp_current_mss`; RFC 9293 section 3.7.1, RFC 6691).

use super::super::commons::Ctx;
use super::super::connection::Connection;
use super::super::mss::HEADERS_LEN;
use super::super::mtu_search::MtuStage;
use super::super::settings::Settings;
use crate::wire::tcp_options::{LEN_MAX, SACK_BLOCKS_MAX, TIMESTAMPS_LEN};
use xmit_shared::stream::SIZE_GOAL_MAX;

/// A peer whose largest window is above this gets segments of half of it at most (`tcp_bound_to_half_wnd`).
const SMALL_WINDOW: u32 = 536;
/// The least segment with its options (`tcp_bound_to_half_wnd`).
const HEADER_AND_DATA_MIN: u32 = 68;

impl Connection {
    /// Follows a path MTU (`tcp_sync_mss`); while the path is searched, what is known to pass.
    pub(in crate::tcp) fn update_mss(&mut self, ctx: &mut Ctx<'_>, pmtu: u16) {
        let settings = &ctx.commons.settings;
        let mut mss = self.bound_to_half_window(self.mtu_to_mss(settings, pmtu));
        if self.send.mtu_stage != MtuStage::Off {
            mss = mss.min(self.mtu_to_mss(settings, self.part.mtu_search().low()));
        }
        self.send.pmtu = pmtu;
        self.send.mss = mss.max(1);
    }

    /// Options that every segment carries.
    pub(super) fn options_len(&self) -> u16 {
        if self.agreed.timestamps { TIMESTAMPS_LEN as u16 } else { 0 }
    }

    /// Bytes of data in a packet of `mtu` bytes (`tcp_mtu_to_mss`).
    pub(super) fn mtu_to_mss(&self, settings: &Settings, mtu: u16) -> u16 {
        let mss = mtu.saturating_sub(HEADERS_LEN).min(self.send.mss_clamp).max(settings.min_snd_mss);
        mss.saturating_sub(self.options_len())
    }

    /// A window of less than two segments would make the peer wait for its delayed ACK (`tcp_bound_to_half_wnd`).
    fn bound_to_half_window(&self, mss: u16) -> u16 {
        let largest = self.send.wnd_max.0;
        let cutoff = if largest > SMALL_WINDOW { largest >> 1 } else { largest };
        if cutoff == 0 || u32::from(mss) <= cutoff {
            return mss;
        }
        let least = HEADER_AND_DATA_MIN - 20 - u32::from(self.options_len());
        cutoff.max(least).min(u32::from(mss)) as u16
    }

    /// What may leave in one row: half of the largest window that the peer ever had, so that it need not wait for a whole one.
    #[inline]
    pub(super) fn largest_write(&self) -> u32 {
        match self.send.wnd_max.0 {
            largest @ ..=SMALL_WINDOW => largest,
            largest => largest >> 1,
        }
    }

    /// Bytes that the program's writes are gathered into before others begin (`tcp_xmit_size_goal`): whole segments.
    #[inline]
    pub(super) fn size_goal(&self) -> u32 {
        let mss = self.current_mss();
        (SIZE_GOAL_MAX.min(self.largest_write()) / mss).max(1) * mss
    }

    /// Bytes of data of a full segment that leaves now: SACK blocks take their room from it (`tcp_current_mss`).
    #[inline]
    pub(super) fn current_mss(&self) -> u32 {
        let mss = u32::from(self.send.mss);
        if !self.agreed.sack || !self.out_of_order.has_report() {
            return mss;
        }
        let used = if self.agreed.timestamps { TIMESTAMPS_LEN } else { 0 };
        let blocks = ((LEN_MAX - used - 4) / 8).min(SACK_BLOCKS_MAX).min(self.out_of_order.report_len());
        mss - (4 + 8 * blocks as u32).min(mss - 1)
    }
}
