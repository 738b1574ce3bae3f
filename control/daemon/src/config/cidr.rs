//! Prefixes as the configuration writes them: an address with the length of its network (RFC 4632), never without.

use serde::{Deserialize, Deserializer};
use std::str::FromStr;
use xmit_dataplane::route::Prefix;

/// `10.77.0.2/24`: an address and its network, or a network alone when the host bits are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cidr(Prefix);

/// The text is not an address with its network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an address with the length of its network: write it like \"10.77.0.2/24\"")]
struct BadCidr(String);

/// Reads one.
pub(super) fn one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Prefix, D::Error> {
    Cidr::deserialize(deserializer).map(|cidr| cidr.0)
}

/// Reads a list of them, for a field that may be absent.
pub(super) fn list_if_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Prefix>>, D::Error> {
    let all = Vec::<Cidr>::deserialize(deserializer)?;
    Ok(Some(all.into_iter().map(|cidr| cidr.0).collect()))
}

impl FromStr for Cidr {
    type Err = BadCidr;

    fn from_str(text: &str) -> Result<Self, BadCidr> {
        // A prefix alone may be one address; here that would hide a network that was forgotten.
        let prefix = text.parse().ok().filter(|_| text.contains('/'));
        prefix.map(Self).ok_or_else(|| BadCidr(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Cidr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::from_text(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_network() {
        assert_eq!("10.77.0.2/24".parse::<Cidr>().unwrap().0.to_string(), "10.77.0.2/24");
        for bad in ["10.0.0.1", "10.0.0.1/33", "10.0.0/8", "/8", "10.0.0.1/-1", "10.0.0.1/255.0.0.0"] {
            assert_eq!(bad.parse::<Cidr>(), Err(BadCidr(bad.into())));
        }
    }
}
