//! What only the handshake needs of a connection, and what only the transfer after it needs: one place for both, because a
//! million idle connections have to fit.

use super::fastopen::ServerCookie;
use super::mtu_search::MtuSearch;

/// The part of a connection's life that it is in.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    /// The Fast Open cookie to show, kept while the SYN may have to be sent again.
    Handshake(Option<ServerCookie>),
    /// The search for the path's MTU.
    Transfer(MtuSearch),
}

impl Part {
    /// The cookie to show.
    pub fn cookie(&self) -> Option<ServerCookie> {
        if let Self::Handshake(cookie) = self { *cookie } else { None }
    }

    /// The search; before there is one, what is known without it: nothing.
    pub fn mtu_search(&self) -> MtuSearch {
        if let Self::Transfer(search) = self { *search } else { MtuSearch::NEW }
    }

    /// The search, if the handshake is over.
    pub fn mtu_search_mut(&mut self) -> Option<&mut MtuSearch> {
        if let Self::Transfer(search) = self { Some(search) } else { None }
    }
}

const _: () = assert!(size_of::<Part>() <= 20, "a cookie's place, rounded up");
