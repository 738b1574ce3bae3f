//! The card as its registers show it: no clock, no wire, no driver.
//!
//! ```text
//!            host port F (at GP)
//!                  |
//!   0    RX pointer v                      GP at the trigger       0x800
//!   | received -->  |  free                | frame to send --------->|     one buffer, one owner at a time
//! ```
//!
//! Invariants:
//! * GP < 0x1000 (unless written so by `Quirks::gp_write_full`), RX pointer <= 0x800;
//! * a port write never ends a transmission: that takes [`Card::off_air`] or [`Card::advance`] at a later time;
//! * the receiver stores only while armed: receive mode, nothing unread, some match mode.
//!
//! The segment calls `ready_at`, `go_on_air`, `off_air`, `hear_start`, `hear_bytes`, `hear_end`; the bus calls `receive_until`, `inb`, `outb`, `irq`.
//! DMA is not modelled (no known driver uses it): its request bit is kept and never answered.

mod quirks;
mod receive;
mod transmit;

pub use quirks::Quirks;
pub use receive::Heard;
pub use transmit::{Outgoing, TxEnd};

use super::backoff::Backoff;
use super::registers::*;
use super::timing::Timing;
use crate::{Instant, MacAddr};
use receive::Receiver;
use transmit::Transmitter;

/// The GP pointer counts in twelve bits; eleven address the buffer.
const GP_MASK: u16 = 0x0fff;
/// Where the GP pointer stands after any transmission: one behind the buffer.
const GP_END: u16 = BUFFER_BYTES as u16;

/// One 3C501.
#[derive(Debug)]
pub struct Card {
    quirks: Quirks,
    timing: Timing,
    prom: [u8; 8],
    station: MacAddr,
    buffer: Box<[u8; BUFFER_BYTES]>,
    gp: u16,
    aux: u8,
    in_reset: bool,
    rx: Receiver,
    tx: Transmitter,
}

impl Card {
    /// A card fresh from power-on with `mac` in its PROM. `seed` decides its back-off.
    pub fn new(mac: MacAddr, timing: Timing, quirks: Quirks, seed: u64) -> Self {
        let [a, b, c, d, e, g] = mac.0;
        Self {
            quirks,
            timing,
            prom: [a, b, c, d, e, g, 0, 0],
            station: MacAddr::ZERO,
            buffer: Box::new([0; BUFFER_BYTES]),
            gp: 0,
            aux: AX_OFF,
            in_reset: false,
            rx: Receiver::default(),
            tx: Transmitter::new(Backoff::new(seed)),
        }
    }

    /// Reads the port at `offset` (of 16; higher bits are not decoded).
    pub fn inb(&mut self, offset: u8) -> u8 {
        match offset % EL1_IO_EXTENT {
            0 | 2 | 4 | RX_STATUS => self.read_rx_status(),
            1 | 3 | 5 | TX_STATUS => self.read_tx_status(),
            GP_LOW => self.gp as u8,
            GP_HIGH => (self.gp >> 8) as u8,
            RX_LOW => self.rx_pointer() as u8,
            RX_HIGH => (self.rx_pointer() >> 8) as u8,
            SAPROM | SAPROM_ALIAS => self.prom[usize::from(self.gp & 7)],
            AX_STATUS => self.aux_status(),
            _ => self.read_data(),
        }
    }

    /// Writes `value` to the port at `offset` (of 16; higher bits are not decoded).
    pub fn outb(&mut self, now: Instant, offset: u8, value: u8) {
        match offset % EL1_IO_EXTENT {
            byte @ 0..=5 => self.station.0[usize::from(byte)] = value,
            RX_CMD if !self.in_reset => self.rx.command = value,
            TX_CMD if !self.in_reset => self.tx.command = value,
            GP_LOW => self.gp = self.gp & 0xff00 | u16::from(value),
            GP_HIGH => self.write_gp_high(value),
            RX_BUF_CLR => self.rx.pointer = 0,
            AX_CMD => self.write_aux(now, value),
            DATAPORT => self.write_data(value),
            _ => {} // PROM windows, high byte of the RX pointer, commands during reset: not writable
        }
    }

    /// Reads two ports, `offset` first: the low byte.
    pub fn inw(&mut self, offset: u8) -> u16 {
        u16::from_le_bytes([self.inb(offset), self.inb(offset.wrapping_add(1))])
    }

    /// Writes two ports, `offset` first with the low byte.
    pub fn outw(&mut self, now: Instant, offset: u8, value: u16) {
        let [low, high] = value.to_le_bytes();
        self.outb(now, offset, low);
        self.outb(now, offset.wrapping_add(1), high);
    }

    /// The level of the interrupt line.
    pub fn irq(&self) -> bool {
        (self.rx.latch || self.tx.latch) && self.aux & (AX_RIDE | AX_IRE) != 0 && !self.in_reset
    }

    /// The station address as programmed.
    pub fn station(&self) -> MacAddr {
        self.station
    }

    fn mode(&self) -> BufferControl {
        BufferControl::of(self.aux)
    }

    fn write_gp_high(&mut self, value: u8) {
        let value = if self.quirks.gp_write_full { value } else { value & 0x07 };
        self.gp = u16::from(value) << 8 | self.gp & 0xff;
    }

    fn aux_status(&self) -> u8 {
        let kept = self.aux & (AX_BAD_FCS | AX_BUFFER | AX_DMA_REQUEST | AX_RIDE);
        kept | if self.rx.busy { AX_RX_BUSY } else { 0 } | if self.tx.busy { AX_TX_BUSY } else { 0 }
    }

    fn read_data(&mut self) -> u8 {
        let byte = self.buffer[usize::from(self.gp) % BUFFER_BYTES];
        self.gp = self.gp.wrapping_add(1) & GP_MASK;
        byte
    }

    /// Only the owner of the buffer writes it; for others neither the byte nor the pointer changes.
    fn write_data(&mut self, value: u8) {
        if self.mode() == BufferControl::System {
            self.buffer[usize::from(self.gp) % BUFFER_BYTES] = value;
            self.gp = self.gp.wrapping_add(1) & GP_MASK;
        }
    }

    fn write_aux(&mut self, now: Instant, value: u8) {
        if value & AX_RESET != 0 {
            self.in_reset = true;
            self.soft_reset();
            return;
        }
        self.in_reset = false;
        let before = self.mode();
        self.aux = value;
        let after = self.mode();
        if before == after {
            return; // the same owner again: nothing is triggered
        }
        self.cut_off();
        self.rx.listening &= (before, after) == (BufferControl::Transmit, BufferControl::Receive);
        match after {
            BufferControl::System => (self.tx.busy, self.rx.busy) = (true, false),
            BufferControl::Transmit => self.trigger(now),
            BufferControl::Receive => self.enter_receive(before),
            BufferControl::Loopback => self.trigger_loopback(now),
        }
    }

    /// What goes: commands, status, latches, work under way. What stays: buffer, both pointers, station address.
    fn soft_reset(&mut self) {
        self.cut_off();
        self.aux = AX_OFF;
        self.rx.reset();
        self.tx.reset();
    }
}
