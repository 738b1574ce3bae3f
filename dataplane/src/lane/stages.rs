//! Cycles per stage of the turn (`xmit stat --stages`).

use crate::named::named_enum;

named_enum! {
    /// The stages of one turn, in its order.
    pub enum Stage {
        /// Commands of the control thread and new snapshots.
        Commands,
        /// `rx_burst` of every port.
        Receive,
        /// Carrying received frames up to their verdict.
        Input,
        /// Frames that other lanes handed over, and looped ones.
        Backlog,
        /// Clients' submissions and datagrams.
        Sessions,
        /// Timers.
        Timers,
        /// What connections have to send.
        Segments,
        /// Queueing disciplines into the ports.
        Transmit,
        /// Completions, refills and kicks of the ports.
        Service,
        /// Completions and doorbells to the clients.
        Notify,
    }
}

/// Cycles and items of every stage since the lane started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stages {
    cycles: [u64; Stage::COUNT],
    items: [u64; Stage::COUNT],
}

impl Stages {
    /// `stage` is over and handled `items` packets, submissions or timers. Turns without items do not count: what an
    /// idle lane spends on looking is not the cost of a packet. A stage that found nothing does not even read the
    /// counter, which is a large part of an empty turn; the looking goes to the next stage that found something.
    #[inline]
    pub(super) fn record(&mut self, stage: Stage, watch: &mut Stopwatch, items: usize) {
        if items > 0 {
            self.cycles[stage.index()] += watch.lap();
            self.items[stage.index()] += items as u64;
        }
    }

    /// Every stage with its cycles and items.
    pub fn iter(&self) -> impl Iterator<Item = (Stage, u64, u64)> + '_ {
        Stage::ALL.iter().map(|s| (*s, self.cycles[s.index()], self.items[s.index()]))
    }

    /// Cycles, then items, each in the order of [`Stage::ALL`]; what the lane publishes.
    pub fn values(&self) -> impl Iterator<Item = u64> + '_ {
        self.cycles.iter().chain(&self.items).copied()
    }
}

/// Measures stage after stage with one reading of the counter between two that found something.
#[derive(Debug)]
pub(super) struct Stopwatch {
    cycles: fn() -> u64,
    last: u64,
}

impl Stopwatch {
    pub(super) fn start(cycles: fn() -> u64) -> Self {
        Self { cycles, last: cycles() }
    }

    /// Cycles since the last call.
    #[inline]
    fn lap(&mut self) -> u64 {
        let now = (self.cycles)();
        let spent = now.saturating_sub(self.last);
        self.last = now;
        spent
    }
}
