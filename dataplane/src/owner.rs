//! Whose socket it is.

/// The session's place on the lane and the slot in its region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The session's place on the lane, not its name.
    pub session: u32,
    /// The socket's slot in the session's region.
    pub slot: u32,
}
