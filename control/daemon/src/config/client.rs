//! `[client]`: who may connect, and how much one client may take.

use super::ByteSize;
use serde::Deserialize;

/// `[client]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Client {
    /// Client processes at once. Default 64.
    pub sessions_max: u32,
    /// Sockets of one client, 262,144 at most. Default 1024, as the usual limit of open files.
    pub sockets_max: u32,
    /// Bytes of each of a socket's two rings, a power of two. Default `"256KiB"`, about Linux's `rmem_default`.
    pub ring: ByteSize,
    /// Bytes of shared memory of one client, all its sockets together. Default `"256MiB"`.
    pub memory: ByteSize,
    /// Packets a second that one client may send; 0 (default) is no limit.
    pub packets_per_second: u64,
    /// Users who may connect, by number. Default: everybody who can open the socket.
    pub allowed_uids: Option<Vec<u32>>,
    /// Groups whose members may connect, by number, beside `allowed_uids`. Default: everybody.
    pub allowed_gids: Option<Vec<u32>>,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            sessions_max: 64,
            sockets_max: 1024,
            ring: ByteSize(256 << 10),
            memory: ByteSize(256 << 20),
            packets_per_second: 0,
            allowed_uids: None,
            allowed_gids: None,
        }
    }
}

impl Client {
    /// True if a process of user `uid` and group `gid` may connect. The daemon's own user always may.
    pub fn admits(&self, uid: u32, gid: u32, own_uid: u32) -> bool {
        let listed = |list: &Option<Vec<u32>>, id| list.as_ref().is_some_and(|ids| ids.contains(&id));
        let everybody = self.allowed_uids.is_none() && self.allowed_gids.is_none();
        everybody || uid == own_uid || listed(&self.allowed_uids, uid) || listed(&self.allowed_gids, gid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admission() {
        let open = Client::default();
        assert!(open.admits(1000, 1000, 0));
        let some = Client { allowed_uids: Some(vec![1000]), allowed_gids: Some(vec![50]), ..Client::default() };
        assert!(some.admits(1000, 9, 0) && some.admits(9, 50, 0) && some.admits(0, 0, 0));
        assert!(!some.admits(9, 9, 0));
        let none = Client { allowed_uids: Some(vec![]), ..Client::default() };
        assert!(!none.admits(1000, 1000, 0));
    }
}
