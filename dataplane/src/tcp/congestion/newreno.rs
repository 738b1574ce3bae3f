//! NewReno's congestion avoidance: one segment per window (RFC 5681 section 3.1, equation 3), half of it at a loss
//! (equation 4).
//!
//! The other half of NewReno, partial acknowledgments (RFC 6582), is recovery, and shared by all algorithms.

/// What counts towards the next segment.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewReno {
    /// Segments delivered since the window grew last (`snd_cwnd_cnt`).
    count: u32,
}

impl NewReno {
    /// The window after `delivered` more segments (`tcp_cong_avoid_ai`).
    pub(super) fn avoid(&mut self, cwnd: u32, delivered: u32) -> u32 {
        // What a larger window before it had counted is worth one segment.
        let mut grown = cwnd;
        if self.count >= grown {
            self.count = 0;
            grown = grown.saturating_add(1);
        }
        self.count = self.count.saturating_add(delivered);
        let more = self.count / grown;
        self.count -= more * grown;
        grown.saturating_add(more)
    }

    /// The threshold after a loss.
    pub(super) fn reduce(&mut self, cwnd: u32) -> u32 {
        self.count = 0;
        cwnd >> 1
    }
}
