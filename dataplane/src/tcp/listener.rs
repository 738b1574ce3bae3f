//! A listening socket: its backlog, who waits in it, and the slots that its program granted (`struct
//! request_sock_queue`).

use super::config::Config;
use super::fastopen::FastOpenKeys;
use super::table::ConnectionId;
use crate::owner::Owner;
use hashbrown::HashMap;
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

/// One listener.
#[derive(Debug)]
pub struct Listener {
    /// Its address; the unspecified address hears all of ours.
    pub local: SocketAddrV4,
    /// Whose socket it is.
    pub owner: Owner,
    /// The most connections that wait to be accepted (`sk_max_ack_backlog`).
    pub backlog: u32,
    /// What its connections inherit.
    pub config: Arc<Config>,
    /// Keys of its cookies (`TCP_FASTOPEN_KEY`); `None`: the lane's.
    pub keys: Option<FastOpenKeys>,
    /// Half-open connections in the table.
    pub half_open: u32,
    /// Of these, those whose SYN-ACK was not sent again by its timer (`young`).
    pub young: u32,
    /// Connections begun by data whose handshake is not over.
    pub fast_open_pending: u32,
    /// Slots that the program granted for connections to come.
    pub grants: VecDeque<u32>,
    /// Slots of connections that were announced, at least of those that the program has not fetched.
    pub announced: VecDeque<u32>,
    /// Established connections that wait for a slot.
    pub waiting: VecDeque<ConnectionId>,
}

impl Listener {
    /// Of the socket `owner` on `local`, with nobody in it and no slot granted.
    pub fn new(local: SocketAddrV4, owner: Owner, backlog: u32, config: Arc<Config>) -> Self {
        Self {
            local,
            owner,
            backlog,
            config,
            keys: None,
            half_open: 0,
            young: 0,
            fast_open_pending: 0,
            grants: VecDeque::new(),
            announced: VecDeque::new(),
            waiting: VecDeque::new(),
        }
    }
}

/// Listeners of a lane by address (`inet_lhashfn`, `__inet_lookup_listener`).
#[derive(Debug, Default)]
pub struct Listeners {
    places: Vec<Option<Listener>>,
    free: Vec<u32>,
    by_address: HashMap<SocketAddrV4, Vec<u32>, foldhash::fast::RandomState>,
}

impl Listeners {
    /// Enters a listener; several on one address form a group (`SO_REUSEPORT`).
    pub fn insert(&mut self, listener: Listener) -> u32 {
        let index = self.free.pop().unwrap_or(self.places.len() as u32);
        if index as usize == self.places.len() {
            self.places.push(None);
        }
        self.by_address.entry(listener.local).or_default().push(index);
        self.places[index as usize] = Some(listener);
        index
    }

    /// Takes a listener out.
    pub fn remove(&mut self, index: u32) -> Option<Listener> {
        let listener = self.places.get_mut(index as usize)?.take()?;
        if let Some(group) = self.by_address.get_mut(&listener.local) {
            group.retain(|other| *other != index);
            if group.is_empty() {
                self.by_address.remove(&listener.local);
            }
        }
        self.free.push(index);
        Some(listener)
    }

    /// The listener for a SYN to `local`: one on the address before one on the port alone; of a group the one that `hash`, of
    /// the flow, falls on.
    pub fn lookup(&self, local: SocketAddrV4, hash: impl FnOnce() -> u64) -> Option<u32> {
        let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, local.port());
        let group = self.by_address.get(&local).or_else(|| self.by_address.get(&any))?;
        match group.as_slice() {
            [only] => Some(*only),
            group => group.get((hash() % group.len().max(1) as u64) as usize).copied(),
        }
    }

    /// True if somebody listens on exactly this address.
    pub fn has(&self, local: SocketAddrV4) -> bool {
        self.by_address.contains_key(&local)
    }

    /// The listener at `index`.
    pub fn get(&self, index: u32) -> Option<&Listener> {
        self.places.get(index as usize)?.as_ref()
    }

    /// The listener at `index`, to change anything but its address.
    pub fn get_mut(&mut self, index: u32) -> Option<&mut Listener> {
        self.places.get_mut(index as usize)?.as_mut()
    }

    /// All listeners with their places.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Listener)> {
        self.places.iter().enumerate().filter_map(|(index, entry)| Some((index as u32, entry.as_ref()?)))
    }
}
