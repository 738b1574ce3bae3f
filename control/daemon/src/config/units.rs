//! Times and sizes as people write them: a number and its unit, never a bare number.

use serde::{Deserialize, Deserializer};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A length of time: `"50us"`, `"2ms"`, `"1s"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// A number of bytes: `"512B"`, `"2KiB"`, `"64MiB"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

const TIME_UNITS: [(&str, u64); 5] =
    [("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000), ("min", 60_000_000_000)];
const SIZE_UNITS: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// The text is not a time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time: write a whole number and ns, us, ms, s or min, such as \"50us\"")]
pub struct BadSpan(String);

/// The text is not a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a size: write a whole number and B, KiB, MiB or GiB, such as \"64KiB\"")]
pub struct BadByteSize(String);

impl Span {
    /// `micros` microseconds.
    pub const fn from_micros(micros: u64) -> Self {
        Self(Duration::from_micros(micros))
    }
}

impl FromStr for Span {
    type Err = BadSpan;

    fn from_str(text: &str) -> Result<Self, BadSpan> {
        let nanos = parse(text, &TIME_UNITS).ok_or_else(|| BadSpan(text.to_owned()))?;
        Ok(Self(Duration::from_nanos(nanos)))
    }
}

impl FromStr for ByteSize {
    type Err = BadByteSize;

    fn from_str(text: &str) -> Result<Self, BadByteSize> {
        parse(text, &SIZE_UNITS).map(Self).ok_or_else(|| BadByteSize(text.to_owned()))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&print(xmit_shared::time::nanos(self.0), &TIME_UNITS))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&print(self.0, &SIZE_UNITS))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::from_text(deserializer)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::from_text(deserializer)
    }
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let (_, scale) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.checked_mul(*scale)
}

/// In the largest unit that leaves a whole number.
fn print(value: u64, units: &[(&str, u64)]) -> String {
    let whole = |unit: &&(&str, u64)| value != 0 && value.is_multiple_of(unit.1);
    let (unit, scale) = units.iter().rev().find(whole).copied().unwrap_or(units[0]);
    format!("{}{unit}", value / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_needs_its_unit() {
        assert_eq!("50us".parse(), Ok(Span::from_micros(50)));
        assert_eq!("2 ms".parse(), Ok(Span::from_micros(2000)));
        assert_eq!("64KiB".parse(), Ok(ByteSize(65536)));
        for bad in ["", "50", "us", "-1s", "1.5s", "50 KiB", "99999999999min"] {
            assert_eq!(bad.parse::<Span>(), Err(BadSpan(bad.into())), "{bad}");
        }
        for bad in ["4096", "4K", "1kb", "17179869184GiB"] {
            assert_eq!(bad.parse::<ByteSize>(), Err(BadByteSize(bad.into())), "{bad}");
        }
    }

    #[test]
    fn printed_text_can_be_read_back() {
        for nanos in [0, 1, 1_000, 50_000, 1_001, 60_000_000_000, u64::MAX] {
            let span = Span(Duration::from_nanos(nanos));
            assert_eq!(span.to_string().parse(), Ok(span));
        }
        assert_eq!(ByteSize(3 << 19).to_string(), "1536KiB");
        assert_eq!(Span::from_micros(50).to_string(), "50us");
    }
}
