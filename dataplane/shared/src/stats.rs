//! Counters that a lane publishes and the control thread reads.
//!
//! Invariants: one writer for each page; every value is one the lane published, values of different counters may be of
//! different turns; neither side waits for the other.

use crate::sync::{AtomicU64, Ordering};
use std::sync::Arc;

/// The lane's end of a page of counters.
#[derive(Debug)]
pub struct StatsWriter(Arc<Page>);

/// A reader's end.
#[derive(Clone, Debug)]
pub struct StatsReader(Arc<Page>);

#[derive(Debug)]
struct Page {
    names: Box<[&'static str]>,
    values: Box<[AtomicU64]>,
}

/// A page of counters named `names`, all zero.
pub fn stats(names: &[&'static str]) -> (StatsWriter, StatsReader) {
    let values = names.iter().map(|_| AtomicU64::new(0)).collect();
    let page = Arc::new(Page { names: names.into(), values });
    (StatsWriter(page.clone()), StatsReader(page))
}

impl StatsWriter {
    /// Publishes `values`, in the order of the names; surplus ones are left out.
    #[inline]
    pub fn publish(&mut self, values: &[u64]) {
        for (shared, value) in self.0.values.iter().zip(values) {
            // Relaxed: a counter stands for itself, nothing is found through it.
            shared.store(*value, Ordering::Relaxed);
        }
    }
}

impl StatsReader {
    /// Every counter with its name.
    pub fn read(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.0.names.iter().zip(self.0.values.iter()).map(|(name, value)| (*name, value.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn counters_keep_their_names() {
        let (mut writer, reader) = stats(&["IpInReceives", "IpOutRequests"]);
        writer.publish(&[3, 4, 5]);
        writer.publish(&[7]);
        assert_eq!(reader.read().collect::<Vec<_>>(), [("IpInReceives", 7), ("IpOutRequests", 4)]);
    }
}
