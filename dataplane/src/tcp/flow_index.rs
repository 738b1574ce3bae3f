//! Where a flow's object is: five bytes for each flow, so that the index of a hundred thousand connections fits a processor's cache.
//!
//! Owns places, not flows: the flow stands in the object at the place, where it is compared (`flow_of`), and whoever is looked up is
//! touched anyway. Seven bits of the hash stand beside each place, so that a stranger's object is touched for one flow in a hundred.
//! Room for all that may be there is reserved at the start and touched when used.

use super::flow::Flow;
use super::table::Place;
use hashbrown::HashTable;
use std::hash::BuildHasher;

/// A place in four bytes: what it is in the upper two bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Packed(u32);

const KIND_SHIFT: u32 = 30;

impl From<Place> for Packed {
    #[inline]
    fn from(place: Place) -> Self {
        let (kind, index) = match place {
            Place::Connection(index) => (0, index),
            Place::Request(index) => (1, index),
            Place::TimeWait(index) => (2, index),
        };
        Self((kind << KIND_SHIFT) | index)
    }
}

impl From<Packed> for Place {
    #[inline]
    fn from(packed: Packed) -> Self {
        let index = packed.0 & ((1 << KIND_SHIFT) - 1);
        match packed.0 >> KIND_SHIFT {
            0 => Self::Connection(index),
            1 => Self::Request(index),
            _ => Self::TimeWait(index),
        }
    }
}

/// The index of a lane.
#[derive(Debug)]
pub(super) struct FlowIndex {
    places: HashTable<Packed>,
    hasher: foldhash::quality::RandomState,
}

impl FlowIndex {
    /// The most objects of a kind.
    pub(super) const PLACES_MAX: usize = 1 << KIND_SHIFT;

    /// Room for `capacity` flows.
    pub(super) fn new(capacity: usize) -> Self {
        Self { places: HashTable::with_capacity(capacity), hasher: Default::default() }
    }

    /// Where `flow`'s object is.
    #[inline]
    pub(super) fn find(&self, flow: &Flow, flow_of: impl Fn(Place) -> Option<Flow>) -> Option<Place> {
        let is_it = |packed: &Packed| flow_of((*packed).into()) == Some(*flow);
        self.places.find(self.hasher.hash_one(flow), is_it).map(|packed| (*packed).into())
    }

    /// Where `flow`'s object is, if it has one, by its hash alone: the caller compares. Touches no object.
    #[inline]
    pub(super) fn guess(&self, flow: &Flow) -> Option<Place> {
        self.places.find(self.hasher.hash_one(flow), |_| true).map(|packed| (*packed).into())
    }

    /// Notes that the object of `flow`, which has none so far, is at `place`. It stands there already, as all others do.
    pub(super) fn insert(&mut self, flow: &Flow, place: Place, flow_of: impl Fn(Place) -> Option<Flow>) {
        let Self { places, hasher } = self;
        // Only called when removed entries have made the table untidy.
        let hash_of = |packed: &Packed| flow_of((*packed).into()).map_or(0, |flow| hasher.hash_one(flow));
        places.insert_unique(hasher.hash_one(flow), place.into(), hash_of);
    }

    /// Forgets that `flow`'s object is at `place`, if it is there.
    pub(super) fn remove(&mut self, flow: &Flow, place: Place) {
        let packed = Packed::from(place);
        if let Ok(entry) = self.places.find_entry(self.hasher.hash_one(flow), |known| *known == packed) {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use std::net::{Ipv4Addr, SocketAddrV4};
    use xmit_nic::rng::Rng;

    fn flow(port: u16) -> Flow {
        let end = |host, port| SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, host), port);
        Flow { local: end(1, 80), remote: end(2, port) }
    }

    #[test]
    fn places_are_packed_and_unpacked() {
        let last = FlowIndex::PLACES_MAX as u32 - 1;
        for place in
            [0, 7, last].into_iter().flat_map(|at| [Place::Connection(at), Place::Request(at), Place::TimeWait(at)])
        {
            assert_eq!(Place::from(Packed::from(place)), place);
        }
    }

    #[test]
    fn it_knows_what_a_map_of_flows_knows() {
        let (mut index, mut rng) = (FlowIndex::new(256), Rng::new(3));
        // The model: who is where, from either side.
        let (mut places, mut objects) = (HashMap::new(), HashMap::new());
        for _ in 0..50_000 {
            let port = rng.below(400) as u16;
            let flow = flow(port);
            match places.get(&port).copied() {
                Some(place) if rng.below(2) == 0 => {
                    index.remove(&flow, place);
                    places.remove(&port);
                    objects.remove(&Packed::from(place).0);
                }
                None if places.len() < 256 => {
                    let place =
                        [Place::Connection, Place::Request, Place::TimeWait][rng.below(3) as usize](port.into());
                    places.insert(port, place);
                    objects.insert(Packed::from(place).0, flow);
                    index.insert(&flow, place, |place| objects.get(&Packed::from(place).0).copied());
                }
                known => {
                    let found = index.find(&flow, |place| objects.get(&Packed::from(place).0).copied());
                    assert_eq!(found, known);
                    assert!(known.is_none() || index.guess(&flow).is_some());
                }
            }
        }
    }
}
