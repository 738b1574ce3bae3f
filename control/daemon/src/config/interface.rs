//! `[[interface]]`: one NIC, real or emulated.

use super::{cidr, from_text_if_any};
use serde::Deserialize;
use std::net::Ipv4Addr;
use std::str::FromStr;
use xmit_dataplane::route::Prefix;
use xmit_nic::MacAddr;

/// `[[interface]]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interface {
    /// The name. For `af_xdp` and `tap` it is the kernel's name of the interface; for `el3c501` any name. Required.
    pub name: String,
    /// `"af_xdp"` (default), `"el3c501"` or `"tap"`.
    #[serde(default)]
    pub kind: Kind,
    /// The lanes that serve the queues, by number. Default `[0]`.
    #[serde(default = "lanes_default")]
    pub lanes: Vec<u32>,
    /// The NIC's queues, one for each of `lanes`. Default 0, 1, 2, ...; other queues stay with the kernel.
    #[serde(default)]
    pub queues: Option<Vec<u32>>,
    /// Descriptors in each of a port's four rings, a power of two. Default 2048: a thousand connections that
    /// all speak and are acknowledged at once. Only `af_xdp`.
    #[serde(default = "ring_default")]
    pub ring: u32,
    /// Addresses of the daemon's own, such as `["10.77.0.2/24"]`: packets to them never reach the kernel. Absent
    /// (only `af_xdp`): the kernel's addresses are adopted and shared with it by ports.
    #[serde(default, deserialize_with = "cidr::list_if_any")]
    pub addresses: Option<Vec<Prefix>>,
    /// The next hop of the default route. Default: none.
    #[serde(default)]
    pub gateway: Option<Ipv4Addr>,
    /// The largest IP datagram in bytes. Default: the kernel's for `af_xdp`, 1500 for the others.
    #[serde(default)]
    pub mtu: Option<u16>,
    /// The station address. Default: the NIC's for `af_xdp` (the only one it can have), else one made from the name.
    #[serde(default, deserialize_with = "from_text_if_any")]
    pub mac: Option<MacAddr>,
    /// How the XDP program is attached: `"auto"` (default; native, else generic), `"native"`, `"generic"`.
    #[serde(default)]
    pub mode: XdpMode,
    /// Whether the NIC reads and writes the lane's buffers itself: `"auto"` (default; where the driver can), `"on"`
    /// (or refuse to start), `"off"`.
    #[serde(default)]
    pub zero_copy: ZeroCopy,
    /// Takes transport checksums as good when they are unfinished: a kernel on the same machine leaves them so on veth
    /// and tap (`ethtool -K DEV tx off` is the clean cure). Default false: a wrong checksum is a drop.
    #[serde(default)]
    pub accept_unfinished_checksums: bool,
    /// The 802.1Q VLAN, 1 to 4094, whose frames are received and sent with its tag. Default: untagged frames.
    #[serde(default)]
    pub vlan: Option<u16>,
    /// Reverse path filter (RFC 3704): `"off"` (default), `"loose"` (a source without any route back is refused),
    /// `"strict"` (its route back must leave by this interface).
    #[serde(default)]
    pub reverse_path: ReversePath,
    /// Takes IPv4 broadcasts (255.255.255.255 and the networks' own) from the NIC too; the kernel then sees none of
    /// them on it, so a DHCP client of the kernel would starve. Default false. Only `af_xdp` with `addresses`; the
    /// other kinds get all broadcasts anyway.
    #[serde(default)]
    pub broadcasts: bool,
    /// The card, with kind `el3c501` only.
    #[serde(default)]
    pub el3c501: Option<El3c501>,
}

impl Interface {
    /// Each queue with the lane that serves it, as (queue, lane).
    pub fn ports(&self) -> Vec<(u32, u32)> {
        match &self.queues {
            Some(queues) => queues.iter().copied().zip(self.lanes.iter().copied()).collect(),
            None => (0..).zip(self.lanes.iter().copied()).collect(),
        }
    }

    /// True if the kernel's addresses are adopted and shared with it by ports.
    pub fn adopts(&self) -> bool {
        self.addresses.is_none()
    }

    /// The station address of an emulated NIC: the configured one, or one made from the name, the same at every start.
    pub fn station_address(&self) -> MacAddr {
        self.mac.unwrap_or_else(|| {
            // FNV-1a; the first byte marks the address as locally administered and of one station.
            let hash = self.name.bytes().fold(0x811c_9dc5_u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
            let [_, b, c, d] = hash.to_be_bytes();
            // 3Com's prefix: the driver of the emulated card looks for it, as Linux's does.
            MacAddr([0x02, 0x60, 0x8c, b, c, d])
        })
    }

    /// The name of the interface of the kernel that this one is, or is joined to.
    pub fn kernel_name(&self) -> Option<&str> {
        match (&self.kind, &self.el3c501) {
            (Kind::AfXdp | Kind::Tap, _) => Some(&self.name),
            (Kind::El3c501, Some(El3c501 { join: Some(Join::AfXdp(name) | Join::Tap(name)), .. })) => Some(name),
            (Kind::El3c501, _) => None,
        }
    }
}

/// What an interface is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A NIC of the kernel, through AF_XDP.
    #[default]
    AfXdp,
    /// An emulated 3Com 3C501 on an emulated coax segment.
    El3c501,
    /// A tap interface that the daemon makes: the kernel is the host at the other end.
    Tap,
}

impl Kind {
    /// The word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AfXdp => "af_xdp",
            Self::El3c501 => "el3c501",
            Self::Tap => "tap",
        }
    }
}

/// The reverse path filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // explained at the field
pub enum ReversePath {
    #[default]
    Off,
    Loose,
    Strict,
}

/// How the XDP program is attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // the words are XDP's
pub enum XdpMode {
    #[default]
    Auto,
    Native,
    Generic,
}

/// Whether zero-copy is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // explained at the field
pub enum ZeroCopy {
    #[default]
    Auto,
    On,
    Off,
}

/// `[interface.el3c501]`: the emulated card.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct El3c501 {
    /// The coax segment it hangs on; cards that name the same segment hear each other. Required.
    pub segment: String,
    /// `"wire"` (default): 10 Mbit/s and the card's own delays. `"free-run"`: as fast as the processor goes.
    #[serde(default)]
    pub timing: Timing,
    /// Keeps the old driver's known faults (counts bytes of a reload twice, loses a frame on time-out). Default false.
    #[serde(default)]
    pub parity: bool,
    /// What the segment is joined to: `"af_xdp:eth1"` or `"tap:xm0"`. Default: nothing but other cards.
    #[serde(default, deserialize_with = "from_text_if_any")]
    pub join: Option<Join>,
    /// By what the segment is joined: `"wire"` (default) hears and sends everything as it is; `"card"` is a second 3C501,
    /// which collides, backs off and is deaf while it sends, like any host of its time.
    #[serde(default)]
    pub peer: Peer,
}

/// By what a segment is joined to something else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Peer {
    /// The coax itself.
    #[default]
    Wire,
    /// A second card.
    Card,
}

/// How fast an emulated card is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Timing {
    /// As the real one.
    #[default]
    Wire,
    /// As fast as the processor goes.
    FreeRun,
}

/// The port at the other end of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Join {
    /// Queue 0 of a NIC of the kernel; all its frames go to the segment.
    AfXdp(String),
    /// A tap interface that the daemon makes.
    Tap(String),
}

/// The text names no port to join.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names nothing to join: write \"af_xdp:\" or \"tap:\" and the name of an interface, such as \"tap:xm0\"")]
pub struct BadJoin(String);

impl FromStr for Join {
    type Err = BadJoin;

    fn from_str(text: &str) -> Result<Self, BadJoin> {
        match text.split_once(':') {
            Some(("af_xdp", name)) if !name.is_empty() => Ok(Self::AfXdp(name.to_owned())),
            Some(("tap", name)) if !name.is_empty() => Ok(Self::Tap(name.to_owned())),
            _ => Err(BadJoin(text.to_owned())),
        }
    }
}

fn lanes_default() -> Vec<u32> {
    vec![0]
}

fn ring_default() -> u32 {
    2048
}
