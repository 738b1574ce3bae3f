//! `memory`, made of loom's cells: the same views, with every plain access watched for races.

use crate::sync::{AtomicU32, AtomicU64};
use loom::cell::UnsafeCell;
use std::ops::Deref;
use std::sync::Arc;

/// One atomic 32-bit word.
#[derive(Clone, Debug)]
pub struct Word32(Arc<AtomicU32>);

impl Word32 {
    /// A word of its own, zero.
    pub fn private() -> std::io::Result<Self> {
        Ok(Self(Arc::new(AtomicU32::new(0))))
    }
}

impl Deref for Word32 {
    type Target = AtomicU32;
    fn deref(&self) -> &AtomicU32 {
        &self.0
    }
}

/// One cache line of atomic 32-bit words.
#[derive(Clone, Debug)]
pub struct Line(Arc<[AtomicU32; LINE_WORDS]>);

/// Words of a [`Line`].
pub const LINE_WORDS: usize = 16;

/// What a [`Line`] holds.
pub type LineWords = [AtomicU32; LINE_WORDS];

impl Line {
    /// Zero words.
    pub fn private() -> Self {
        Self(Arc::new(std::array::from_fn(|_| AtomicU32::new(0))))
    }
}

impl Deref for Line {
    type Target = [AtomicU32; LINE_WORDS];
    fn deref(&self) -> &[AtomicU32; LINE_WORDS] {
        &self.0
    }
}

/// Atomic 64-bit words.
#[derive(Clone, Debug)]
pub struct Words64(Arc<Vec<AtomicU64>>);

impl Words64 {
    /// `count` zero words.
    pub fn new(count: usize) -> Self {
        Self(Arc::new((0..count).map(|_| AtomicU64::new(0)).collect()))
    }
}

impl Deref for Words64 {
    type Target = [AtomicU64];
    fn deref(&self) -> &[AtomicU64] {
        &self.0
    }
}

/// What a ring carries.
pub type Entry = [u64; 4];

/// Fixed entries whose races loom reports.
#[derive(Clone, Debug)]
pub struct Entries(Arc<Vec<UnsafeCell<Entry>>>);

// SAFETY: loom checks every access to the cells and fails the model on a race.
unsafe impl Send for Entries {}

impl Entries {
    /// `count` zero entries.
    pub fn new(count: usize) -> Self {
        Self(Arc::new((0..count).map(|_| UnsafeCell::new([0; 4])).collect()))
    }

    /// Copies entry `index` out.
    pub fn read(&self, index: u32) -> Entry {
        // SAFETY: loom hands out a valid pointer and reports races.
        self.0[index as usize].with(|entry| unsafe { *entry })
    }

    /// Writes entry `index`.
    pub fn write(&self, index: u32, value: Entry) {
        // SAFETY: loom hands out a valid pointer and reports races.
        self.0[index as usize].with_mut(|entry| unsafe { *entry = value });
    }
}

/// Plain bytes whose races loom reports, in blocks of 32.
#[derive(Clone, Debug)]
pub struct Bytes(Arc<Vec<UnsafeCell<[u8; 32]>>>);

// SAFETY: loom checks every access to the cells and fails the model on a race.
unsafe impl Send for Bytes {}

impl Bytes {
    /// `len` zero bytes; a multiple of 32.
    pub fn new(len: usize) -> Self {
        Self(Arc::new((0..len / 32).map(|_| UnsafeCell::new([0; 32])).collect()))
    }

    /// Copies bytes out.
    pub fn read(&self, offset: usize, out: &mut [u8]) -> bool {
        for (i, byte) in out.iter_mut().enumerate() {
            let at = offset + i;
            // SAFETY: loom hands out a valid pointer and reports races.
            *byte = self.0[at / 32].with(|block| unsafe { (*block)[at % 32] });
        }
        true
    }

    /// Copies bytes in.
    pub fn write(&self, offset: usize, data: &[u8]) -> bool {
        for (i, byte) in data.iter().enumerate() {
            let at = offset + i;
            // SAFETY: loom hands out a valid pointer and reports races.
            self.0[at / 32].with_mut(|block| unsafe { (*block)[at % 32] = *byte });
        }
        true
    }

    /// Nothing: a model has no cache.
    pub fn prefetch(&self, _offset: usize) {}

    /// Nothing: a model has no pages.
    pub fn give_back(&self, _offset: usize, _len: usize) -> bool {
        false
    }
}
