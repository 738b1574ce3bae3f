//! What a destination is remembered for (`tcp_init_metrics`, `tcp_update_metrics`).

use crate::Duration;
use crate::Instant;
use crate::tcp::commons::Commons;
use crate::tcp::connection::Connection;
use std::net::IpAddr;

/// The first timeout after a handshake that gave no round trip (RFC 6298 section 5.7; `TCP_TIMEOUT_FALLBACK`).
const RTO_FALLBACK: Duration = Duration::from_secs(3);

impl Connection {
    fn destination(&self) -> IpAddr {
        IpAddr::V4(*self.flow.remote.ip())
    }

    /// The first timeout is made of what is known of the destination: a handshake's segments are small, and its round trip
    /// says little about those of data (`tcp_init_metrics`).
    pub(super) fn init_metrics(&mut self, now: Instant, commons: &mut Commons) {
        let known = commons.metrics.get(now, self.destination()).unwrap_or_default();
        let rto_min = commons.settings.rto_min;
        match (known.srtt, self.rtt.srtt()) {
            (Some(known), measured) if measured.is_none_or(|measured| known > measured) => {
                self.rtt.set_first_rto(known + (2 * known).max(rto_min));
            }
            (_, None) => self.rtt.set_first_rto(RTO_FALLBACK),
            _ => {}
        }
    }

    /// Remembers the round trip for the next connection to this destination (`tcp_update_metrics`).
    pub(in crate::tcp) fn save_metrics(&mut self, now: Instant, commons: &mut Commons) {
        if commons.settings.no_metrics_save || !self.was_established() {
            return;
        }
        let destination = self.destination();
        let Some(srtt) = self.rtt.srtt().filter(|_| self.rtt.backoff() == 0) else {
            // It ended in silence: what was known is not to be believed.
            if commons.metrics.get(now, destination).is_some() {
                commons.metrics.update(now, destination, |known| (known.srtt, known.rttvar) = (None, None));
            }
            return;
        };
        let deviation = self.rtt.rttvar().unwrap_or_default();
        commons.metrics.update(now, destination, |known| {
            let old = known.srtt.unwrap_or_default();
            // Overestimating is better than underestimating: a longer round trip counts at once.
            known.srtt = Some(if srtt >= old { srtt } else { old - (old - srtt) / 8 });
            let change = deviation.max(srtt.abs_diff(old) / 2);
            let old = known.rttvar.unwrap_or_default();
            known.rttvar = Some(if change >= old { change } else { old - (old - change) / 4 });
        });
    }

    /// The handshake was over once: our SYN is acknowledged.
    fn was_established(&self) -> bool {
        self.send.una.after(self.send.isn)
    }
}
