//! F-RTO (RFC 5682, the SACK-enhanced algorithm of section 3.1): after a timeout, new data instead of retransmissions
//! tells whether the timeout was spurious.
//!
//! ```text
//!   timeout, first segment again
//!     |- ACK moves, not over all: two new segments
//!     |    |- data that was sent once is acknowledged: spurious
//!     |    '- duplicate, or SACK of new data only: conventional
//!     '- duplicate: conventional
//! ```
//!
//! Armed for a timeout that comes outside of a recovery, and for one that repeats, as in Linux.

use super::seq::SeqNum;

/// The state of a recovery from a timeout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Frto {
    /// Lost is lost.
    #[default]
    Off,
    /// The timeout is doubted; the first segment was sent again.
    Doubted,
    /// New data was sent instead of retransmissions.
    Probed,
}

/// What an ACK is, as far as the doubt is concerned.
#[derive(Clone, Copy, Debug)]
pub struct FrtoAck {
    /// `SND.UNA` after it.
    pub una: SeqNum,
    /// `SND.NXT` when the timer expired (`high_seq`).
    pub high_seq: SeqNum,
    /// `SND.UNA` moved.
    pub advanced: bool,
    /// Data below `high_seq` that was sent once arrived ([`super::sent::AckOutcome::original_arrived`]).
    pub original_arrived: bool,
    /// A duplicate ACK, or one whose SACK blocks tell of new data only.
    pub duplicate: bool,
    /// There is new data, and the peer's window takes it.
    pub can_send_new: bool,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrtoVerdict {
    /// The timeout was spurious: undo it.
    Spurious,
    /// Send up to two new segments, retransmit nothing yet; `high_seq` becomes `SND.NXT`.
    SendNew,
    /// Retransmit what is lost. In [`Frto::Probed`] the doubt stays.
    Conventional,
}

impl Frto {
    /// The timer expired; `doubtful` if no recovery was under way, or the timer expired before without progress.
    pub fn begin(doubtful: bool) -> Self {
        if doubtful { Self::Doubted } else { Self::Off }
    }

    /// Takes an ACK (`tcp_process_loss`).
    pub fn on_ack(&mut self, ack: &FrtoAck) -> FrtoVerdict {
        match *self {
            Self::Off => FrtoVerdict::Conventional,
            // Step 3.b: data that was never sent again arrived, so not all was lost.
            _ if ack.original_arrived => self.end(FrtoVerdict::Spurious),
            // Step 3.a.
            Self::Probed if ack.duplicate => self.end(FrtoVerdict::Conventional),
            Self::Probed => FrtoVerdict::Conventional,
            // Step 2.b.
            Self::Doubted if ack.advanced && ack.una.before(ack.high_seq) && ack.can_send_new => {
                *self = Self::Probed;
                FrtoVerdict::SendNew
            }
            // Step 2.a, or nothing to ask with.
            Self::Doubted => self.end(FrtoVerdict::Conventional),
        }
    }

    fn end(&mut self, verdict: FrtoVerdict) -> FrtoVerdict {
        *self = Self::Off;
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTIAL: FrtoAck = FrtoAck {
        una: SeqNum::new(100),
        high_seq: SeqNum::new(1000),
        advanced: true,
        original_arrived: false,
        duplicate: false,
        can_send_new: true,
    };
    const DUPLICATE: FrtoAck = FrtoAck { advanced: false, duplicate: true, ..PARTIAL };
    const ORIGINAL: FrtoAck = FrtoAck { original_arrived: true, ..PARTIAL };

    fn judged(acks: &[FrtoAck]) -> Vec<FrtoVerdict> {
        let mut frto = Frto::begin(true);
        acks.iter().map(|ack| frto.on_ack(ack)).collect()
    }

    #[test]
    fn late_acks_prove_a_spurious_timeout() {
        assert_eq!(judged(&[PARTIAL, ORIGINAL]), [FrtoVerdict::SendNew, FrtoVerdict::Spurious]);
        assert_eq!(judged(&[ORIGINAL]), [FrtoVerdict::Spurious]);
    }

    #[test]
    fn duplicates_prove_a_loss() {
        assert_eq!(judged(&[DUPLICATE, ORIGINAL]), [FrtoVerdict::Conventional; 2]);
        assert_eq!(judged(&[PARTIAL, DUPLICATE]), [FrtoVerdict::SendNew, FrtoVerdict::Conventional]);
        assert_eq!(judged(&[PARTIAL, PARTIAL]), [FrtoVerdict::SendNew, FrtoVerdict::Conventional]);
        assert_eq!(judged(&[PARTIAL, PARTIAL, ORIGINAL])[2], FrtoVerdict::Spurious, "the doubt stays");
    }

    #[test]
    fn without_new_data_or_below_nothing_recovery_is_conventional() {
        assert_eq!(judged(&[FrtoAck { can_send_new: false, ..PARTIAL }]), [FrtoVerdict::Conventional]);
        assert_eq!(judged(&[FrtoAck { una: SeqNum::new(1000), ..PARTIAL }]), [FrtoVerdict::Conventional]);
        assert_eq!(Frto::begin(false).on_ack(&ORIGINAL), FrtoVerdict::Conventional);
    }
}
