//! The Internet checksum: RFC 1071 (definition and the algebra used here), RFC 1624 (incremental update).
//!
//! The ones' complement sum does not care in which byte order its words are added, as long as the result is swapped in
//! the end (RFC 1071 section 2.B). So [`Sum`] adds wide words in the machine's order and swaps once, in
//! [`Sum::fold`]. Parts may have odd lengths: the sum remembers on which side of a word it stands.

use std::net::Ipv4Addr;

/// The ones' complement sum of the bytes added so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum {
    /// Words in the machine's order. Each part adds less than 2^40, so that it takes millions of parts, far more than a packet has,
    /// to overflow.
    words: u64,
    /// An odd number of bytes was added: the next byte is the second of a word.
    odd: bool,
}

impl Sum {
    /// Of no bytes.
    pub const fn new() -> Self {
        Self { words: 0, odd: false }
    }

    /// Of the pseudo-header of UDP and TCP (RFC 768, RFC 9293 section 3.1): `len` is the length of the transport
    /// header and its payload.
    #[inline]
    pub fn pseudo_header(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, len: u16) -> Self {
        let (source, destination) = (u32::from(source).to_be(), u32::from(destination).to_be());
        let rest = u16::from(protocol).to_be();
        Self {
            words: u64::from(source) + u64::from(destination) + u64::from(rest) + u64::from(len.to_be()),
            odd: false,
        }
    }

    /// Adds the bytes that follow those added before.
    #[inline]
    #[must_use]
    pub fn append(self, bytes: &[u8]) -> Self {
        self.join(Self { words: sum_words(bytes), odd: bytes.len() % 2 == 1 })
    }

    /// Adds one number of 16 bits, which stands at an even place.
    #[inline]
    #[must_use]
    pub fn append_u16(self, word: u16) -> Self {
        self.join(Self { words: word.to_be().into(), odd: false })
    }

    /// Adds eight bytes that stand at an even place, as a number read from the wire. A header that is written is summed up by this, from
    /// the numbers that it is made of: bytes just written in small pieces cannot be read back in larger ones before the pieces have
    /// left the processor's store buffer.
    #[inline]
    #[must_use]
    pub fn append_u64(self, bytes: u64) -> Self {
        let bytes = bytes.to_be();
        self.join(Self { words: (bytes & 0xffff_ffff) + (bytes >> 32), odd: false })
    }

    /// The sum of these bytes followed by those of `next`.
    #[inline]
    #[must_use]
    pub fn join(self, next: Self) -> Self {
        let next_words = if self.odd { u64::from(fold_words(next.words).swap_bytes()) } else { next.words };
        Self { words: self.words.wrapping_add(next_words), odd: self.odd != next.odd }
    }

    /// The sum in 16 bits, in the machine's order of a number read from the wire. 0xffff if a checksum was included
    /// and is right.
    #[inline]
    pub fn fold(self) -> u16 {
        u16::from_be(fold_words(self.words))
    }

    /// The complement of the sum: what stands in a header's checksum field.
    #[inline]
    pub fn checksum(self) -> u16 {
        !self.fold()
    }
}

/// What the checksum of a UDP datagram or a TCP segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// As it was sent.
    Good,
    /// Damaged on the way.
    Bad,
    /// Only the sum of the pseudo-header: a Linux peer over veth or tap left the rest to hardware that does not exist
    /// (`ethtool -K DEV tx off` there). The data was never protected, nor was it on any wire.
    PseudoOnly,
}

impl Verdict {
    /// On `bytes`, from the transport header to the end; `stands` is their checksum field, `pseudo` the sum of their
    /// pseudo-header.
    #[inline]
    pub fn of(pseudo: Sum, bytes: &[u8], stands: u16) -> Self {
        if pseudo.append(bytes).fold() == 0xffff {
            Self::Good
        } else if stands == pseudo.fold() {
            Self::PseudoOnly
        } else {
            Self::Bad
        }
    }
}

/// The checksum of `bytes`.
#[inline]
pub fn checksum(bytes: &[u8]) -> u16 {
    Sum::new().append(bytes).checksum()
}

/// True if `bytes`, which include their checksum, are as they were sent.
#[inline]
pub fn verify(bytes: &[u8]) -> bool {
    Sum::new().append(bytes).fold() == 0xffff
}

/// The checksum after one word of the data changed: `HC' = ~(~HC + ~m + m')` (RFC 1624 section 3, equation 3).
#[inline]
pub const fn update(old_checksum: u16, old_word: u16, new_word: u16) -> u16 {
    let sum = !old_checksum as u32 + !old_word as u32 + new_word as u32;
    let sum = (sum & 0xffff) + (sum >> 16);
    !((sum & 0xffff) + (sum >> 16)) as u16
}

/// The sum of the machine's words in `bytes`, a last odd byte as if a zero followed it. Below 2^39.
///
/// Eight bytes at a time, with the carries kept in the upper half (RFC 1071 section 2.C, parallel summation): two instructions for
/// each word. Two sums, so that one need not wait for the other.
#[inline]
fn sum_words(bytes: &[u8]) -> u64 {
    let (blocks, rest) = bytes.as_chunks::<32>();
    let (mut even, mut odd) = (0u128, 0u128);
    for block in blocks {
        let [a, b, c, d] = *block.as_chunks::<8>().0 else { continue };
        even += u128::from(u64::from_ne_bytes(a));
        odd += u128::from(u64::from_ne_bytes(b));
        even += u128::from(u64::from_ne_bytes(c));
        odd += u128::from(u64::from_ne_bytes(d));
    }
    let (words, tail) = rest.as_chunks::<8>();
    for word in words {
        even += u128::from(u64::from_ne_bytes(*word));
    }
    let sum = even + odd;
    let (low, carries) = (sum as u64, (sum >> 64) as u64);
    (low & 0xffff_ffff) + (low >> 32) + carries + sum_tail(tail)
}

/// Of fewer than eight bytes.
#[inline]
fn sum_tail(bytes: &[u8]) -> u64 {
    let (words, last) = bytes.as_chunks::<4>();
    let sum = words.first().map_or(0, |word| u64::from(u32::from_ne_bytes(*word)));
    let last = match *last {
        [] => return sum,
        [a] => [a, 0, 0, 0],
        [a, b] => [a, b, 0, 0],
        [a, b, c, ..] => [a, b, c, 0],
    };
    sum + u64::from(u32::from_ne_bytes(last))
}

/// Folds the carries back until 16 bits are left.
#[inline]
const fn fold_words(words: u64) -> u16 {
    let words = (words & 0xffff_ffff) + (words >> 32);
    let words = (words & 0xffff) + (words >> 16 & 0xffff) + (words >> 32);
    let words = (words & 0xffff) + (words >> 16);
    ((words & 0xffff) + (words >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// RFC 1071 section 4.1, word for word.
    fn reference(bytes: &[u8]) -> u16 {
        let mut sum = 0u64;
        for pair in bytes.chunks(2) {
            sum += u64::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
        }
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    proptest! {
        #[test]
        fn equals_the_rfc_in_any_cut(bytes in vec(any::<u8>(), 0..2000), cuts in vec(0..2000usize, 0..6)) {
            let mut cuts: Vec<_> = cuts.into_iter().map(|c| c.min(bytes.len())).chain([0, bytes.len()]).collect();
            cuts.sort_unstable();
            let parts = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]);
            let sum = parts.clone().fold(Sum::new(), |sum, part| sum.append(part));
            prop_assert_eq!(sum.fold(), reference(&bytes));
            let joined = parts.fold(Sum::new(), |sum, part| sum.join(Sum::new().append(part)));
            prop_assert_eq!(joined.fold(), reference(&bytes));
        }

        #[test]
        fn incremental_equals_recomputed(bytes in vec(any::<u8>(), 2..80), at: usize, word: u16) {
            let at = at % (bytes.len() / 2) * 2;
            let mut changed = bytes.clone();
            changed[at..at + 2].copy_from_slice(&word.to_be_bytes());
            // All-zero data has two sums that mean the same, 0 and 0xffff; no header is all zeros.
            prop_assume!(bytes.iter().any(|b| *b != 0) && changed.iter().any(|b| *b != 0));
            let old_word = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
            prop_assert_eq!(update(checksum(&bytes), old_word, word), checksum(&changed));
        }

        #[test]
        fn pseudo_header_equals_its_bytes(source: [u8; 4], destination: [u8; 4], protocol: u8, len: u16) {
            let bytes = [&source[..], &destination, &[0, protocol], &len.to_be_bytes()].concat();
            let sum = Sum::pseudo_header(source.into(), destination.into(), protocol, len);
            prop_assert_eq!(sum.fold(), reference(&bytes));
        }
    }

    #[test]
    fn the_example_of_rfc_1071() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::new().append(&bytes).fold(), 0xddf2);
    }

    #[test]
    fn the_example_of_rfc_1624() {
        // Section 4: the equation of RFC 1141 gives 0xffff here, which is wrong.
        assert_eq!(update(0xdd2f, 0x5555, 0x3285), 0x0000);
    }

    #[test]
    fn the_largest_sums_do_not_overflow() {
        let bytes = vec![0xff; 1 << 20];
        assert_eq!(Sum::new().append(&bytes).fold(), 0xffff);
        let many = (0..100_000).fold(Sum::new(), |sum, _| sum.append(&bytes[..63]));
        assert_eq!(many.fold(), reference(&vec![0xff; 6_300_000]));
    }
}
