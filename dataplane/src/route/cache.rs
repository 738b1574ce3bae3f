//! The route cache of a lane: what sending to a destination needs, found without asking the table.
//!
//! ```text
//!  hash(key) -> set of four slots:  | key | generation | used | entry |
//! ```
//!
//! Invariants:
//! * an entry is only found under the generation it was made from, so a new snapshot empties the cache at no cost;
//! * fixed capacity: a new entry takes the place of one of its set, of those not used lately first;
//! * the hash is keyed, so that a peer cannot choose addresses that all fall into one set. It is MULTILINEAR (Lemire and
//!   Kaser 2014): for keys that nobody knows any two different route keys meet with the probability of chance. SipHash
//!   took three times as long as a whole lookup in a small table.

use super::InterfaceId;
use siphasher::sip::SipHasher13;
use std::hash::Hasher;
use std::net::Ipv4Addr;

/// Slots that a key may stand in.
const WAYS: usize = 4;

/// What a route depends on. Linux: `struct flowi4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RouteKey {
    /// Where the packet goes.
    pub destination: Ipv4Addr,
    /// Where it comes from; 0.0.0.0 if that is still to be chosen.
    pub source: Ipv4Addr,
    /// Its type of service.
    pub tos: u8,
    /// Where it arrived, or where the socket is bound to.
    pub interface: InterfaceId,
}

/// What the cache did so far. Linux: `/proc/net/stat/rt_cache`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Found.
    pub hits: u64,
    /// Not found, or made from an older snapshot.
    pub misses: u64,
    /// Entries of the present generation that had to make room.
    pub evictions: u64,
    /// Entries taken out by [`RouteCache::invalidate_destination`].
    pub invalidations: u64,
}

/// Where an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CachePlace {
    set: usize,
    way: usize,
}

#[derive(Clone, Debug)]
struct Slot<E> {
    key: RouteKey,
    generation: u64,
    /// Found since it was last passed over.
    used: bool,
    entry: E,
}

/// A cache of `E`, which is all that sending needs (next hop, port, MTU, Ethernet header).
#[derive(Clone, Debug)]
pub struct RouteCache<E> {
    /// One random factor per word of the key, and one to add.
    factors: [u64; 4],
    sets: Vec<[Option<Slot<E>>; WAYS]>,
    /// Counts insertions that found a full set: where the search for a victim starts.
    hand: usize,
    stats: CacheStats,
}

impl<E> RouteCache<E> {
    /// A cache for at least `capacity` entries (the next power of two), its hash keyed by `seed`: random numbers that
    /// no peer knows.
    pub fn new(capacity: usize, seed: [u64; 2]) -> Self {
        let sets = capacity.div_ceil(WAYS).max(1).next_power_of_two();
        let factor = |index: u8| {
            let mut hasher = SipHasher13::new_with_keys(seed[0], seed[1]);
            hasher.write_u8(index);
            hasher.finish()
        };
        Self {
            factors: [0, 1, 2, 3].map(factor),
            sets: std::iter::repeat_with(|| [const { None }; WAYS]).take(sets).collect(),
            hand: 0,
            stats: CacheStats::default(),
        }
    }

    /// The entry for `key`, if it was made from snapshot `generation`.
    #[inline]
    pub fn get(&mut self, key: &RouteKey, generation: u64) -> Option<&E> {
        let place = self.find(key, generation)?;
        self.entry(place)
    }

    /// Where the entry for `key` stands, if it was made from snapshot `generation`.
    #[inline]
    pub fn find(&mut self, key: &RouteKey, generation: u64) -> Option<CachePlace> {
        let set = self.set(key);
        for (way, slot) in self.sets[set].iter_mut().enumerate() {
            if let Some(slot) = slot.as_mut().filter(|slot| slot.key == *key && slot.generation == generation) {
                slot.used = true;
                self.stats.hits += 1;
                return Some(CachePlace { set, way });
            }
        }
        self.stats.misses += 1;
        None
    }

    /// What stands at `place`, until another entry takes it.
    #[inline]
    pub fn entry(&self, place: CachePlace) -> Option<&E> {
        self.sets.get(place.set)?.get(place.way)?.as_ref().map(|slot| &slot.entry)
    }

    /// Enters what was found out for `key` under snapshot `generation`, in place of an older entry for it.
    pub fn insert(&mut self, key: RouteKey, generation: u64, entry: E) -> CachePlace {
        let set = self.set(&key);
        let way = self.victim(set, &key, generation);
        self.sets[set][way] = Some(Slot { key, generation, used: false, entry });
        CachePlace { set, way }
    }

    /// Takes out every entry for packets to `destination`: after a redirect or a new path MTU. Bounded by the
    /// capacity, so its callers limit the rate.
    pub fn invalidate_destination(&mut self, destination: Ipv4Addr) {
        for slot in self.sets.iter_mut().flatten() {
            if slot.as_ref().is_some_and(|slot| slot.key.destination == destination) {
                *slot = None;
                self.stats.invalidations += 1;
            }
        }
    }

    /// What the cache did so far.
    pub fn stats(&self) -> CacheStats {
        self.stats
    }

    /// Entries that fit.
    pub fn capacity(&self) -> usize {
        self.sets.len() * WAYS
    }

    #[inline]
    fn set(&self, key: &RouteKey) -> usize {
        let [add, destination, source, rest] = self.factors;
        let sum = add
            .wrapping_add(destination.wrapping_mul(key.destination.to_bits().into()))
            .wrapping_add(source.wrapping_mul(key.source.to_bits().into()))
            .wrapping_add(rest.wrapping_mul(u64::from(key.tos) << 16 | u64::from(key.interface.0)));
        (sum >> 32) as usize & (self.sets.len() - 1)
    }

    /// The slot that a new entry takes: that of the same key, an empty or outdated one, one not used lately.
    fn victim(&mut self, set: usize, key: &RouteKey, generation: u64) -> usize {
        let slots = &mut self.sets[set];
        let same = slots.iter().position(|slot| slot.as_ref().is_some_and(|slot| slot.key == *key));
        let outdated = || slots.iter().position(|slot| slot.as_ref().is_none_or(|slot| slot.generation != generation));
        if let Some(way) = same.or_else(outdated) {
            return way;
        }
        self.stats.evictions += 1;
        self.hand = self.hand.wrapping_add(1);
        for step in 0..WAYS {
            let way = (self.hand + step) % WAYS;
            match &mut slots[way] {
                Some(slot) if slot.used => slot.used = false,
                _ => return way,
            }
        }
        self.hand % WAYS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn key(destination: u32) -> RouteKey {
        RouteKey { destination: destination.into(), source: Ipv4Addr::UNSPECIFIED, tos: 0, interface: InterfaceId(0) }
    }

    proptest! {
        /// A hit is always what was entered last for the key, under this generation and not invalidated since.
        #[test]
        fn never_answers_wrongly(seed: [u64; 2], steps in proptest::collection::vec((0..5u8, 0..40u32, any::<u32>()), 1..300)) {
            let mut cache = RouteCache::new(16, seed);
            let (mut model, mut generation) = (HashMap::new(), 0);
            for (step, destination, entry) in steps {
                match step {
                    0..=1 => {
                        cache.insert(key(destination), generation, entry);
                        model.insert(destination, (generation, entry));
                        prop_assert_eq!(cache.get(&key(destination), generation), Some(&entry), "just entered");
                    }
                    2 if entry % 8 == 0 => generation += 1,
                    3 if entry % 8 == 0 => {
                        cache.invalidate_destination(destination.into());
                        model.remove(&destination);
                    }
                    _ => {
                        let expected = model.get(&destination).filter(|(made, _)| *made == generation).map(|(_, entry)| entry);
                        let found = cache.get(&key(destination), generation);
                        prop_assert!(found.is_none() || found == expected, "{found:?} instead of {expected:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_part_of_the_key_counts() {
        let base = key(1);
        let mut cache = RouteCache::new(64, [1, 2]);
        cache.insert(base, 0, ());
        let others = [
            RouteKey { destination: 2.into(), ..base },
            RouteKey { source: 1.into(), ..base },
            RouteKey { tos: 8, ..base },
            RouteKey { interface: InterfaceId(1), ..base },
        ];
        assert!(others.iter().all(|other| cache.get(other, 0).is_none()));
        assert!(cache.get(&base, 1).is_none(), "another generation");
        assert!(cache.get(&base, 0).is_some());
        assert_eq!(cache.stats(), CacheStats { hits: 1, misses: 5, evictions: 0, invalidations: 0 });
    }

    #[test]
    fn entries_in_use_stay() {
        // One set: four entries, one of which is asked for between the arrivals of others.
        let mut cache = RouteCache::new(4, [3, 4]);
        assert_eq!(cache.capacity(), 4);
        cache.insert(key(0), 0, 0);
        for other in 1..100 {
            assert_eq!(cache.get(&key(0), 0), Some(&0), "after {other}");
            cache.insert(key(other), 0, other);
        }
        assert_eq!(cache.stats().evictions, 96);
    }

    #[test]
    fn the_seed_moves_the_sets() {
        let spread = |seed| {
            let cache = RouteCache::<()>::new(1024, seed);
            (0..100).map(|i| cache.set(&key(i))).collect::<Vec<_>>()
        };
        assert_ne!(spread([1, 2]), spread([3, 4]));
    }
}
