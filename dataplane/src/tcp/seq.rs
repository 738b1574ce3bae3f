//! Sequence numbers (RFC 9293 section 3.4): places on a circle of 2^32, so there is no `<`.
//!
//! Of two numbers less than 2^31 apart one is before the other. Everything that asks says which question it asks:
//! [`SeqNum::before`], [`SeqNum::in_window`], [`SeqNum::distance`].

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

/// A sequence number.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct SeqNum(u32);

impl SeqNum {
    /// As it stands on the wire.
    #[inline]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// What stands on the wire.
    #[inline]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// Bytes from `from` to `self`: negative if `self` is before `from`.
    #[inline]
    pub const fn distance(self, from: Self) -> i32 {
        self.0.wrapping_sub(from.0) as i32
    }

    /// Bytes from `start` forward to `self`, all the way round if `self` is before `start`.
    #[inline]
    pub const fn since(self, start: Self) -> u32 {
        self.0.wrapping_sub(start.0)
    }

    /// True if `self` comes before `other`.
    #[inline]
    pub const fn before(self, other: Self) -> bool {
        self.distance(other) < 0
    }

    /// True if `self` comes after `other`.
    #[inline]
    pub const fn after(self, other: Self) -> bool {
        other.distance(self) < 0
    }

    /// True if `self` is `other` or comes before it.
    #[inline]
    pub const fn at_or_before(self, other: Self) -> bool {
        !self.after(other)
    }

    /// True if `self` is `other` or comes after it.
    #[inline]
    pub const fn at_or_after(self, other: Self) -> bool {
        !self.before(other)
    }

    /// True if `self` is one of the `len` numbers that begin at `start`.
    #[inline]
    pub const fn in_window(self, start: Self, len: u32) -> bool {
        self.since(start) < len
    }

    /// The later of the two.
    #[inline]
    #[must_use]
    pub const fn later(self, other: Self) -> Self {
        if self.before(other) { other } else { self }
    }

    /// The earlier of the two.
    #[inline]
    #[must_use]
    pub const fn earlier(self, other: Self) -> Self {
        if self.after(other) { other } else { self }
    }
}

impl Add<u32> for SeqNum {
    type Output = Self;
    #[inline]
    fn add(self, bytes: u32) -> Self {
        Self(self.0.wrapping_add(bytes))
    }
}

impl AddAssign<u32> for SeqNum {
    #[inline]
    fn add_assign(&mut self, bytes: u32) {
        *self = *self + bytes;
    }
}

impl Sub<u32> for SeqNum {
    type Output = Self;
    #[inline]
    fn sub(self, bytes: u32) -> Self {
        Self(self.0.wrapping_sub(bytes))
    }
}

impl fmt::Debug for SeqNum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn order_is_that_of_the_distance(start: u32, ahead in 1..0x8000_0000u32) {
            let (a, b) = (SeqNum::new(start), SeqNum::new(start) + ahead);
            prop_assert!(a.before(b) && (b.after(a) || ahead == 0x8000_0000) && !b.before(a) && !a.after(b));
            prop_assert_eq!(b.since(a), ahead);
            prop_assert_eq!(b.distance(a), ahead as i32);
            prop_assert_eq!(a.distance(b), -(ahead as i32));
            prop_assert_eq!((a.later(b), a.earlier(b), b - ahead), (b, a, a));
        }

        #[test]
        fn a_window_holds_its_length(start: u32, len: u32, offset: u32) {
            let start = SeqNum::new(start);
            prop_assert_eq!((start + offset).in_window(start, len), offset < len);
        }
    }

    #[test]
    fn equal_is_neither_before_nor_after() {
        let a = SeqNum::new(u32::MAX);
        assert!(!a.before(a) && !a.after(a) && a.at_or_before(a) && a.at_or_after(a));
        assert!(a.before(SeqNum::new(0)) && !a.in_window(a, 0));
    }
}
