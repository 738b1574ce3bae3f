//! What the program asks of its connection.

use super::commons::{Ctx, Fate};
use super::connection::Connection;

impl Connection {
    /// Its slot is dirty.
    pub fn on_client(&mut self, _ctx: &mut Ctx<'_>) -> Fate {
        Fate::Lives
    }
    /// `SHUT_WR`.
    pub fn shutdown_write(&mut self, _ctx: &mut Ctx<'_>) -> Fate {
        Fate::Lives
    }
    /// `SHUT_RD`.
    pub fn shutdown_read(&mut self, _ctx: &mut Ctx<'_>) {}
    /// `tcp_close`.
    pub fn close(&mut self, _ctx: &mut Ctx<'_>) -> Fate {
        Fate::Lives
    }
    /// Ends it by a reset.
    pub fn abort(&mut self, _ctx: &mut Ctx<'_>) -> Fate {
        Fate::Lives
    }
}
