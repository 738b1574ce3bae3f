//! What happens when a timer expires.

use super::commons::{Ctx, Fate};
use super::connection::Connection;

impl Connection {
    pub(super) fn on_timers(&mut self, _ctx: &mut Ctx<'_>) -> Fate {
        Fate::Lives
    }
}
