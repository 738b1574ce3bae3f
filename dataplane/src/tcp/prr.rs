//! Proportional rate reduction (RFC 6937, with the slow start reduction bound): during a reduction the window follows
//! what is delivered, so that it reaches the threshold when the recovery ends, without a silence at its beginning.
//!
//! ```text
//!   pipe > ssthresh:  send  ceil(delivered * ssthresh / prior) - sent
//!   else:             send  min(ssthresh - pipe, max(delivered - sent, newly delivered) + 1 if that is safe)
//! ```
//!
//! Segments throughout. The extra one only if `SND.UNA` moved and nothing was newly lost, as RFC 9937's safe ACK has
//! it; the first ACK always lets one out, so that the fast retransmission does not wait. Used in the recovery and CWR
//! states.

/// A reduction under way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Prr {
    prior_cwnd: u32,
    ssthresh: u32,
    delivered: u32,
    out: u32,
}

impl Prr {
    /// Begins with the window as it was and the threshold to reach (`tcp_init_cwnd_reduction`).
    pub fn new(prior_cwnd: u32, ssthresh: u32) -> Self {
        Self { prior_cwnd: prior_cwnd.max(1), ssthresh, delivered: 0, out: 0 }
    }

    /// The window after an ACK that delivered `delivered` segments; none if it delivered nothing
    /// (`tcp_cwnd_reduction`). `safe`: `SND.UNA` moved and nothing was newly lost.
    pub fn on_ack(&mut self, delivered: u32, in_flight: u32, safe: bool) -> Option<u32> {
        if delivered == 0 {
            return None;
        }
        self.delivered = self.delivered.saturating_add(delivered);
        let quota = if in_flight > self.ssthresh {
            let share = u64::from(self.ssthresh) * u64::from(self.delivered);
            share.div_ceil(self.prior_cwnd.into()).saturating_sub(self.out.into()).min(u32::MAX.into()) as u32
        } else {
            let bound = self.delivered.saturating_sub(self.out).max(delivered) + u32::from(safe);
            bound.min(self.ssthresh - in_flight)
        };
        let quota = quota.max(u32::from(self.out == 0));
        Some(in_flight.saturating_add(quota))
    }

    /// Counts segments sent during the reduction, new ones and retransmissions.
    pub fn on_sent(&mut self, segments: u32) {
        self.out = self.out.saturating_add(segments);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6937 section 4, the first example: 20 segments out, the first lost, threshold 10. After the third
    /// duplicate ACK one segment leaves for every second one that arrives.
    #[test]
    fn the_example_of_the_rfc() {
        let mut prr = Prr::new(20, 10);
        let mut pipe: u32 = 20 - 1 - 3;
        let mut sent = Vec::new();
        let mut window = prr.on_ack(3, pipe, false).unwrap();
        for _ in 0..16 {
            let quota = window.saturating_sub(pipe);
            prr.on_sent(quota);
            pipe += quota;
            sent.push(quota);
            pipe -= 1;
            window = prr.on_ack(1, pipe, false).unwrap();
        }
        assert!(sent[0] >= 1, "the retransmission at once");
        assert_eq!(window, 10, "the threshold at the end");
        assert!(sent.iter().all(|quota| *quota <= 2) && sent.windows(3).all(|w| w.iter().sum::<u32>() > 0));
    }

    /// RFC 6937 section 4, the second: 15 of 20 lost at once; the pipe is below the threshold and grows as slow start
    /// does.
    #[test]
    fn after_a_burst_of_losses_the_pipe_grows_no_faster_than_slow_start() {
        let mut prr = Prr::new(20, 10);
        let mut pipe = 4;
        for _ in 0..20 {
            let window = prr.on_ack(1, pipe, true).unwrap();
            let quota = window - pipe;
            assert!(quota <= 2 && window <= 10);
            prr.on_sent(quota);
            pipe += quota - 1;
        }
        assert_eq!(prr.on_ack(1, pipe, true), Some(10));
        assert_eq!(prr.on_ack(0, pipe, true), None);
    }

    #[test]
    fn without_safety_what_leaves_is_what_arrives() {
        let mut prr = Prr::new(20, 10);
        assert_eq!(prr.on_ack(2, 3, false), Some(5));
        prr.on_sent(2);
        assert_eq!(prr.on_ack(1, 4, false), Some(5));
        assert_eq!(prr.on_ack(1, 10, false), Some(10));
    }
}
