//! The 3C501's port map and bits, by the names of Linux's `3c501.h` where it has one.
//!
//! An 8-bit card: every register is one byte; a 16-bit access is two byte cycles, low address first. Offsets 0 to 7
//! belong to the Ethernet chip (SEEQ 8001), 8 to F to 3Com's logic around it. Used by the device, the driver and tests.

/// Ports that one card decodes.
pub const EL1_IO_EXTENT: u8 = 16;
/// Bytes of the one packet buffer that host, transmitter and receiver share.
pub const BUFFER_BYTES: usize = 2048;

/// RX command (write) and status (read; reading acknowledges).
pub const RX_CMD: u8 = 0x06;
/// RX status: [`RX_CMD`] when read.
pub const RX_STATUS: u8 = 0x06;
/// TX command (write) and status (read; reading acknowledges).
pub const TX_CMD: u8 = 0x07;
/// TX status: [`TX_CMD`] when read.
pub const TX_STATUS: u8 = 0x07;
/// General purpose buffer pointer, low byte; the high byte follows.
pub const GP_LOW: u8 = 0x08;
/// General purpose buffer pointer, high byte.
pub const GP_HIGH: u8 = 0x09;
/// Receive buffer pointer, low byte (read); any write clears the whole pointer.
pub const RX_BUF_CLR: u8 = 0x0a;
/// Receive buffer pointer, low byte: [`RX_BUF_CLR`] when read.
pub const RX_LOW: u8 = 0x0a;
/// Receive buffer pointer, high byte (read only).
pub const RX_HIGH: u8 = 0x0b;
/// Window on the address PROM, at the low three bits of the GP pointer.
pub const SAPROM: u8 = 0x0c;
/// A second address of the same window.
pub const SAPROM_ALIAS: u8 = 0x0d;
/// Auxiliary command (write).
pub const AX_CMD: u8 = 0x0e;
/// Auxiliary status: [`AX_CMD`] when read.
pub const AX_STATUS: u8 = 0x0e;
/// Window on the packet buffer at the GP pointer, which then moves on by one.
pub const DATAPORT: u8 = 0x0f;

/// RX: the buffer ended before the frame.
pub const RX_OVERFLOW: u8 = 0x01;
/// RX: the frame check sequence was wrong.
pub const RX_FCS: u8 = 0x02;
/// RX: the frame was not a whole number of bytes.
pub const RX_DRIBBLE: u8 = 0x04;
/// RX: shorter than 60 bytes before its check sequence.
pub const RX_SHORT: u8 = 0x08;
/// RX: the frame ended without overflow.
pub const RX_NOT_OVERFLOW: u8 = 0x10;
/// RX: none of the errors above.
pub const RX_GOOD: u8 = 0x20;
/// RX status: nothing new since the last read.
pub const RX_STALE: u8 = 0x80;
/// RX command and status: the bits that mean a kind of frame.
pub const RX_KINDS: u8 = 0x3f;
/// RX command: own address and broadcast; good and short frames interrupt.
pub const RX_NORM: u8 = 0xa8;
/// RX command: every address; good and short frames interrupt.
pub const RX_PROM: u8 = 0x68;
/// RX command: own address and all groups; good and short frames interrupt.
pub const RX_MULT: u8 = 0xe8;

/// TX: the buffer could not feed the wire.
pub const TX_UNDERFLOW: u8 = 0x01;
/// TX: a collision ended the attempt.
pub const TX_COLLISION: u8 = 0x02;
/// TX: the sixteenth collision in a row.
pub const TX_16_COLLISIONS: u8 = 0x04;
/// TX: the frame went out; ready for a new one.
pub const TX_READY: u8 = 0x08;
/// TX command and status: the bits that mean an outcome.
pub const TX_OUTCOMES: u8 = 0x0f;
/// TX command: success and collision interrupt.
pub const TX_NORM: u8 = 0x0a;

/// Auxiliary command: interrupt enable (not readable; the bit reads as [`AX_RX_BUSY`]).
pub const AX_IRE: u8 = 0x01;
/// Auxiliary status: the receiver is armed and holds no frame.
pub const AX_RX_BUSY: u8 = 0x01;
/// Auxiliary command: send a wrong frame check sequence.
pub const AX_BAD_FCS: u8 = 0x02;
/// Auxiliary command: the two bits of buffer control ([`BufferControl`]).
pub const AX_BUFFER: u8 = 0x0c;
/// Auxiliary command: DMA request. Kept and readable; the model has no DMA controller to answer it.
pub const AX_DMA_REQUEST: u8 = 0x20;
/// Auxiliary command: interrupt and DMA enable.
pub const AX_RIDE: u8 = 0x40;
/// Auxiliary status: a transmission is under way or the host owns the buffer.
pub const AX_TX_BUSY: u8 = 0x80;
/// Auxiliary command: everything off, the host owns the buffer.
pub const AX_OFF: u8 = 0x00;
/// Auxiliary command: the host owns the buffer, interrupts stay enabled.
pub const AX_SYS: u8 = 0x40;
/// Auxiliary command: transmit, then receive.
pub const AX_XMIT: u8 = 0x44;
/// Auxiliary command: receive.
pub const AX_RX: u8 = 0x48;
/// Auxiliary command: loopback, no interrupts.
pub const AX_LOOP: u8 = 0x0c;
/// Auxiliary command: reset, held while the bit is set.
pub const AX_RESET: u8 = 0x80;

/// Who owns the packet buffer: bits 3:2 of the auxiliary command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BufferControl {
    /// 00: the host.
    System,
    /// 01: the transmitter, then the receiver.
    Transmit,
    /// 10: the receiver.
    Receive,
    /// 11: transmitter and receiver, joined inside the card.
    Loopback,
}

impl BufferControl {
    /// The owner named by an auxiliary command.
    pub const fn of(aux: u8) -> Self {
        match (aux & AX_BUFFER) >> 2 {
            0 => Self::System,
            1 => Self::Transmit,
            2 => Self::Receive,
            _ => Self::Loopback,
        }
    }
}
