//! What peers say before their connection has a ring: a program that is slow to make room for connections shall not cost their peers a
//! timeout for the first request.
//!
//! Linux queues data on a connection that nobody has accepted; here rings are the program's memory, and a connection without a granted
//! slot has none. So a lane lends it a block. Invariants: as many blocks as were made, at most one for a connection; a connection
//! that is placed or gone has none. Without a block, or beyond it, the peer sends again.

use super::table::ConnectionId;

/// Bytes of one connection: a request's first segments.
pub const BLOCK_BYTES: usize = 4096;
/// Blocks of a lane. Looked through one by one, while any is in use.
pub const BLOCKS_MAX: usize = 64;

/// The blocks of a lane.
#[derive(Debug)]
pub struct EarlyData {
    /// Who has the block, and how much of it is filled.
    holders: [Option<(ConnectionId, u16)>; BLOCKS_MAX],
    in_use: usize,
    bytes: Box<[u8]>,
}

impl Default for EarlyData {
    fn default() -> Self {
        // The kernel gives pages of it when they are first written.
        Self { holders: [None; BLOCKS_MAX], in_use: 0, bytes: vec![0; BLOCKS_MAX * BLOCK_BYTES].into_boxed_slice() }
    }
}

impl EarlyData {
    /// Keeps `data` behind what `id` has already. How much of it, from its start.
    pub fn keep(&mut self, id: ConnectionId, data: &[u8]) -> u32 {
        let Some(at) = self.place_of(id).or_else(|| self.holders.iter().position(Option::is_none)) else { return 0 };
        let len = self.holders[at].map_or(0, |(_, len)| usize::from(len));
        let block = &mut self.bytes[at * BLOCK_BYTES..][..BLOCK_BYTES];
        let taken = data.len().min(BLOCK_BYTES - len);
        block[len..len + taken].copy_from_slice(&data[..taken]);
        if taken > 0 {
            self.in_use += usize::from(self.holders[at].is_none());
            self.holders[at] = Some((id, (len + taken) as u16));
        }
        taken as u32
    }

    /// What `id` has sent so far; its block is free from now on.
    pub fn take(&mut self, id: ConnectionId) -> &[u8] {
        let Some(at) = self.place_of(id) else { return &[] };
        let len = self.holders[at].take().map_or(0, |(_, len)| usize::from(len));
        self.in_use -= 1;
        &self.bytes[at * BLOCK_BYTES..][..len]
    }

    /// How much `id` has sent so far.
    pub fn len_of(&self, id: ConnectionId) -> u32 {
        self.place_of(id).and_then(|at| self.holders[at]).map_or(0, |(_, len)| len.into())
    }

    /// Blocks in use.
    pub fn in_use(&self) -> usize {
        self.in_use
    }

    fn place_of(&self, id: ConnectionId) -> Option<usize> {
        if self.in_use == 0 {
            return None;
        }
        self.holders.iter().position(|holder| holder.is_some_and(|(holder, _)| holder == id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(index: usize) -> ConnectionId {
        ConnectionId { index: index as u32, generation: 1 }
    }

    #[test]
    fn a_connection_has_one_block_and_there_are_so_many() {
        let mut early = EarlyData::default();
        assert_eq!(early.len_of(id(0)), 0);
        assert_eq!(early.take(id(0)), b"");
        assert_eq!((early.keep(id(0), b"first "), early.keep(id(1), b"x"), early.keep(id(0), b"second")), (6, 1, 6));
        assert_eq!((early.in_use(), early.len_of(id(0))), (2, 12));
        assert_eq!(early.take(id(0)), b"first second");
        assert_eq!(early.take(id(0)), b"");
        assert_eq!(early.in_use(), 1);
        assert_eq!((early.keep(id(1), &[7; 2 * BLOCK_BYTES]), early.keep(id(1), b"more")), (BLOCK_BYTES as u32 - 1, 0));
        assert!((2..=BLOCKS_MAX).all(|other| early.keep(id(other), b"?") == 1));
        assert_eq!((early.in_use(), early.keep(id(0), b"late")), (BLOCKS_MAX, 0));
        assert_eq!(early.take(id(1)).len(), BLOCK_BYTES);
        assert_eq!(early.keep(id(0), b"late"), 4);
    }
}
