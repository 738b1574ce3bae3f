//! Values of the command line as people write them, for both directions or for each.

use std::str::FromStr;

use xmit_nic::rng::PPM;

/// What holds from A to B, and what holds back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Both<T> {
    /// From A to B.
    pub there: T,
    /// From B to A.
    pub back: T,
}

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From A to B.
    There,
    /// From B to A.
    Back,
}

impl<T: Copy> Both<T> {
    /// The value of one direction.
    pub fn by(self, way: Way) -> T {
        match way {
            Way::There => self.there,
            Way::Back => self.back,
        }
    }
}

/// `VALUE` for both directions, or `VALUE,VALUE`.
pub fn both<T: FromStr + Clone>(text: &str) -> Result<Both<T>, String>
where
    T::Err: ToString,
{
    let parse = |part: &str| part.trim().parse::<T>().map_err(|error| error.to_string());
    match text.split_once(',') {
        None => parse(text).map(|value| Both { there: value.clone(), back: value }),
        Some((there, back)) => Ok(Both { there: parse(there)?, back: parse(back)? }),
    }
}

/// A part of all frames, in frames per million.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(pub u32);

impl FromStr for Share {
    type Err = String;

    /// Percent, with or without its sign.
    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.strip_suffix('%').unwrap_or(text).trim_end();
        match number.parse::<f64>() {
            Ok(percent) if (0.0..=100.0).contains(&percent) => {
                Ok(Self((percent / 100.0 * f64::from(PPM)).round() as u32))
            }
            _ => Err(format!("`{text}` is not a share: write percent from 0 to 100, such as 0.5%")),
        }
    }
}

/// Bits per second; zero for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(pub u64);

/// The units of `tc`.
const RATES: [(&str, u64); 4] = [("gbit", 1_000_000_000), ("mbit", 1_000_000), ("kbit", 1_000), ("bit", 1)];

impl FromStr for Rate {
    type Err = String;

    /// A whole number and a unit of `tc`, or `unlimited`.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "unlimited" {
            return Ok(Self(0));
        }
        let parsed = RATES.iter().find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, scale)));
        let bits = parsed.and_then(|(number, scale)| number.trim_end().parse::<u64>().ok()?.checked_mul(*scale));
        match bits {
            Some(bits) if bits > 0 => Ok(Self(bits)),
            _ => Err(format!(
                "`{text}` is not a rate: write a whole number and bit, kbit, mbit or gbit, such as 100mbit"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_holds_both_ways_and_two_hold_each_way() {
        assert_eq!(both::<u32>("7"), Ok(Both { there: 7, back: 7 }));
        assert_eq!(both::<u32>("7, 8"), Ok(Both { there: 7, back: 8 }));
        for wrong in ["", ",", "7,", ",7", "7,8,9"] {
            assert!(both::<u32>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn shares_are_percent() {
        for (text, ppm) in [("0", 0), ("1%", 10_000), ("0.1%", 1_000), ("0.0001 %", 1), ("100", PPM)] {
            assert_eq!(text.parse(), Ok(Share(ppm)), "{text}");
        }
        for wrong in ["", "%", "-1%", "101%", "1e9", "NaN", "a"] {
            assert!(wrong.parse::<Share>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn rates_have_the_units_of_tc() {
        for (text, bits) in [("unlimited", 0), ("100mbit", 100_000_000), ("64 kbit", 64_000), ("9bit", 9)] {
            assert_eq!(text.parse(), Ok(Rate(bits)), "{text}");
        }
        for wrong in ["", "100", "mbit", "0mbit", "1.5mbit", "-1bit", "99999999999gbit"] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
    }
}
