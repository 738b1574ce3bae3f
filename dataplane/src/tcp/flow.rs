//! A flow: who speaks with whom. The one file of `tcp` that knows the address family, beside the two that hand
//! segments to IP and take them from it.

use crate::wire::checksum::Sum;
use crate::wire::ipv4::Protocol;
use std::hash::{Hash, Hasher};
use std::net::{SocketAddr, SocketAddrV4};

/// Both ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Ours.
    pub local: SocketAddrV4,
    /// The peer's.
    pub remote: SocketAddrV4,
}

/// Two words instead of one write for each field: every segment that arrives is looked up by its flow.
impl Hash for Flow {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [local, remote] =
            [self.local, self.remote].map(|end| (u64::from(end.ip().to_bits()) << 16) | u64::from(end.port()));
        state.write_u64(local);
        state.write_u64(remote);
    }
}

impl Flow {
    /// The sum of the pseudo-header of a segment of `len` bytes, in either direction.
    #[inline]
    pub fn pseudo_header(&self, len: usize) -> Sum {
        Sum::pseudo_header(*self.local.ip(), *self.remote.ip(), Protocol::TCP.0, len as u16)
    }

    /// Ours, for keyed hashes.
    pub fn local_addr(&self) -> SocketAddr {
        SocketAddr::V4(self.local)
    }

    /// The peer's, for keyed hashes.
    pub fn remote_addr(&self) -> SocketAddr {
        SocketAddr::V4(self.remote)
    }
}
