//! The neighbour table: fixed capacity, found by interface and address, recycled when full.

use super::neighbour::Neighbour;
use crate::limits::NEIGHBOURS_MAX;
use crate::route::InterfaceId;
use hashbrown::HashMap;
use std::net::Ipv4Addr;
use xmit_nic::Instant;

/// Names an entry of the table. Goes stale when the entry is recycled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighbourId {
    pub(super) index: u16,
    pub(super) generation: u32,
}

/// All neighbours of a lane.
#[derive(Debug)]
pub struct Neighbours {
    slots: Vec<Slot>,
    by_address: HashMap<(InterfaceId, Ipv4Addr), u16, foldhash::fast::RandomState>,
    /// Where the search for a recyclable entry goes on.
    cursor: usize,
    /// Packets waiting for all neighbours together.
    pub(super) pending_total: usize,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    neighbour: Neighbour,
}

/// Entries looked at when the table is full, before giving up.
const RECYCLE_SCAN: usize = 64;

impl Neighbours {
    /// An empty table; all its memory is taken here.
    pub fn new() -> Self {
        Self {
            slots: Vec::with_capacity(NEIGHBOURS_MAX),
            by_address: HashMap::with_capacity_and_hasher(NEIGHBOURS_MAX, foldhash::fast::RandomState::default()),
            cursor: 0,
            pending_total: 0,
        }
    }

    /// How many neighbours are known.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// True if none is known.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Every entry, for operators.
    pub fn iter(&self) -> impl Iterator<Item = &Neighbour> {
        self.slots.iter().map(|slot| &slot.neighbour)
    }

    /// The entry for `address` on `interface`.
    pub fn lookup(&self, interface: InterfaceId, address: Ipv4Addr) -> Option<NeighbourId> {
        let index = *self.by_address.get(&(interface, address))?;
        Some(NeighbourId { index, generation: self.slots.get(usize::from(index))?.generation })
    }

    /// The entry for `address` on `interface`, made if absent; `None` when the table is full of entries in use.
    pub fn lookup_or_create(&mut self, now: Instant, interface: InterfaceId, address: Ipv4Addr) -> Option<NeighbourId> {
        if let Some(id) = self.lookup(interface, address) {
            return Some(id);
        }
        let index = if self.slots.len() < NEIGHBOURS_MAX {
            self.slots.push(Slot { generation: 0, neighbour: Neighbour::new(interface, address, now) });
            self.slots.len() - 1
        } else {
            let index = self.recyclable()?;
            self.replace(index, Neighbour::new(interface, address, now));
            index
        };
        self.by_address.insert((interface, address), index as u16);
        Some(NeighbourId { index: index as u16, generation: self.slots[index].generation })
    }

    /// The entry `id`, unless it was recycled.
    #[inline]
    pub fn get(&self, id: NeighbourId) -> Option<&Neighbour> {
        let slot = self.slots.get(usize::from(id.index))?;
        (slot.generation == id.generation).then_some(&slot.neighbour)
    }

    /// The entry `id`, to change.
    #[inline]
    pub(super) fn get_mut(&mut self, id: NeighbourId) -> Option<&mut Neighbour> {
        let slot = self.slots.get_mut(usize::from(id.index))?;
        (slot.generation == id.generation).then_some(&mut slot.neighbour)
    }

    /// The present identity of slot `index`, for timers.
    pub(super) fn id_at(&self, index: u16) -> Option<NeighbourId> {
        Some(NeighbourId { index, generation: self.slots.get(usize::from(index))?.generation })
    }

    /// All identities, for sweeps over the table.
    pub(super) fn ids(&self) -> impl Iterator<Item = NeighbourId> + use<> {
        let generations: Vec<u32> = self.slots.iter().map(|slot| slot.generation).collect();
        generations.into_iter().enumerate().map(|(i, generation)| NeighbourId { index: i as u16, generation })
    }

    /// Bounded by [`RECYCLE_SCAN`].
    fn recyclable(&mut self) -> Option<usize> {
        for _ in 0..RECYCLE_SCAN {
            self.cursor = (self.cursor + 1) % self.slots.len();
            let neighbour = &self.slots[self.cursor].neighbour;
            if neighbour.is_recyclable() && neighbour.timer.is_none() {
                return Some(self.cursor);
            }
        }
        None
    }

    fn replace(&mut self, index: usize, neighbour: Neighbour) {
        let slot = &mut self.slots[index];
        self.by_address.remove(&(slot.neighbour.interface, slot.neighbour.address));
        slot.generation = slot.generation.wrapping_add(1);
        slot.neighbour = neighbour;
    }
}

impl Default for Neighbours {
    fn default() -> Self {
        Self::new()
    }
}
