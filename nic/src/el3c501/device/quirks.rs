//! Where sources about the card disagree: one named switch each.

/// Behaviours on which emulators, drivers and data sheets differ. The default is the reading nearest to the hardware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quirks {
    /// Short frames from the wire are padded to 60 bytes and count as good (VirtualBox, 86Box) instead of being
    /// flagged short.
    pub pad_wire_shorts: bool,
    /// After a frame that nobody asked for, the receive pointer stays advanced (VirtualBox) instead of going back.
    pub keep_rxptr_on_discard: bool,
    /// All eight bits of the GP pointer's high byte can be written (emulators' code) instead of the low three.
    pub gp_write_full: bool,
    /// Auxiliary status shows TX busy in receive mode, as Minix's driver expects.
    pub txbusy_in_receive: bool,
    /// Reading RX status in receive mode arms the receiver again if the pointer was cleared. Off: only a change of
    /// mode does (VirtualBox).
    pub rearm_on_status_read: bool,
}

impl Quirks {
    /// The reading nearest to the hardware.
    pub const HARDWARE: Self = Self {
        pad_wire_shorts: false,
        keep_rxptr_on_discard: false,
        gp_write_full: false,
        txbusy_in_receive: false,
        rearm_on_status_read: true,
    };
    /// As VirtualBox's model behaves.
    pub const VIRTUALBOX: Self = Self {
        pad_wire_shorts: true,
        keep_rxptr_on_discard: true,
        gp_write_full: true,
        txbusy_in_receive: false,
        rearm_on_status_read: false,
    };
}

impl Default for Quirks {
    fn default() -> Self {
        Self::HARDWARE
    }
}
