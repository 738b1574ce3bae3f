//! What a connection keeps of a loss: the reduction that is under way, and the evidence against it. Most connections never have one, so
//! it stands in a slab of the lane from the first retransmission or reduction until nothing can be undone.

use super::super::congestion::Prior;
use super::super::prr::Prr;
use super::super::slab::{NONE, Slab};
use super::super::undo::Undo;

/// One reaction to congestion.
#[derive(Clone, Copy, Debug, Default)]
pub struct Episode {
    pub(super) prr: Prr,
    pub(super) undo: Undo,
    /// What the reduction took, while it may be given back.
    pub(super) prior: Option<Prior>,
}

/// The episodes of all connections of a lane, one for each at most.
pub type EpisodeSlab = Slab<Episode>;

/// A connection's episode, if it has one.
#[derive(Clone, Copy, Debug)]
pub(super) struct EpisodeId(u32);

impl Default for EpisodeId {
    fn default() -> Self {
        Self(NONE)
    }
}

impl EpisodeId {
    /// True if there is one.
    #[inline]
    pub(super) fn is_begun(self) -> bool {
        self.0 != NONE
    }

    /// The evidence; none without an episode.
    #[inline]
    pub(super) fn undo(self, slab: &EpisodeSlab) -> Undo {
        slab.get(self.0).map_or_else(Undo::default, |node| node.item.undo)
    }

    /// The episode that is under way.
    #[inline]
    pub(super) fn get_mut(self, slab: &mut EpisodeSlab) -> Option<&mut Episode> {
        slab.get_mut(self.0).map(|node| &mut node.item)
    }

    /// The episode that is under way, or a new one. `None` only if the slab has less room than there are connections: then nothing is
    /// undone, and the window waits where it is.
    pub(super) fn begin<'s>(&mut self, slab: &'s mut EpisodeSlab) -> Option<&'s mut Episode> {
        if self.0 == NONE {
            self.0 = slab.acquire(Episode::default(), NONE)?;
        }
        self.get_mut(slab)
    }

    /// The episode is over.
    pub(super) fn end(&mut self, slab: &mut EpisodeSlab) {
        if self.0 != NONE {
            slab.release(std::mem::replace(&mut self.0, NONE));
        }
    }
}
