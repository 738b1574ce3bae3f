//! Listening, and its end (`inet_csk_listen_start`, `inet_csk_listen_stop`).

use crate::Instant;
use crate::net::Net;
use crate::tcp::commons::Fate;
use crate::tcp::connection::Connection;
use crate::tcp::listener::Listener;
use crate::tcp::transport::Tcp;

impl Tcp {
    /// Enters a listener; that its address may be used was checked.
    pub fn listen(&mut self, mut listener: Listener) -> u32 {
        super::fast_open::tune_queue(self.commons.settings.fastopen, &mut listener);
        self.listeners.insert(listener)
    }

    /// Takes a listener out: half-open connections are forgotten, those that wait for a slot are reset. Bounded by the
    /// tables.
    pub fn unlisten(&mut self, net: &mut Net, now: Instant, index: u32) -> Option<Listener> {
        let orphaned: Vec<_> =
            self.table.requests.iter().filter(|(_, request)| request.listener == index).map(|(at, _)| at).collect();
        for request in orphaned {
            self.remove_request(request);
        }
        let listener = self.listeners.remove(index)?;
        for id in &listener.waiting {
            self.with(net, now, None, *id, |connection, ctx| {
                connection.listener = None;
                connection.send_reset(ctx);
                Fate::Gone
            });
        }
        self.commons.fast_open_done.retain(|other| *other != index);
        if listener.fast_open_pending > 0 {
            self.forget_listener(index);
        }
        Some(listener)
    }

    /// A fast open that was accepted goes on; nobody counts it any more.
    fn forget_listener(&mut self, index: u32) {
        let of_it = |connection: &Connection| connection.listener == Some(index);
        let all = self.table.connections.iter();
        let ids: Vec<_> = all.filter(|(_, connection)| of_it(connection)).map(|(_, found)| found.id).collect();
        for id in ids {
            if let Some(connection) = self.table.get_mut(id) {
                connection.listener = None;
            }
        }
    }
}
