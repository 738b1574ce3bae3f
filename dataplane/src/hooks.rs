//! The five netfilter points. Empty chains cost one load and one branch.

use crate::drop::DropReason;
use crate::named::named_enum;
use crate::route::InterfaceId;

named_enum! {
    /// Where a packet can be looked at (`NF_INET_*`).
    pub enum Point {
        /// Arrived, before routing (`ip_rcv`).
        PreRouting,
        /// Addressed to this host (`ip_local_deliver`).
        LocalIn,
        /// Being routed through (`ip_forward`).
        Forward,
        /// Made by this host (`__ip_local_out`).
        LocalOut,
        /// About to leave (`ip_output`).
        PostRouting,
    }
}

/// What a hook decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookVerdict {
    /// Go on to the next hook.
    Accept,
    /// Drop the packet.
    Drop,
}

/// What a hook sees: the IP datagram and the interfaces known at that point.
#[derive(Clone, Copy, Debug)]
pub struct HookPacket<'a> {
    /// Header and payload.
    pub datagram: &'a [u8],
    /// Where it came in, if it did.
    pub input: Option<InterfaceId>,
    /// Where it goes out, if that is known.
    pub output: Option<InterfaceId>,
}

/// A function on a point.
pub type Hook = Box<dyn FnMut(&HookPacket<'_>) -> HookVerdict + Send>;

/// The chains of a lane, one per point, in order of registration.
#[derive(Default)]
pub struct Hooks {
    chains: [Vec<Hook>; Point::COUNT],
}

impl Hooks {
    /// Appends `hook` to the chain of `point`.
    pub fn register(&mut self, point: Point, hook: Hook) {
        self.chains[point.index()].push(hook);
    }

    /// Asks the chain of `point` (`nf_hook`). Bounded by the number of hooks registered.
    ///
    /// # Errors
    /// [`DropReason::HookDropped`] if a hook wants the packet dropped.
    #[inline]
    pub fn run(&mut self, point: Point, packet: &HookPacket<'_>) -> Result<(), DropReason> {
        let chain = &mut self.chains[point.index()];
        if chain.is_empty() {
            return Ok(());
        }
        let dropped = chain.iter_mut().any(|hook| hook(packet) == HookVerdict::Drop);
        if dropped { Err(DropReason::HookDropped) } else { Ok(()) }
    }
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.chains.iter().map(Vec::len)).finish()
    }
}
