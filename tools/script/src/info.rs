//! `TCP_INFO` as scripts look at it.

use crate::words::Words;
use xmit_shared::session::TcpInfo;

/// What a number must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// `= N`.
    Is(u64),
    /// `> N`.
    Above(u64),
    /// `< N`.
    Below(u64),
}

impl Wanted {
    /// Reads the rest of a comparison.
    pub(crate) fn read(words: &mut Words) -> Result<Self, String> {
        let what = if words.take(">") {
            Self::Above
        } else if words.take("<") {
            Self::Below
        } else {
            words.expect("=")?;
            Self::Is
        };
        Ok(what(words.number("a number")?))
    }

    /// Says what `name` is if it is not that.
    pub(crate) fn check(self, name: &str, is: u64) -> Result<(), String> {
        let (holds, wanted) = match self {
            Self::Is(wanted) => (is == wanted, format!("{wanted}")),
            Self::Above(least) => (is > least, format!("above {least}")),
            Self::Below(most) => (is < most, format!("below {most}")),
        };
        if holds { Ok(()) } else { Err(format!("{name} is {is}, not {wanted}")) }
    }
}

/// The field called `name`.
pub(crate) fn field(info: &TcpInfo, name: &str) -> Result<u64, String> {
    macro_rules! fields {
        ($($field:ident)+) => {
            match name {
                $(stringify!($field) => Ok(info.$field.into()),)+
                other => Err(format!("scripts do not look at `{other}` of TCP_INFO")),
            }
        };
    }
    fields!(
        state ca_state retransmits probes backoff options wscales app_limited_fastopen_fail rto ato snd_mss rcv_mss unacked
        sacked lost retrans last_data_sent last_data_recv last_ack_recv pmtu rcv_ssthresh rtt rttvar snd_ssthresh snd_cwnd
        advmss reordering rcv_rtt rcv_space total_retrans pacing_rate max_pacing_rate bytes_acked bytes_received segs_out segs_in
        notsent_bytes min_rtt data_segs_in data_segs_out delivery_rate delivered delivered_ce bytes_sent bytes_retrans
        dsack_dups reord_seen rcv_ooopack snd_wnd rcv_wnd total_rto
    )
}
