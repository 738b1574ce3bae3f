//! A lane's bounded store of entries that connections string into lists, so that an idle connection holds none.
//!
//! ```text
//!   entries   | a | - | b | - | c |        one link each: to the next of its list,
//!               '------>'------>'          or, of a free one, to the next free one
//! ```
//!
//! Invariants: an entry is free or in exactly one list; at most `max` were ever made, in memory that is reserved at the start and touched
//! when used; nothing is allocated after construction, and a full slab refuses.

use std::ops::{Index, IndexMut};

/// Ends a list: no entry has this index.
pub const NONE: u32 = u32::MAX;

/// An entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node<T> {
    /// What its owner keeps in it.
    pub item: T,
    /// The next of its list, or [`NONE`].
    pub next: u32,
}

/// The entries of all lists of a kind.
#[derive(Debug)]
pub struct Slab<T> {
    nodes: Vec<Node<T>>,
    /// The first free one.
    free: u32,
    in_use: usize,
    max: usize,
}

impl<T> Slab<T> {
    /// Room for `max` entries.
    pub fn new(max: usize) -> Self {
        let max = max.min(NONE as usize);
        Self { nodes: Vec::with_capacity(max), free: NONE, in_use: 0, max }
    }

    /// How many are in use.
    pub fn in_use(&self) -> usize {
        self.in_use
    }

    /// True if there is a free one.
    pub fn has_room(&self) -> bool {
        self.in_use < self.max
    }

    /// Takes a free one for `item`, to stand before `next` in its list. `None` if all are in use.
    pub(super) fn acquire(&mut self, item: T, next: u32) -> Option<u32> {
        let node = Node { item, next };
        let index = if self.free != NONE {
            let index = self.free;
            self.free = std::mem::replace(&mut self[index], node).next;
            index
        } else if self.nodes.len() < self.max {
            self.nodes.push(node);
            (self.nodes.len() - 1) as u32
        } else {
            return None;
        };
        self.in_use += 1;
        Some(index)
    }

    /// Makes it free; answers what followed it. Nothing may lead to it any more.
    pub(super) fn release(&mut self, index: u32) -> u32 {
        let free = std::mem::replace(&mut self.free, index);
        self.in_use -= 1;
        std::mem::replace(&mut self[index].next, free)
    }

    /// The one at `index`; `None` for [`NONE`].
    #[inline]
    pub(super) fn get(&self, index: u32) -> Option<&Node<T>> {
        self.nodes.get(index as usize)
    }

    /// The one at `index`, to change; `None` for [`NONE`].
    #[inline]
    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut Node<T>> {
        self.nodes.get_mut(index as usize)
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = Node<T>;
    #[inline]
    fn index(&self, index: u32) -> &Node<T> {
        &self.nodes[index as usize]
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    #[inline]
    fn index_mut(&mut self, index: u32) -> &mut Node<T> {
        &mut self.nodes[index as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_list_keeps_its_entries_while_others_come_and_go() {
        let mut slab = Slab::new(3);
        let last = slab.acquire('c', NONE).unwrap();
        let other = slab.acquire('x', NONE).unwrap();
        let first = slab.acquire('a', last).unwrap();
        assert_eq!(slab.acquire('y', NONE), None, "it is full");
        assert_eq!(slab.release(other), NONE);
        let middle = slab.acquire('b', slab[first].next).unwrap();
        assert_eq!(middle, other, "a place is used again before a new one is touched");
        slab[first].next = middle;
        let mut at = first;
        let list = std::iter::from_fn(|| {
            let node = slab.get(at)?;
            at = node.next;
            Some(node.item)
        });
        assert_eq!(list.collect::<String>(), "abc");
        assert_eq!((slab.release(first), slab.in_use()), (middle, 2));
    }

    #[test]
    fn nothing_stands_behind_the_end_of_a_list() {
        let mut slab = Slab::new(4);
        assert!(slab.get(NONE).is_none() && slab.get_mut(NONE).is_none());
        slab.acquire((), NONE).unwrap();
        assert!(slab.get(NONE).is_none() && slab.get_mut(NONE).is_none());
    }

    proptest! {
        #[test]
        fn an_entry_has_one_owner(steps in proptest::collection::vec((any::<bool>(), 0..8usize), 1..100)) {
            let (mut slab, mut held) = (Slab::new(5), Vec::new());
            for (number, (take, which)) in steps.into_iter().enumerate() {
                if take {
                    prop_assert_eq!(slab.has_room(), held.len() < 5);
                    match slab.acquire(number, number as u32) {
                        Some(index) => held.push((index, number)),
                        None => prop_assert_eq!(held.len(), 5),
                    }
                } else if which < held.len() {
                    let (index, number) = held.swap_remove(which);
                    prop_assert_eq!(slab.release(index), number as u32);
                }
                prop_assert_eq!(slab.in_use(), held.len());
                for (index, number) in &held {
                    prop_assert_eq!(slab[*index], Node { item: *number, next: *number as u32 });
                }
            }
        }
    }
}
