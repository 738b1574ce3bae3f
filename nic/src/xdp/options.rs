//! How a port is opened: what the operator may wish for. What was obtained stands in the port's `Caps`.

use super::steering::XdpMode;

/// Whether the NIC may move frames without copying them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CopyWish {
    /// Zero-copy if the driver can, else copy.
    #[default]
    Auto,
    /// Zero-copy or an error.
    Force,
    /// Always copy.
    Never,
}

/// Preferred busy polling: the lane's system calls drive the NIC's queue, and its interrupts keep quiet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusyPoll {
    /// How long one call polls at most, in microseconds (`SO_BUSY_POLL`).
    pub micros: u32,
    /// Packets that one call handles at most (`SO_BUSY_POLL_BUDGET`).
    pub budget: u32,
}

/// How a port is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortOptions {
    /// The port's index in its lane, which its frames carry as `Frame::port`.
    pub lane_port: u16,
    /// Entries of the receive ring: a power of two from 64 to 4,096. The port borrows as many frames for good.
    pub rx_ring: u32,
    /// Entries of the transmit ring: a power of two from 64 to 4,096.
    pub tx_ring: u32,
    /// Zero-copy or not. The lane's first port decides for all its ports.
    pub zero_copy: CopyWish,
    /// Let the driver sleep and tell when it wants to be woken, instead of waking it on suspicion. The lane's first
    /// port decides for all its ports.
    pub need_wakeup: bool,
    /// Preferred busy polling, where the kernel takes it.
    pub busy_poll: Option<BusyPoll>,
}

impl PortOptions {
    /// The mode obtained, for `Caps::mode`.
    pub(super) fn mode(&self, xdp: XdpMode, zero_copy: bool, busy_polling: bool) -> String {
        let copy = if zero_copy { "zero-copy" } else { "copy" };
        let wakeup = if self.need_wakeup { "need-wakeup" } else { "no need-wakeup" };
        let busy_poll = match (busy_polling, self.busy_poll) {
            (true, Some(wish)) => format!("busy-poll {} us", wish.micros),
            (false, Some(_)) => "busy-poll refused by the kernel".to_owned(),
            (_, None) => "busy-poll off".to_owned(),
        };
        format!("AF_XDP {}, {copy}, {wakeup}, {busy_poll}", xdp.name())
    }
}

impl Default for PortOptions {
    /// Rings of 2,048, zero-copy if possible, need-wakeup, no busy polling.
    fn default() -> Self {
        Self {
            lane_port: 0,
            rx_ring: 2048,
            tx_ring: 2048,
            zero_copy: CopyWish::Auto,
            need_wakeup: true,
            busy_poll: None,
        }
    }
}
