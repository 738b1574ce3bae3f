//! One client process: its region, and the two ends of it.
//!
//! ```text
//!  region | header | lane 0: words, dirty bits, submissions, completions | lane 1 ... | slot words ... | buffers ... |
//! ```
//!
//! Owns the layout and the calls that cross it. A lane holds a [`LaneEnd`] for each session, the client one [`ClientEnd`].
//!
//! Invariants:
//! * the region is made and sealed by the daemon; its layout never changes, and each side computes it from its own copy;
//! * a submission is answered by exactly one completion, and is not taken before there is room for that;
//! * a slot belongs to one lane at a time: the one that its `Open`, or the `Grant` of it, was submitted to.
//!
//! `docs/shared-memory.md` is the ABI in words.

mod client_end;
mod lane_calls;
mod lane_end;
mod lane_stream;
mod layout;
mod op;
mod option;
mod quota;
mod slot_view;
#[cfg(test)]
mod stream_tests;
#[cfg(test)]
mod tests;

pub use crate::stream::{Accepted, Outgoing, StreamEvents, StreamFlags, TcpInfo};
pub use client_end::{
    ClientEnd, ClientLane, ClientRx, ClientShared, ClientSlot, ClientTx, SlotStatus, StreamReceiver, StreamSender,
};
pub use lane_end::LaneEnd;
pub use layout::{ABI_VERSION, ConfigError, LANES_MAX, SLOTS_MAX, SessionConfig};
pub use op::{Completion, How, Op, Submission, Transport};
pub use option::{CongestionName, SocketOption};
pub use slot_view::{SlotRecords, SlotStream};

use crate::doorbell::bell_pipe;
use crate::memory::{MapError, Memory, Outside};
use layout::Layout;
use quota::Quota;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use thiserror::Error;

/// The descriptors that a client needs to attach to its session.
#[derive(Debug)]
pub struct ClientFds {
    /// The sealed region.
    pub memory: OwnedFd,
    /// Readable when a lane rang for the client.
    pub bell: OwnedFd,
    /// Written by the client to wake a lane, one for each.
    pub lane_bells: Vec<OwnedFd>,
}

/// Why a session could not be made or attached to.
#[derive(Debug, Error)]
pub enum SessionError {
    /// The sizes asked for.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The region itself.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The header says something that this version does not accept.
    #[error("the region's header is not one of version {ABI_VERSION}: {0}; client and daemon must be of one version")]
    Header(&'static str),
    /// A part lies outside the region.
    #[error(transparent)]
    Outside(#[from] Outside),
    /// No descriptor or memory.
    #[error("making the session failed: {0}")]
    System(#[from] io::Error),
}

/// Makes a session: one end for each lane, and what the client needs.
///
/// # Errors
/// [`SessionError`] if the sizes are out of bounds or the kernel has no memory or descriptors left.
pub fn create(config: &SessionConfig) -> Result<(Vec<LaneEnd>, ClientFds), SessionError> {
    let layout = Layout::new(config)?;
    let (fd, memory) = Memory::sealed("xmit-session", layout.total())?;
    let (lanes, bell, lane_bells) = lane_ends(&memory, &layout)?;
    Ok((lanes, ClientFds { memory: fd, bell, lane_bells }))
}

/// Attaches to a session that the daemon made.
///
/// # Errors
/// [`SessionError`] if the region is not sealed, or not of this version, or does not fit its descriptors.
pub fn attach(fds: ClientFds) -> Result<ClientEnd, SessionError> {
    let memory = Memory::from_sealed(fds.memory.as_fd())?;
    let layout = Layout::read(&memory)?;
    if fds.lane_bells.len() != layout.config().lanes as usize {
        return Err(SessionError::Header("the number of lanes differs from the number of bells"));
    }
    ClientEnd::new(&memory, &layout, fds.bell, fds.lane_bells)
}

/// Both ends in one process, over plain memory: for tests, simulations and programs that embed the stack.
///
/// # Errors
/// As [`create`].
pub fn in_process(config: &SessionConfig) -> Result<(Vec<LaneEnd>, ClientEnd), SessionError> {
    let layout = Layout::new(config)?;
    let memory = Memory::anonymous(layout.total())?;
    let (lanes, bell, lane_bells) = lane_ends(&memory, &layout)?;
    Ok((lanes, ClientEnd::new(&memory, &layout, bell, lane_bells)?))
}

type Ends = (Vec<LaneEnd>, OwnedFd, Vec<OwnedFd>);

fn lane_ends(memory: &Arc<Memory>, layout: &Layout) -> Result<Ends, SessionError> {
    layout.write(memory)?;
    let (client_reads, lanes_write) = bell_pipe()?;
    let (mut lanes, mut lane_bells) = (Vec::new(), Vec::new());
    let config = layout.config();
    let quota = Arc::new(Quota::new(config.slots, config.memory_max));
    for lane in 0..layout.config().lanes {
        let (lane_reads, client_writes) = bell_pipe()?;
        lanes.push(LaneEnd::new(memory, layout, lane, lane_reads, lanes_write.try_clone()?, Arc::clone(&quota))?);
        lane_bells.push(client_writes);
    }
    Ok((lanes, client_reads, lane_bells))
}
