//! `[[lane]]`: one core that carries packets.

use super::{ByteSize, Span};
use serde::Deserialize;

/// `[[lane]]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lane {
    /// The core that the lane is pinned to. Required: which core is free only the operator knows.
    pub core: u32,
    /// How long the lane looks for work before it sleeps. Default `"50us"`: about what a wake-up costs. `"0us"`
    /// sleeps at once, for cores shared with applications.
    #[serde(default = "spin_default")]
    pub spin: Span,
    /// Packet buffers of the lane, a number. Default 16384: two ports with full rings and as much again in sockets.
    #[serde(default = "frames_default")]
    pub frames: u32,
    /// Bytes of one buffer, `"2KiB"` or `"4KiB"`: what AF_XDP takes. Default `"2KiB"`, enough for an MTU of 1,500.
    #[serde(default = "frame_size_default")]
    pub frame_size: ByteSize,
    /// Buffers in huge pages of 2 MiB. Default false: nothing to prepare; true spares TLB misses and needs
    /// `vm.nr_hugepages`.
    #[serde(default)]
    pub hugepages: bool,
    /// Preferred busy polling (Linux 5.11): how long the kernel polls the NIC in the lane's own system call instead of
    /// in an interrupt. Default `"0us"`: off.
    #[serde(default)]
    pub busy_poll: Span,
}

fn spin_default() -> Span {
    Span::from_micros(50)
}

fn frames_default() -> u32 {
    16_384
}

fn frame_size_default() -> ByteSize {
    ByteSize(2048)
}
