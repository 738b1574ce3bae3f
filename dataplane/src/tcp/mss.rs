//! The maximum segment size (RFC 9293 section 3.7.1, RFC 6691): bytes of payload, options not counted.
//!
//! A peer's MSS is believed only above [`Mss::MIN`]: one byte per segment would let a peer make us build a thousand
//! times the segments and scoreboard entries for the same data (CVE-2019-11479; `tcp_min_snd_mss`).

/// Bytes of IPv4 and TCP headers without options.
pub const HEADERS_LEN: u16 = 40;

/// A segment size that was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mss(u16);

impl Mss {
    /// The least that is sent (`TCP_MIN_SND_MSS`): room for full options and 8 bytes.
    pub const MIN: Self = Self(48);
    /// The least that a peer's segments are taken for, and that a socket may be limited to (`TCP_MIN_MSS`).
    pub const RECEIVED_MIN: Self = Self(88);
    /// What a peer takes that sent no option (RFC 9293 section 3.7.1).
    pub const DEFAULT: Self = Self(536);

    /// `bytes`, at least [`Mss::MIN`].
    pub const fn new(bytes: u16) -> Self {
        Self(if bytes < Self::MIN.0 { Self::MIN.0 } else { bytes })
    }

    /// Of a received option.
    pub fn of_option(option: Option<u16>) -> Self {
        option.map_or(Self::DEFAULT, Self::new)
    }

    /// Of an IPv4 path: what fits beside headers without options.
    pub const fn of_mtu(mtu: u16) -> Self {
        Self::new(mtu.saturating_sub(HEADERS_LEN))
    }

    /// Bytes.
    #[inline]
    pub const fn bytes(self) -> u16 {
        self.0
    }

    /// What is left for data beside `options_len` bytes of options in every segment.
    #[must_use]
    pub const fn beside_options(self, options_len: usize) -> Self {
        Self::new(self.0.saturating_sub(options_len as u16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tiny_mss_is_not_believed() {
        assert_eq!(Mss::new(1), Mss::MIN);
        assert_eq!(Mss::of_option(Some(8)), Mss::MIN);
        assert_eq!(Mss::of_option(None).bytes(), 536);
        assert_eq!(Mss::of_mtu(1500).beside_options(12).bytes(), 1448);
        assert_eq!(Mss::of_mtu(20), Mss::MIN);
    }
}
