//! The forwarding table: longest prefix match by a poptrie (Asai and Ohara, SIGCOMM 2015).
//!
//! ```text
//!  address:  | direct (6, 12 or 18 bits) | 6 | 6 | 6 ...        36 bits, the last four zero
//!  direct[first bits] -> a leaf, or a node
//!  node:  children  one bit per slot that has a child      child = child_base + ones up to the slot - 1
//!         runs      one bit per first slot of a run         leaf  = leaf_base + ones up to the slot - 1
//!  leaf:  the route of the longest prefix, or the group of its routes: a range of `routes`
//! ```
//!
//! Invariants:
//! * leaves are pushed down: the slot where a walk ends holds the answer, nothing is looked at twice;
//! * a walk takes at most six steps; nothing changes once built;
//! * the routes of a leaf are sorted: this host's first, then by type of service (0 last), then by metric.

use super::{Prefix, Route, RouteKind};
use std::net::Ipv4Addr;

const STRIDE: u32 = 6;
/// Addresses are widened to a multiple of the stride.
const KEY_BITS: u32 = 36;
/// Marks an entry of the direct table that is a leaf, not a node.
const LEAF: u32 = 1 << 31;
/// Marks a leaf that is an index into `groups`; others are the index of their only route, which is one step nearer.
const GROUP: u32 = 1 << 30;
/// The leaf of destinations without a route: the first group, which is empty.
const NO_ROUTE: u32 = GROUP;

#[derive(Clone, Copy, Debug, Default)]
struct Node {
    children: u64,
    runs: u64,
    child_base: u32,
    leaf_base: u32,
}

/// The routes of a prefix that has several: a range of `Fib::routes`.
#[derive(Clone, Copy, Debug, Default)]
struct Group {
    start: u32,
    len: u32,
}

/// A forwarding table.
#[derive(Debug)]
pub struct Fib {
    direct_bits: u32,
    direct: Vec<u32>,
    nodes: Vec<Node>,
    leaves: Vec<u32>,
    groups: Vec<Group>,
    routes: Vec<Route>,
}

impl Default for Fib {
    fn default() -> Self {
        Self::build([])
    }
}

impl Fib {
    /// A table of `routes`, in any order. Host parts of their prefixes do not matter; repeated routes count once.
    pub fn build(routes: impl IntoIterator<Item = Route>) -> Self {
        let mut sorted: Vec<_> =
            routes.into_iter().map(|route| Route { prefix: route.prefix.canonical(), ..route }).collect();
        sorted.sort_by_key(|route| (route.prefix, rank(route)));
        sorted.dedup();
        let direct_bits = direct_bits(sorted.len());
        let mut fib = Self {
            direct_bits,
            direct: vec![LEAF | NO_ROUTE; 1 << direct_bits],
            nodes: Vec::new(),
            leaves: Vec::new(),
            groups: vec![Group::default()],
            routes: Vec::with_capacity(sorted.len()),
        };
        let prefixes = fib.add_routes(&sorted);
        fib.fill_direct(&prefixes);
        fib
    }

    /// The route to `destination` for packets of no special type of service: the first of equals.
    #[inline]
    pub fn lookup(&self, destination: Ipv4Addr) -> Option<&Route> {
        self.lookup_all(destination).iter().find(|route| route.tos == 0)
    }

    /// Every route of the longest prefix that contains `destination`, best first. A prefix whose routes are all for
    /// some type of service is followed by the routes of the prefix around it.
    #[inline]
    pub fn lookup_all(&self, destination: Ipv4Addr) -> &[Route] {
        let leaf = self.walk(destination.to_bits());
        let Group { start, len } =
            if leaf & GROUP == 0 { Group { start: leaf, len: 1 } } else { self.groups[(leaf & !GROUP) as usize] };
        &self.routes[start as usize..(start + len) as usize]
    }

    /// The route to `destination`, chosen by the flow's hash where several are equal. Linux: `fib_select_path`.
    #[inline]
    pub fn select(&self, destination: Ipv4Addr, hash: u32) -> Option<&Route> {
        self.select_tos(destination, 0, hash)
    }

    /// As [`Fib::select`] for packets of type of service `tos`: routes for it go before routes for all.
    #[inline]
    pub fn select_tos(&self, destination: Ipv4Addr, tos: u8, hash: u32) -> Option<&Route> {
        let all = self.lookup_all(destination);
        let first = all.iter().position(|route| route.tos == tos || route.tos == 0)?;
        let rest = &all[first..];
        let best = (rest[0].prefix, rank(&rest[0]));
        let equals = rest.iter().take_while(|route| (route.prefix, rank(route)) == best).count();
        // The high part of the product: an even choice without division.
        Some(&rest[((u64::from(hash) * equals as u64) >> 32) as usize])
    }

    /// All routes, by prefix.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Bytes of memory behind the table.
    pub fn memory_bytes(&self) -> usize {
        size_of_val(&self.direct[..])
            + size_of_val(&self.nodes[..])
            + size_of_val(&self.leaves[..])
            + size_of_val(&self.groups[..])
            + size_of_val(&self.routes[..])
    }

    /// The leaf of the longest prefix that contains `address`. Bounded by six steps.
    #[inline]
    fn walk(&self, address: u32) -> u32 {
        let key = u64::from(address) << (KEY_BITS - 32);
        let mut shift = KEY_BITS - self.direct_bits;
        let mut entry = self.direct[(key >> shift) as usize];
        while entry & LEAF == 0 {
            shift -= STRIDE;
            let slot = (key >> shift) & 63;
            let node = &self.nodes[entry as usize];
            let up_to_slot = u64::MAX >> (63 - slot);
            if node.children >> slot & 1 == 0 {
                return self.leaves[(node.leaf_base + (node.runs & up_to_slot).count_ones() - 1) as usize];
            }
            entry = node.child_base + (node.children & up_to_slot).count_ones() - 1;
        }
        entry & !LEAF
    }

    /// Enters the routes; answers the prefixes, still in order, with their leaves.
    fn add_routes(&mut self, sorted: &[Route]) -> Vec<(Prefix, u32)> {
        let mut prefixes = Vec::new();
        // The prefixes around the present one, outermost first.
        let mut around: Vec<(Prefix, Group)> = Vec::new();
        for routes in sorted.chunk_by(|a, b| a.prefix == b.prefix) {
            let prefix = routes[0].prefix;
            while around.last().is_some_and(|(outer, _)| !outer.contains(prefix.addr())) {
                around.pop();
            }
            let start = self.routes.len();
            self.routes.extend(routes);
            if let (Some((_, outer)), true) = (around.last(), routes.iter().all(|route| route.tos != 0)) {
                self.routes.extend_from_within(outer.start as usize..(outer.start + outer.len) as usize);
            }
            let group = Group { start: start as u32, len: (self.routes.len() - start) as u32 };
            prefixes.push((prefix, self.add_group(group)));
            around.push((prefix, group));
        }
        prefixes
    }

    /// The leaf for a range of routes.
    fn add_group(&mut self, group: Group) -> u32 {
        if group.len == 1 {
            return group.start;
        }
        self.groups.push(group);
        GROUP | (self.groups.len() - 1) as u32
    }

    fn fill_direct(&mut self, prefixes: &[(Prefix, u32)]) {
        let mut slots = vec![NO_ROUTE; self.direct.len()];
        let deeper = paint(&mut slots, 0, self.direct_bits, prefixes);
        for (entry, leaf) in self.direct.iter_mut().zip(&slots) {
            *entry = LEAF | *leaf;
        }
        for (slot, inside) in deeper {
            let node = self.nodes.len() as u32;
            self.direct[slot] = node;
            self.nodes.push(Node::default());
            self.fill_node(node, self.direct_bits, slots[slot], inside);
        }
    }

    /// Fills `node`, whose slots divide the bits behind the first `depth`; `around` is the leaf of the prefix that
    /// surrounds them all. Recursion bounded by six levels.
    fn fill_node(&mut self, node: u32, depth: u32, around: u32, prefixes: &[(Prefix, u32)]) {
        let mut slots = [around; 1 << STRIDE];
        let deeper = paint(&mut slots, depth, STRIDE, prefixes);
        let children = deeper.iter().fold(0u64, |bits, (slot, _)| bits | 1 << slot);
        let (leaf_base, child_base) = (self.leaves.len() as u32, self.nodes.len() as u32);
        let mut runs = 0;
        for (slot, leaf) in slots.iter().enumerate().filter(|(slot, _)| children >> slot & 1 == 0) {
            if runs == 0 || self.leaves.last() != Some(leaf) {
                runs |= 1 << slot;
                self.leaves.push(*leaf);
            }
        }
        self.nodes[node as usize] = Node { children, runs, child_base, leaf_base };
        self.nodes.resize(self.nodes.len() + deeper.len(), Node::default());
        for (child, (slot, inside)) in (child_base..).zip(deeper) {
            self.fill_node(child, depth + STRIDE, slots[slot], inside);
        }
    }
}

/// Bits of the direct table: 256 bytes for the usual handful of routes, 16 KiB, or 1 MiB for a full table.
const fn direct_bits(routes: usize) -> u32 {
    match routes {
        0..64 => 6,
        64..16_384 => 12,
        _ => 18,
    }
}

/// The order of routes of one prefix. Equal ranks share the traffic.
fn rank(route: &Route) -> (bool, u8, u32) {
    let here = matches!(route.kind, RouteKind::Local | RouteKind::Broadcast);
    (!here, u8::MAX - route.tos, route.metric)
}

/// Prefixes that end below one slot, with the slot.
type Deeper<'p> = Vec<(usize, &'p [(Prefix, u32)])>;

/// Writes the prefixes that end within the `bits` bits behind `depth` over the slots they cover, and answers the others
/// by slot. In the order of `prefixes` an outer one stands before those inside it, which so overwrite it.
fn paint<'p>(slots: &mut [u32], depth: u32, bits: u32, prefixes: &'p [(Prefix, u32)]) -> Deeper<'p> {
    let slot_of = |prefix: Prefix| {
        let key = u64::from(prefix.addr().to_bits()) << (KEY_BITS - 32);
        (key >> (KEY_BITS - depth - bits)) as usize & ((1 << bits) - 1)
    };
    let ends_here = |prefix: Prefix| u32::from(prefix.len()) <= depth + bits;
    for (prefix, leaf) in prefixes.iter().filter(|(prefix, _)| ends_here(*prefix)) {
        let (first, count) = (slot_of(*prefix), 1 << (depth + bits - u32::from(prefix.len())));
        slots[first..first + count].fill(*leaf);
    }
    let mut deeper = Vec::new();
    for inside in prefixes.chunk_by(|a, b| slot_of(a.0) == slot_of(b.0)) {
        // Those that end here start at the slot's first address and are shorter: they stand in front.
        let ended = inside.partition_point(|(prefix, _)| ends_here(*prefix));
        if ended < inside.len() {
            deeper.push((slot_of(inside[0].0), &inside[ended..]));
        }
    }
    deeper
}

#[cfg(test)]
#[path = "fib_tests.rs"]
mod tests;
