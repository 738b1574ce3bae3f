//! How many flows of this lane have which local port: connections and TIME_WAITs.
//!
//! A port belongs to whoever was given it until its last flow is gone, though the socket is long closed; the control
//! thread asks to hear of that ([`PortFlows::watch`]). A port may be empty for a moment while a connection turns into a
//! TIME_WAIT, so what has emptied is looked at once more when it is reported.

use std::collections::HashSet;

const PORTS: usize = 1 << 16;

/// Counts by local port.
#[derive(Debug)]
pub struct PortFlows {
    /// Pages of it are touched when ports in them are used.
    counts: Vec<u32>,
    watched: HashSet<u16>,
    emptied: Vec<u16>,
}

impl Default for PortFlows {
    fn default() -> Self {
        Self { counts: vec![0; PORTS], watched: HashSet::new(), emptied: Vec::new() }
    }
}

impl PortFlows {
    /// One flow more.
    #[inline]
    pub fn add(&mut self, port: u16) {
        self.counts[usize::from(port)] += 1;
    }

    /// One flow less.
    #[inline]
    pub fn remove(&mut self, port: u16) {
        let count = &mut self.counts[usize::from(port)];
        *count = count.saturating_sub(1);
        if *count == 0 && self.watched.contains(&port) {
            self.emptied.push(port);
        }
    }

    /// Flows of `port`.
    #[inline]
    pub fn of(&self, port: u16) -> u32 {
        self.counts[usize::from(port)]
    }

    /// Tell when `port` has no flow: with the next [`PortFlows::take_idle`] if it has none now.
    pub fn watch(&mut self, port: u16) {
        self.watched.insert(port);
        if self.of(port) == 0 {
            self.emptied.push(port);
        }
    }

    /// A watched port without flows; it is no longer watched. Bounded by what has emptied.
    pub fn take_idle(&mut self) -> Option<u16> {
        while let Some(port) = self.emptied.pop() {
            if self.of(port) == 0 && self.watched.remove(&port) {
                return Some(port);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watched_port_is_told_once_and_not_between_connection_and_time_wait() {
        let mut flows = PortFlows::default();
        flows.add(80);
        flows.watch(80);
        assert_eq!(flows.take_idle(), None);
        flows.remove(80);
        flows.add(80);
        assert_eq!(flows.take_idle(), None, "it is a TIME_WAIT now");
        flows.remove(80);
        assert_eq!((flows.take_idle(), flows.take_idle()), (Some(80), None));
        flows.add(80);
        flows.remove(80);
        assert_eq!(flows.take_idle(), None, "nobody asked");
        flows.watch(81);
        assert_eq!(flows.take_idle(), Some(81), "at once");
    }
}
