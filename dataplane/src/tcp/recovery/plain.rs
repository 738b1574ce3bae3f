//! The short way of an acknowledgment, which nearly all take.

use super::{Phase, PlainAck, Recovery, Sender};
use crate::tcp::congestion::AckSample;
use crate::tcp::rtt;
use crate::tcp::sent::RateSample;

impl Recovery {
    /// Takes an ACK without SACK blocks, ECE or anything else to look at, which moved `SND.UNA` to `ack`; [`Recovery::on_ack`] would
    /// find the same. `None`, with nothing changed, if there is more to it. What of it is for `TCP_INFO`.
    #[inline]
    pub fn on_plain_ack(&mut self, sender: &mut Sender<'_>, ack: &PlainAck) -> Option<RateSample> {
        let PlainAck { now, bytes, ack, nxt, sack_permitted, mss, paced } = *ack;
        if self.phase != Phase::Open
            || self.tlp.is_outstanding()
            || self.episode.undo(sender.episodes).all_arrived_twice()
        {
            return None;
        }
        let plain = sender.sent.on_plain_ack(sender.slab, now, ack)?;
        let (first, last) = (rtt::nanos_to_micros(plain.rtt_first), rtt::nanos_to_micros(plain.rtt_last));
        if plain.acked > 1 {
            sender.rtt.sample_min_micros(now, last);
        }
        sender.rtt.sample_micros(now, first, ack, nxt);
        if sack_permitted {
            self.rack.on_plain_ack(plain.rtt_last, plain.last, ack);
        }
        sender.congestion.on_ack(&AckSample {
            now,
            una: ack,
            nxt,
            delivered: plain.acked,
            acked_bytes: bytes,
            ece_marked_bytes: 0,
            rtt_micros: Some(last),
            min_rtt_micros: sender.rtt.min_rtt_micros(),
            srtt_micros: sender.rtt.srtt_micros(),
            mss,
            paced,
            may_grow: true,
        });
        self.forget_evidence(sender, ack);
        Some(plain.rate)
    }
}
