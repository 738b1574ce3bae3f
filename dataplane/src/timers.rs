//! The timing wheel of a lane: hierarchical (Varghese and Lauck 1987, scheme 7), all operations O(1).
//!
//! ```text
//!  a deadline in ticks:   | digit 10 | ... | digit 2 | digit 1 | digit 0 |      six bits each
//!  its level: the highest digit that differs from `elapsed`; its slot: that digit
//! ```
//!
//! Invariants:
//! * on a level every occupied slot lies ahead of `elapsed`'s digit there, and every timer of a level is due before
//!   those of higher levels: the next one to look at is the lowest bit of the lowest occupied level, however far;
//! * never early: deadlines are rounded up to a tick, the present is rounded down;
//! * nothing is allocated after construction; lists are links between indices, their heads stand behind the entries.

use crate::{Duration, Instant};
use xmit_shared::time::nanos;

const DIGIT_BITS: u32 = 6;
const SLOTS: usize = 1 << DIGIT_BITS;
/// Eleven digits of six bits hold any number of ticks, so nothing has to wrap.
const LEVELS: usize = 11;
/// Timers whose time has come, in order.
const DUE: usize = LEVELS * SLOTS;
/// Timers of a slot that was reached, on their way to lower levels.
const MOVING: usize = DUE + 1;
const LISTS: usize = MOVING + 1;
/// Moves to lower levels per timer that may expire in a call. Keeps a call short when a full slot is reached; a timer
/// moves a few times in its life.
const MOVES_PER_EXPIRY: usize = 4;

/// A scheduled timer. Of no use once it expired or was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimerId {
    index: u32,
    generation: u32,
}

/// Neighbours in a circular list.
#[derive(Clone, Copy, Debug)]
struct Link {
    prev: u32,
    next: u32,
}

#[derive(Clone, Copy, Debug)]
struct Entry<T> {
    /// `None` while the entry is free.
    token: Option<T>,
    generation: u32,
    /// The deadline in ticks.
    when: u64,
}

/// Timers that carry a `T` each.
#[derive(Debug)]
pub struct Wheel<T: Copy> {
    tick_nanos: u64,
    /// Ticks up to which everything was moved to the due list.
    elapsed: u64,
    entries: Vec<Entry<T>>,
    /// One link per entry, then one per list: its head.
    links: Vec<Link>,
    free: Vec<u32>,
    /// One bit per slot that holds timers.
    occupied: [u64; LEVELS],
    /// One bit per level that holds timers.
    levels: u16,
}

impl<T: Copy> Wheel<T> {
    /// A wheel for at most `capacity` timers that resolves `tick`.
    pub fn new(now: Instant, capacity: usize, tick: Duration) -> Self {
        let capacity = capacity.min(u32::MAX as usize - LISTS);
        let tick_nanos = nanos(tick).max(1);
        Self {
            tick_nanos,
            elapsed: now.as_nanos() / tick_nanos,
            entries: vec![Entry { token: None, generation: 0, when: 0 }; capacity],
            links: (0..(capacity + LISTS) as u32).map(|own| Link { prev: own, next: own }).collect(),
            free: (0..capacity as u32).rev().collect(),
            occupied: [0; LEVELS],
            levels: 0,
        }
    }

    /// Timers scheduled.
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// True if no timer is scheduled.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Has `token` handed out by [`Wheel::expire`] at or within a tick after `at`. `None` if the wheel is full.
    pub fn schedule(&mut self, at: Instant, token: T) -> Option<TimerId> {
        let index = self.free.pop()?;
        let entry = &mut self.entries[index as usize];
        entry.token = Some(token);
        entry.when = at.as_nanos().div_ceil(self.tick_nanos);
        let generation = entry.generation;
        self.place(index);
        Some(TimerId { index, generation })
    }

    /// Has `timer`, scheduled or not, hand out `token` at `at` as [`Wheel::schedule`] does.
    #[inline]
    pub fn move_to(&mut self, timer: &mut Option<TimerId>, at: Instant, token: T) {
        self.stop(timer);
        *timer = self.schedule(at, token);
    }

    /// Takes `timer` out, if it is scheduled.
    #[inline]
    pub fn stop(&mut self, timer: &mut Option<TimerId>) {
        if let Some(scheduled) = timer.take() {
            self.cancel(scheduled);
        }
    }

    /// Takes the timer out. False if it expired or was cancelled before.
    pub fn cancel(&mut self, id: TimerId) -> bool {
        let known = self.entries.get(id.index as usize);
        if !known.is_some_and(|entry| entry.generation == id.generation && entry.token.is_some()) {
            return false;
        }
        self.unlink(id.index);
        self.release(id.index);
        true
    }

    /// Hands out the tokens whose deadline is not after `now`, earlier ticks first. Answers how many.
    /// Bounded by `budget` tokens and four times as many moves: what is left keeps [`Wheel::next_deadline`] in the
    /// past and comes with the next call.
    pub fn expire(&mut self, now: Instant, budget: usize, mut expired: impl FnMut(T)) -> usize {
        let target = now.as_nanos() / self.tick_nanos;
        let (mut count, mut moves) = (0, budget.saturating_mul(MOVES_PER_EXPIRY));
        while count < budget {
            if let Some(index) = self.first(DUE) {
                self.unlink(index);
                if let Some(token) = self.release(index) {
                    count += 1;
                    expired(token);
                }
            } else if let Some(index) = self.first(MOVING) {
                if moves == 0 {
                    break;
                }
                moves -= 1;
                self.unlink(index);
                self.place(index);
            } else if !self.reach_next_slot(target) {
                self.elapsed = self.elapsed.max(target);
                break;
            }
        }
        count
    }

    /// When to call [`Wheel::expire`] next; `None` if no timer is scheduled. Never later than the next timer expires.
    /// May be earlier, when a slot of a higher level is reached: at most once per level for a timer.
    pub fn next_deadline(&self) -> Option<Instant> {
        let waiting = self.first(DUE).or(self.first(MOVING)).is_some();
        let ticks = if waiting { self.elapsed } else { self.next_slot()?.1 };
        Some(Instant::from_nanos(ticks.saturating_mul(self.tick_nanos)))
    }

    /// The next occupied slot (as a list) and the tick at which it begins.
    fn next_slot(&self) -> Option<(usize, u64)> {
        let level = self.levels.trailing_zeros();
        let slot = self.occupied.get(level as usize)?.trailing_zeros();
        let shift = level * DIGIT_BITS;
        // Digits above the level are those of `elapsed`, those below are zero.
        let above = u64::MAX.checked_shl(shift + DIGIT_BITS).unwrap_or(0);
        Some((level as usize * SLOTS + slot as usize, (self.elapsed & above) | (u64::from(slot) << shift)))
    }

    /// Moves time to the next occupied slot and its timers to the moving list. False if it begins after `target`.
    fn reach_next_slot(&mut self, target: u64) -> bool {
        match self.next_slot() {
            Some((list, start)) if start <= target => {
                self.elapsed = start;
                self.splice_to_moving(list);
                true
            }
            _ => false,
        }
    }

    /// Links a timer into the list that its deadline belongs to.
    fn place(&mut self, index: u32) {
        let when = self.entries[index as usize].when;
        if when <= self.elapsed {
            return self.push_back(DUE, index);
        }
        let level = (63 - (when ^ self.elapsed).leading_zeros()) / DIGIT_BITS;
        let slot = (when >> (level * DIGIT_BITS)) as usize % SLOTS;
        self.occupied[level as usize] |= 1 << slot;
        self.levels |= 1 << level;
        self.push_back(level as usize * SLOTS + slot, index);
    }

    /// Makes the entry free; answers what it carried.
    fn release(&mut self, index: u32) -> Option<T> {
        let entry = &mut self.entries[index as usize];
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(index);
        entry.token.take()
    }

    /// The link that stands for the list itself.
    fn head(&self, list: usize) -> u32 {
        (self.entries.len() + list) as u32
    }

    fn first(&self, list: usize) -> Option<u32> {
        let next = self.links[self.entries.len() + list].next;
        ((next as usize) < self.entries.len()).then_some(next)
    }

    fn push_back(&mut self, list: usize, index: u32) {
        let head = self.head(list);
        let last = self.links[head as usize].prev;
        self.links[index as usize] = Link { prev: last, next: head };
        self.links[last as usize].next = index;
        self.links[head as usize].prev = index;
    }

    fn unlink(&mut self, index: u32) {
        let Link { prev, next } = self.links[index as usize];
        self.links[prev as usize].next = next;
        self.links[next as usize].prev = prev;
        // Both neighbours are the head: the list is empty now.
        if prev == next && prev as usize >= self.entries.len() {
            self.mark_empty(prev as usize - self.entries.len());
        }
    }

    /// Appends a whole slot to the moving list, which is empty.
    fn splice_to_moving(&mut self, list: usize) {
        let (from, to) = (self.head(list), self.head(MOVING));
        let Link { prev: last, next: first } = self.links[from as usize];
        self.links[to as usize] = Link { prev: last, next: first };
        self.links[first as usize].prev = to;
        self.links[last as usize].next = to;
        self.links[from as usize] = Link { prev: from, next: from };
        self.mark_empty(list);
    }

    fn mark_empty(&mut self, list: usize) {
        let (level, slot) = (list / SLOTS, list % SLOTS);
        if let Some(occupied) = self.occupied.get_mut(level) {
            *occupied &= !(1 << slot);
            if *occupied == 0 {
                self.levels &= !(1 << level);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const TICK: u64 = 1_000_000;

    #[derive(Clone, Debug)]
    enum Step {
        Schedule { after_nanos: u64 },
        Cancel { which: usize },
        Advance { nanos: u64, budget: usize },
    }

    fn step() -> impl Strategy<Value = Step> {
        // Spans from less than a tick to weeks, evenly over the orders of magnitude.
        let span = || (0..50u32, any::<u64>()).prop_map(|(bits, noise)| noise & ((1 << bits) - 1));
        prop_oneof![
            3 => span().prop_map(|after_nanos| Step::Schedule { after_nanos }),
            1 => any::<usize>().prop_map(|which| Step::Cancel { which }),
            2 => (span(), prop_oneof![1..4usize, Just(usize::MAX)]).prop_map(|(nanos, budget)| Step::Advance { nanos, budget }),
        ]
    }

    /// The model: deadlines in ticks, as a sorted map.
    struct Model {
        due: BTreeMap<(u64, u32), TimerId>,
        now: u64,
    }

    impl Model {
        fn expire(&mut self, wheel: &mut Wheel<u32>, budget: usize) {
            let (mut last, mut tokens) = (0, Vec::new());
            let count = wheel.expire(Instant::from_nanos(self.now), budget, |token| tokens.push(token));
            assert!(count <= budget && count == tokens.len());
            for token in tokens {
                let key = *self.due.keys().find(|key| key.1 == token).expect("expired once, and never after a cancel");
                assert!(key.0 * TICK <= self.now, "early");
                assert!(key.0 >= last, "out of order");
                last = key.0;
                self.due.remove(&key);
            }
            let left = self.due.range(..=(self.now / TICK, u32::MAX)).count();
            assert!(budget < usize::MAX || left == 0, "{left} left behind");
        }
    }

    proptest! {
        #[test]
        fn behaves_like_a_sorted_map(start in 0..u64::MAX / 4, steps in proptest::collection::vec(step(), 1..200)) {
            let mut wheel = Wheel::new(Instant::from_nanos(start), 40, Duration::from_nanos(TICK));
            let mut model = Model { due: BTreeMap::new(), now: start };
            for (token, step) in (0u32..).zip(steps) {
                match step {
                    Step::Schedule { after_nanos } => {
                        let at = model.now + after_nanos;
                        match wheel.schedule(Instant::from_nanos(at), token) {
                            Some(id) => drop(model.due.insert((at.div_ceil(TICK), token), id)),
                            None => prop_assert_eq!(model.due.len(), 40),
                        }
                    }
                    Step::Cancel { which } => {
                        if let Some(key) = model.due.keys().nth(which % model.due.len().max(1)).copied() {
                            let id = model.due.remove(&key).unwrap();
                            prop_assert!(wheel.cancel(id));
                            prop_assert!(!wheel.cancel(id), "twice");
                        }
                    }
                    Step::Advance { nanos, budget } => {
                        model.now += nanos;
                        model.expire(&mut wheel, budget);
                    }
                }
                prop_assert_eq!(wheel.len(), model.due.len());
                let next = model.due.keys().next().map(|key| key.0 * TICK);
                let told = wheel.next_deadline().map(Instant::as_nanos);
                prop_assert_eq!(told.is_some(), next.is_some());
                prop_assert!(told <= next, "told {told:?}, next {next:?}");
            }
            // Following next_deadline alone leads to every timer: no wake-up is without progress.
            for _ in 0..40 * LEVELS {
                let Some(at) = wheel.next_deadline() else { break };
                model.now = model.now.max(at.as_nanos());
                model.expire(&mut wheel, usize::MAX);
            }
            prop_assert!(wheel.is_empty() && model.due.is_empty());
        }
    }

    #[test]
    fn a_timer_that_moves_expires_once() {
        let (mut wheel, mut timer) = (Wheel::new(Instant::ZERO, 1, Duration::from_millis(1)), None);
        wheel.stop(&mut timer);
        wheel.move_to(&mut timer, Instant::from_millis(5), 'a');
        wheel.move_to(&mut timer, Instant::from_millis(9), 'b');
        assert_eq!(wheel.expire(Instant::from_millis(8), 9, |_| ()), 0);
        assert_eq!(wheel.expire(Instant::from_millis(9), 9, |token| assert_eq!(token, 'b')), 1);
        wheel.move_to(&mut timer, Instant::from_millis(12), 'c');
        wheel.stop(&mut timer);
        assert!(timer.is_none() && wheel.is_empty());
    }

    #[test]
    fn a_long_idle_time_is_one_jump() {
        let mut wheel = Wheel::new(Instant::ZERO, 4, Duration::from_micros(1));
        wheel.schedule(Instant::from_millis(600_000), 'a').unwrap();
        let mut wakes = 0;
        let mut now = Instant::ZERO;
        while let Some(at) = wheel.next_deadline() {
            (now, wakes) = (at, wakes + 1);
            wheel.expire(now, 10, |token| assert_eq!(token, 'a'));
        }
        assert_eq!(now, Instant::from_millis(600_000));
        assert!(wakes <= LEVELS, "{wakes} wake-ups");
    }

    #[test]
    fn a_full_slot_is_taken_in_bounded_pieces() {
        let mut wheel = Wheel::new(Instant::ZERO, 1000, Duration::from_millis(1));
        for token in 0..1000 {
            // All in one slot of the second level, one tick each of the first.
            wheel.schedule(Instant::from_millis(64 + token % 64), token).unwrap();
        }
        assert_eq!(wheel.schedule(Instant::ZERO, 1), None, "full");
        let (mut total, mut calls) = (0, 0);
        while total < 1000 {
            let count = wheel.expire(Instant::from_millis(200), 10, |_| ());
            assert!(count <= 10);
            assert_eq!(wheel.next_deadline().is_some(), total + count < 1000);
            (total, calls) = (total + count, calls + 1);
            assert!(calls <= 300, "no progress");
        }
        assert!(wheel.schedule(Instant::FAR_FUTURE, 1).is_some());
        assert_eq!(wheel.expire(Instant::from_millis(1 << 40), 10, |_| ()), 0);
    }
}
