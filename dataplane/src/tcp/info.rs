//! `TCP_INFO` (`tcp_get_info`).

use super::commons::Commons;
use super::connection::Connection;
use crate::Instant;
use xmit_shared::session::TcpInfo;

impl Connection {
    /// The figures at `now`.
    pub fn info(&self, _commons: &Commons, _now: Instant) -> TcpInfo {
        TcpInfo::default()
    }
}
