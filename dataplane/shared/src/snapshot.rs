//! Configuration that the control thread publishes and lanes read without locks.
//!
//! Invariants:
//! * a reader that sees generation `g` holds the value of `g` or of a later one, never an earlier one;
//! * a reader touches one shared word per load while nothing changes, and keeps its value alive as long as it uses it.

use crate::sync::{AtomicU64, Ordering};
use std::sync::Arc;

/// The writing end.
#[derive(Debug)]
pub struct Publisher<T> {
    shared: Arc<Shared<T>>,
}

/// A reading end, owned by one thread.
#[derive(Debug)]
pub struct Reader<T> {
    shared: Arc<Shared<T>>,
    generation: u64,
    value: Arc<T>,
}

#[derive(Debug)]
struct Shared<T> {
    generation: AtomicU64,
    value: Swap<T>,
}

impl<T> Publisher<T> {
    /// A snapshot that holds `value`, generation 0.
    pub fn new(value: T) -> Self {
        Self { shared: Arc::new(Shared { generation: AtomicU64::new(0), value: Swap::new(Arc::new(value)) }) }
    }

    /// Replaces the value; readers see it at their next load.
    pub fn publish(&mut self, value: T) {
        self.shared.value.store(Arc::new(value));
        // Release pairs with the Acquire in `Reader::load`: who sees the generation finds its value.
        self.shared.generation.fetch_add(1, Ordering::Release);
    }

    /// A new reading end.
    pub fn reader(&self) -> Reader<T> {
        // Acquire pairs with the Release in `publish`; read first, so that the value is never older than it says.
        let generation = self.shared.generation.load(Ordering::Acquire);
        Reader { shared: self.shared.clone(), generation, value: self.shared.value.load() }
    }
}

impl<T> Reader<T> {
    /// The newest value. Costs one load unless it changed.
    #[inline]
    pub fn load(&mut self) -> &T {
        // Acquire pairs with the Release in `Publisher::publish`.
        let generation = self.shared.generation.load(Ordering::Acquire);
        if generation != self.generation {
            self.value = self.shared.value.load();
            self.generation = generation;
        }
        &self.value
    }

    /// The generation of the value that the last load gave: entries made from it are stale when this changes.
    pub fn generation(&self) -> u64 {
        self.generation
    }
}

impl<T> Clone for Reader<T> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), generation: self.generation, value: self.value.clone() }
    }
}

#[cfg(not(loom))]
#[derive(Debug)]
struct Swap<T>(arc_swap::ArcSwap<T>);

#[cfg(not(loom))]
impl<T> Swap<T> {
    fn new(value: Arc<T>) -> Self {
        Self(arc_swap::ArcSwap::new(value))
    }
    fn store(&self, value: Arc<T>) {
        self.0.store(value);
    }
    fn load(&self) -> Arc<T> {
        self.0.load_full()
    }
}

/// Stands in for `ArcSwap`, which has no model of its own.
#[cfg(loom)]
#[derive(Debug)]
struct Swap<T>(loom::sync::Mutex<Arc<T>>);

#[cfg(loom)]
impl<T> Swap<T> {
    fn new(value: Arc<T>) -> Self {
        Self(loom::sync::Mutex::new(value))
    }
    #[allow(clippy::unwrap_used)] // a model, not a program
    fn store(&self, value: Arc<T>) {
        *self.0.lock().unwrap() = value;
    }
    #[allow(clippy::unwrap_used)] // a model, not a program
    fn load(&self) -> Arc<T> {
        self.0.lock().unwrap().clone()
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn readers_follow_and_old_values_are_freed() {
        let first = Arc::new(1);
        let mut publisher = Publisher::new(first.clone());
        let mut reader = publisher.reader();
        assert_eq!((**reader.load(), reader.generation()), (1, 0));
        publisher.publish(Arc::new(2));
        assert_eq!((**reader.load(), reader.generation()), (2, 1));
        assert_eq!(Arc::strong_count(&first), 1);
        assert_eq!(publisher.reader().generation(), 1);
    }
}

#[cfg(test)]
#[cfg(loom)]
mod loom_model {
    use super::*;

    #[test]
    fn loom_a_generation_never_shows_an_older_value() {
        loom::model(|| {
            let mut publisher = Publisher::new(0u64);
            let mut reader = publisher.reader();
            let thread = loom::thread::spawn(move || {
                publisher.publish(1);
                publisher.publish(2);
            });
            for _ in 0..2 {
                let value = *reader.load();
                assert!(value >= reader.generation(), "value {value} of generation {}", reader.generation());
            }
            thread.join().unwrap();
            assert_eq!(*reader.load(), 2);
        });
    }
}
