//! Listening, and its end (`inet_csk_listen_start`, `inet_csk_listen_stop`).

use crate::Instant;
use crate::net::Net;
use crate::tcp::commons::Fate;
use crate::tcp::listener::Listener;
use crate::tcp::transport::Tcp;

impl Tcp {
    /// Enters a listener; that its address may be used was checked.
    pub fn listen(&mut self, listener: Listener) -> u32 {
        self.listeners.insert(listener)
    }

    /// Takes a listener out: half-open connections are forgotten, those that wait for a slot are reset. Bounded by the
    /// table of requests.
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
        // A fast open that was accepted goes on; nobody counts it any more.
        self.commons.fast_open_done.retain(|other| *other != index);
        Some(listener)
    }
}
