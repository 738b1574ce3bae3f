//! All connections of a lane: their places, and who has which flow (`tcp_hashinfo`).
//!
//! Owns connections, half-open requests and TIME_WAITs; one index leads from a flow to whichever of them it is
//! (`__inet_lookup_established` and the SYN queue in one probe). Listeners stand in their own map.
//!
//! Invariants: a flow is in the index exactly while its object is in its place; a place is used again only under a new
//! generation. Memory for the places is reserved at the start and touched when used.

use super::connection::Connection;
use super::flow::Flow;
use super::flow_index::FlowIndex;
use super::port_flows::PortFlows;
use super::request::Request;
use super::time_wait::TimeWait;

/// Names a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId {
    /// Its place.
    pub index: u32,
    /// How often the place was used before.
    pub generation: u32,
}

/// What a flow is at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A connection.
    Connection(u32),
    /// Half open: we sent a SYN-ACK.
    Request(u32),
    /// In TIME_WAIT.
    TimeWait(u32),
}

/// Objects in places that are used again.
#[derive(Debug)]
pub struct Places<T> {
    entries: Vec<Option<T>>,
    free: Vec<u32>,
    max: usize,
}

impl<T> Places<T> {
    /// Room for `max`; pages are touched when used.
    pub fn new(max: usize) -> Self {
        Self { entries: Vec::with_capacity(max), free: Vec::with_capacity(max), max }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True if there is no room for one more.
    pub fn is_full(&self) -> bool {
        self.len() >= self.max
    }

    /// Puts one in, made by `make` for its place. `None` if there is no room.
    pub fn insert(&mut self, make: impl FnOnce(u32) -> T) -> Option<u32> {
        if let Some(index) = self.free.pop() {
            self.entries[index as usize] = Some(make(index));
            return Some(index);
        }
        let index = self.entries.len();
        if index >= self.max {
            return None;
        }
        self.entries.push(Some(make(index as u32)));
        Some(index as u32)
    }

    /// Takes one out.
    pub fn remove(&mut self, index: u32) -> Option<T> {
        let taken = self.entries.get_mut(index as usize)?.take();
        if taken.is_some() {
            self.free.push(index);
        }
        taken
    }

    /// The one at `index`.
    #[inline]
    pub fn get(&self, index: u32) -> Option<&T> {
        self.entries.get(index as usize)?.as_ref()
    }

    /// The one at `index`, to change.
    #[inline]
    pub fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.entries.get_mut(index as usize)?.as_mut()
    }

    /// All of them with their places.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.entries.iter().enumerate().filter_map(|(index, entry)| Some((index as u32, entry.as_ref()?)))
    }
}

/// All flows of a lane.
#[derive(Debug)]
pub struct Table {
    flows: FlowIndex,
    /// Connections.
    pub connections: Places<Connection>,
    /// Half-open ones.
    pub requests: Places<Request>,
    /// Those in TIME_WAIT.
    pub time_waits: Places<TimeWait>,
    /// Connections and TIME_WAITs by local port.
    pub ports: PortFlows,
    generation: u32,
}

impl Table {
    /// Room for so many of each.
    pub fn new(connections: usize, requests: usize, time_waits: usize) -> Self {
        Self {
            flows: FlowIndex::new(connections + requests + time_waits),
            connections: Places::new(connections.min(FlowIndex::PLACES_MAX)),
            requests: Places::new(requests.min(FlowIndex::PLACES_MAX)),
            time_waits: Places::new(time_waits.min(FlowIndex::PLACES_MAX)),
            ports: PortFlows::default(),
            generation: 0,
        }
    }

    /// What `flow` is.
    #[inline]
    pub fn lookup(&self, flow: &Flow) -> Option<Place> {
        self.flows.find(flow, |place| self.flow_at(place))
    }

    /// What `flow` seems to be, without touching it: whoever asks compares. Never nothing for a flow that there is.
    #[inline]
    pub fn guess(&self, flow: &Flow) -> Option<Place> {
        self.flows.guess(flow)
    }

    #[inline]
    fn flow_at(&self, place: Place) -> Option<Flow> {
        flow_at(&self.connections, &self.requests, &self.time_waits, place)
    }

    /// Enters `flow`, whose object has its place.
    fn enter(&mut self, flow: &Flow, place: Place) {
        let Self { flows, connections, requests, time_waits, .. } = self;
        flows.insert(flow, place, |place| flow_at(connections, requests, time_waits, place));
    }

    /// Enters a connection, made by `make`. `None` if there is no room or the flow is taken.
    pub fn insert_connection(
        &mut self,
        flow: Flow,
        make: impl FnOnce(ConnectionId) -> Connection,
    ) -> Option<ConnectionId> {
        if self.lookup(&flow).is_some() {
            return None;
        }
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let index = self.connections.insert(|index| make(ConnectionId { index, generation }))?;
        self.enter(&flow, Place::Connection(index));
        self.ports.add(flow.local.port());
        Some(ConnectionId { index, generation })
    }

    /// Takes a connection out.
    pub fn remove_connection(&mut self, index: u32) -> Option<Connection> {
        let connection = self.connections.remove(index)?;
        self.ports.remove(connection.flow.local.port());
        self.flows.remove(&connection.flow, Place::Connection(index));
        Some(connection)
    }

    /// Enters a half-open connection. `None` if there is no room or the flow is taken.
    pub fn insert_request(&mut self, request: Request) -> Option<u32> {
        let flow = request.flow;
        if self.lookup(&flow).is_some() {
            return None;
        }
        let index = self.requests.insert(|_| request)?;
        self.enter(&flow, Place::Request(index));
        Some(index)
    }

    /// Takes a half-open connection out.
    pub fn remove_request(&mut self, index: u32) -> Option<Request> {
        let request = self.requests.remove(index)?;
        self.flows.remove(&request.flow, Place::Request(index));
        Some(request)
    }

    /// Enters a TIME_WAIT; its connection must have been taken out before. `None` if there is no room.
    pub fn insert_time_wait(&mut self, time_wait: TimeWait) -> Option<u32> {
        let flow = time_wait.flow;
        let index = self.time_waits.insert(|_| time_wait)?;
        self.enter(&flow, Place::TimeWait(index));
        self.ports.add(flow.local.port());
        Some(index)
    }

    /// Takes a TIME_WAIT out.
    pub fn remove_time_wait(&mut self, index: u32) -> Option<TimeWait> {
        let time_wait = self.time_waits.remove(index)?;
        self.ports.remove(time_wait.flow.local.port());
        self.flows.remove(&time_wait.flow, Place::TimeWait(index));
        Some(time_wait)
    }

    /// The connection `id`, if it is still that one.
    #[inline]
    pub fn get(&self, id: ConnectionId) -> Option<&Connection> {
        self.connections.get(id.index).filter(|connection| connection.id == id)
    }

    /// The connection `id`, to change anything but its flow.
    #[inline]
    pub fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.connections.get_mut(id.index).filter(|connection| connection.id == id)
    }
}

/// The flow of the object at `place`.
#[inline]
fn flow_at(
    connections: &Places<Connection>,
    requests: &Places<Request>,
    time_waits: &Places<TimeWait>,
    place: Place,
) -> Option<Flow> {
    match place {
        Place::Connection(index) => Some(connections.get(index)?.flow),
        Place::Request(index) => Some(requests.get(index)?.flow),
        Place::TimeWait(index) => Some(time_waits.get(index)?.flow),
    }
}
