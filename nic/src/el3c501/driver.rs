//! The driver, after Linux's `3c501.c` in structure and names, with nothing of the card but ports and interrupt line.
//!
//! One frame in transmission at most. The frame is copied to the card, so the caller keeps or frees its own copy at
//! once, and a retry after a collision uses the copy on the board: the card cannot restore its GP pointer, so the
//! handler rewinds it and triggers again. The wait between attempts is the card's.
//!
//! A transmission takes the buffer from the receiver, so one that is wanted while a frame comes in waits until that is there.
//!
//! Two things spoil a driver of this card. An interrupt can come while the frame is being loaded; it has then
//! touched the card, and the load is done again (`Loading::Again`). And the interrupt of completion can follow the
//! trigger at once; the load is therefore over (`Loading::No`) before the trigger is written.
//!
//! Where Linux's driver loses frames or counts wrong this one does not; [`Parity`] brings Linux's ways back.

use super::frame_ring::FrameRing;
use super::isa::Isa;
use super::registers::*;
use super::timing::{FRAME_BYTES_MAX, FRAME_BYTES_MIN, GIANT_BYTES};
use crate::{Duration, Instant, MacAddr, PortStats};

/// Linux's `watchdog_timeo` of this driver.
pub const TX_TIMEOUT: Duration = Duration::from_secs(1);
/// The longest frame takes a little less.
const RX_FRAME_MAX: Duration = Duration::from_micros(1_250);
/// Vendor prefixes that the probe accepts: 3Com, and Sager's NP943.
const VENDORS: [[u8; 3]; 2] = [[0x02, 0x60, 0x8c], [0x00, 0x80, 0xc8]];
/// The driver's zeros for padding short frames: no stale bytes of the buffer reach the wire.
const ZEROS: [u8; FRAME_BYTES_MIN] = [0; FRAME_BYTES_MIN];

/// Habits of Linux's driver that are faults, each off by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parity {
    /// `tx_bytes` counts each load, so a frame loaded twice counts twice; otherwise it counts frames sent.
    pub tx_bytes_at_load: bool,
    /// After an interrupt the pointer is cleared and the status read *behind* the receive command: a frame that
    /// arrived since the transmission ended vanishes uncounted.
    pub lose_frame_after_tx: bool,
    /// A transmission takes the buffer from a frame that is just coming in, which vanishes uncounted; otherwise it waits.
    pub lose_frame_under_way: bool,
    /// The watchdog programs the normal receive mode and forgets multicast and promiscuous.
    pub lose_mode_on_timeout: bool,
}

impl Parity {
    /// All of Linux's habits.
    pub const LINUX: Self = Self {
        tx_bytes_at_load: true,
        lose_frame_after_tx: true,
        lose_frame_under_way: true,
        lose_mode_on_timeout: true,
    };
}

/// The answer to [`Driver::el_start_xmit`]: `NETDEV_TX_OK` or `NETDEV_TX_BUSY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Xmit {
    /// The card has a copy.
    Accepted,
    /// A frame is in transmission or coming in, or the interface is down: come again after an interrupt.
    Busy,
}

/// Which addresses the card hears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RxFilter {
    /// Its own and broadcast.
    #[default]
    Normal,
    /// Its own and every group.
    AllMulticast,
    /// Every address.
    Promiscuous,
}

/// No 3C501 answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no 3C501 here: its address PROM reads {found}, whose first three bytes are neither 02:60:8c nor 00:80:c8; \
     give the card an address that starts with 02:60:8c"
)]
pub struct ProbeError {
    /// What the PROM window showed.
    pub found: MacAddr,
}

/// The state of loading a frame into the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loading {
    No,
    Now,
    /// An interrupt came in between.
    Again,
}

/// The software state of one card: Linux's `struct net_local` and what it keeps in `struct net_device`.
#[derive(Debug)]
pub struct Driver {
    mac: MacAddr,
    filter: RxFilter,
    parity: Parity,
    up: bool,
    txing: bool,
    loading: Loading,
    tx_start: u16,
    tx_len: usize,
    trans_start: Instant,
    /// Since when a transmission waits for a frame that is coming in.
    rx_since: Option<Instant>,
    stats: PortStats,
}

impl Driver {
    /// Linux: `el1_probe1`. Reads the address PROM and leaves the card in reset. The interrupt line is given, not
    /// sought.
    ///
    /// # Errors
    /// If the PROM holds no address of a known vendor.
    pub fn el_probe(io: &mut Isa<'_>, parity: Parity) -> Result<Self, ProbeError> {
        let mut found = MacAddr::ZERO;
        for (i, byte) in found.0.iter_mut().enumerate() {
            io.outw(i as u16, GP_LOW);
            *byte = io.inb(SAPROM);
        }
        if !VENDORS.iter().any(|vendor| found.0.starts_with(vendor)) {
            return Err(ProbeError { found });
        }
        io.outb(AX_RESET | AX_LOOP, AX_CMD);
        Ok(Self {
            mac: found,
            filter: RxFilter::Normal,
            parity,
            up: false,
            txing: false,
            loading: Loading::No,
            tx_start: 0,
            tx_len: 0,
            trans_start: Instant::ZERO,
            rx_since: None,
            stats: PortStats::default(),
        })
    }

    /// Linux: `el_open`.
    pub fn el_open(&mut self, io: &mut Isa<'_>) {
        self.el_reset(io);
        io.outb(AX_RX, AX_CMD);
        self.up = true;
    }

    /// Linux: `el1_close`. The card stays in reset; a frame in transmission is cut off.
    pub fn el_close(&mut self, io: &mut Isa<'_>) {
        io.outb(AX_RESET, AX_CMD);
        (self.up, self.txing) = (false, false);
    }

    /// Linux: `el_start_xmit`. A frame of more than 1,514 bytes must not come here.
    pub fn el_start_xmit(&mut self, io: &mut Isa<'_>, inbox: &mut FrameRing, frame: &[u8]) -> Xmit {
        if self.txing || !self.up {
            return Xmit::Busy;
        }
        if !self.parity.lose_frame_after_tx && io.inb(AX_STATUS) & AX_RX_BUSY == 0 {
            self.el_interrupt(io, inbox); // a frame waits in the buffer that is about to be overwritten
        }
        if self.is_receiving(io) {
            return Xmit::Busy;
        }
        self.take_card(io, frame.len().min(FRAME_BYTES_MAX));
        self.load(io, frame);
        // Bounded by the interrupts that arrive during a load; none can while the host owns the buffer.
        while !self.trigger(io) {
            self.load(io, frame);
        }
        Xmit::Accepted
    }

    /// Linux: `el_interrupt`. Received frames go to `inbox`.
    pub fn el_interrupt(&mut self, io: &mut Isa<'_>, inbox: &mut FrameRing) {
        let aux = io.inb(AX_STATUS);
        if !self.up {
            io.outb(AX_RESET, AX_CMD); // nobody listens: take the line down
        } else if self.loading != Loading::No {
            io.inb(TX_STATUS);
            self.loading = Loading::Again;
        } else if self.txing {
            self.tx_interrupt(io, aux);
        } else {
            self.rx_interrupt(io, inbox, aux);
        }
    }

    /// Linux: `el_timeout`, called at [`Driver::next_deadline`]. The frame is lost.
    pub fn el_timeout(&mut self, io: &mut Isa<'_>) {
        self.stats.tx_errors += 1;
        io.outb(TX_NORM, TX_CMD);
        io.outb(if self.parity.lose_mode_on_timeout { RX_NORM } else { self.rx_command() }, RX_CMD);
        io.outb(AX_OFF, AX_CMD);
        io.outb(0, RX_BUF_CLR);
        io.inb(RX_STATUS);
        io.inb(TX_STATUS);
        io.outb(AX_RX, AX_CMD);
        (self.txing, self.loading) = (false, Loading::No);
    }

    /// Linux: `set_multicast_list`, which also reads RX status and so throws a waiting frame away; not done here.
    pub fn set_multicast_list(&mut self, io: &mut Isa<'_>, filter: RxFilter) {
        self.filter = filter;
        if self.up {
            io.outb(self.rx_command(), RX_CMD);
        }
    }

    /// When the watchdog bites, if a frame is in transmission.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.txing.then(|| self.trans_start + TX_TIMEOUT)
    }

    /// The queue is awake: the next [`Driver::el_start_xmit`] will not be refused.
    pub fn is_ready(&self) -> bool {
        self.up && !self.txing
    }

    /// The station address.
    pub fn mac(&self) -> MacAddr {
        self.mac
    }

    /// Counters by Linux's names.
    pub fn stats(&self) -> PortStats {
        self.stats
    }

    /// A frame is just coming in, which the buffer must not be taken from: the pointer has left its place. Where it stays for
    /// longer than a frame takes none is coming.
    fn is_receiving(&mut self, io: &mut Isa<'_>) -> bool {
        if self.parity.lose_frame_under_way || io.inw(RX_LOW) == 0 {
            self.rx_since = None;
            return false;
        }
        let since = *self.rx_since.get_or_insert(io.now());
        io.now().saturating_since(since) < RX_FRAME_MAX
    }

    /// First half of `el_start_xmit`: stops reception and silences what it had to say.
    pub(super) fn take_card(&mut self, io: &mut Isa<'_>, len: usize) {
        self.tx_len = len;
        self.tx_start = (BUFFER_BYTES - len.max(FRAME_BYTES_MIN)) as u16;
        io.outb(AX_SYS, AX_CMD);
        io.inb(RX_STATUS);
        io.inb(TX_STATUS);
        (self.loading, self.txing, self.trans_start) = (Loading::Now, true, io.now());
        self.count_load();
    }

    /// Places the frame so that it ends where the buffer ends, padded with zeros, and rewinds GP to its start.
    pub(super) fn load(&mut self, io: &mut Isa<'_>, frame: &[u8]) {
        let frame = frame.get(..self.tx_len).unwrap_or(frame);
        io.outw(0, RX_BUF_CLR);
        io.outw(self.tx_start, GP_LOW);
        io.outsb(DATAPORT, frame);
        io.outsb(DATAPORT, ZEROS.get(frame.len()..).unwrap_or_default());
        io.outw(self.tx_start, GP_LOW);
    }

    /// Starts the transmission. False if an interrupt disturbed the load, which must then be done again.
    pub(super) fn trigger(&mut self, io: &mut Isa<'_>) -> bool {
        if self.loading == Loading::Again {
            self.loading = Loading::Now;
            self.count_load();
            return false;
        }
        self.loading = Loading::No;
        io.outb(AX_XMIT, AX_CMD);
        true
    }

    fn count_load(&mut self) {
        if self.parity.tx_bytes_at_load {
            self.stats.tx_bytes += self.tx_len as u64;
        }
    }

    /// The half of `el_interrupt` for a frame in transmission.
    fn tx_interrupt(&mut self, io: &mut Isa<'_>, aux: u8) {
        let status = io.inb(TX_STATUS);
        if aux & AX_TX_BUSY != 0 {
            return; // still on its way: an interrupt from before the load, its statuses long read
        }
        if status & TX_16_COLLISIONS != 0 {
            self.stats.tx_aborted_errors += 1;
            self.tx_done(io, aux);
        } else if status & TX_COLLISION != 0 {
            self.stats.collisions += 1;
            io.outb(AX_SYS, AX_CMD);
            io.outw(self.tx_start, GP_LOW);
            io.outb(AX_XMIT, AX_CMD);
        } else if status & TX_READY != 0 {
            self.stats.tx_packets += 1;
            self.stats.tx_bytes += if self.parity.tx_bytes_at_load { 0 } else { self.tx_len as u64 };
            self.tx_done(io, aux);
        } else {
            self.stats.tx_errors += 1; // underflow; Linux counts it as sent
            self.tx_done(io, aux);
        }
    }

    /// Back to reception. A frame that arrived since the transmission ended stays: going straight from transmit to
    /// receive keeps it, its interrupt is still pending, and only an empty buffer has its pointer cleared.
    fn tx_done(&mut self, io: &mut Isa<'_>, aux: u8) {
        self.txing = false;
        if self.parity.lose_frame_after_tx {
            rearm_as_linux(io);
        } else {
            if aux & AX_RX_BUSY != 0 {
                io.outb(0, RX_BUF_CLR);
            }
            io.outb(AX_RX, AX_CMD);
        }
    }

    /// The half of `el_interrupt` for a received frame.
    fn rx_interrupt(&mut self, io: &mut Isa<'_>, inbox: &mut FrameRing, aux: u8) {
        self.rx_since = None;
        let status = io.inb(RX_STATUS);
        if status & RX_STALE != 0 {
            io.inb(TX_STATUS); // not the receiver: what came was too late to matter
            if aux & AX_RX_BUSY != 0 {
                return;
            }
        } else if status & RX_OVERFLOW != 0 {
            self.stats.rx_missed_errors += 1;
        } else if status & RX_SHORT != 0 {
            self.stats.rx_length_errors += 1;
        } else if status & (RX_GOOD | RX_NOT_OVERFLOW) != 0 {
            self.el_receive(io, inbox);
        } else {
            self.el_reset(io);
        }
        if self.parity.lose_frame_after_tx {
            rearm_as_linux(io);
        } else {
            io.outb(AX_SYS, AX_CMD);
            io.outb(0, RX_BUF_CLR);
            io.outb(AX_RX, AX_CMD);
        }
    }

    /// Linux: `el_receive`.
    fn el_receive(&mut self, io: &mut Isa<'_>, inbox: &mut FrameRing) {
        let len = usize::from(io.inw(RX_LOW));
        if !(FRAME_BYTES_MIN..=GIANT_BYTES).contains(&len) {
            self.stats.rx_over_errors += 1;
            return;
        }
        io.outb(AX_SYS, AX_CMD);
        io.outw(0, GP_LOW);
        let Some(bytes) = inbox.push(len) else {
            self.stats.rx_dropped += 1;
            return;
        };
        io.insb(DATAPORT, bytes);
        self.stats.rx_packets += 1;
        self.stats.rx_bytes += len as u64;
    }

    /// Linux: `el_reset`. The card may have lost everything, so everything is written again.
    fn el_reset(&mut self, io: &mut Isa<'_>) {
        io.outb(AX_RESET, AX_CMD);
        io.outb(AX_LOOP, AX_CMD);
        for (offset, byte) in self.mac.0.into_iter().enumerate() {
            io.outb(byte, offset as u8);
        }
        io.outw(0, RX_BUF_CLR);
        io.outb(TX_NORM, TX_CMD);
        io.outb(self.rx_command(), RX_CMD);
        io.inb(RX_STATUS);
        io.inb(TX_STATUS);
        (self.txing, self.loading) = (false, Loading::No);
    }

    fn rx_command(&self) -> u8 {
        match self.filter {
            RxFilter::Normal => RX_NORM,
            RxFilter::AllMulticast => RX_MULT,
            RxFilter::Promiscuous => RX_PROM,
        }
    }
}

/// Linux's order behind every interrupt; see [`Parity::lose_frame_after_tx`].
fn rearm_as_linux(io: &mut Isa<'_>) {
    io.outb(AX_RX, AX_CMD);
    io.outw(0, RX_BUF_CLR);
    io.inb(RX_STATUS);
    io.inb(TX_STATUS);
}
