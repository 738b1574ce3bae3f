//! Memory that two parties touch at once, as safe values.
//!
//! Owns the mapping of a region and the only pointers into it. Everything above works with [`Word32`], [`Word64`],
//! [`Entries`] and [`Bytes`], which are bounded when they are made and checked when they are used.
//!
//! Invariants:
//! * a view never reaches outside its mapping, and keeps the mapping alive;
//! * no reference to plain bytes of a region is ever made: words are atomics, bytes are copied by pointer, so
//!   a peer that writes at the same time changes what is copied and nothing else;
//! * a region from a descriptor is sealed against shrinking before it is mapped, so no access can raise `SIGBUS`.

use crate::sync::{AtomicU32, AtomicU64, Ordering};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, ftruncate, memfd_create};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, mmap_anonymous, munmap};
use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;
use thiserror::Error;

/// A mapped region.
#[derive(Debug)]
pub struct Memory {
    base: NonNull<u8>,
    len: usize,
    /// What makes the kernel take pages back: it differs between shared and private memory.
    give_back: Advice,
}

/// The seals that a region must carry before anybody maps it.
const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

/// Why a region was not mapped.
#[derive(Debug, Error)]
pub enum MapError {
    /// The descriptor could be truncated under us.
    #[error("the region lacks the seals against shrinking and growing: only sealed memory from xmitd is accepted")]
    NotSealed,
    /// Too small for what its header says, or empty.
    #[error("the region has {have} bytes where {need} are needed")]
    TooSmall {
        /// Its size.
        have: u64,
        /// The size needed.
        need: u64,
    },
    /// The kernel refused.
    #[error("mapping the region failed: {0}")]
    System(#[from] io::Error),
}

/// A view was asked for outside its region, or on an odd address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{len} bytes at offset {offset} are outside the region or misaligned")]
pub struct Outside {
    offset: usize,
    len: usize,
}

// SAFETY: `Memory` only owns a mapping; all access through it is by atomics or by bounded pointer copies.
unsafe impl Send for Memory {}
// SAFETY: as above; `&Memory` gives out no plain reference to its bytes.
unsafe impl Sync for Memory {}

impl Memory {
    /// Zeroed memory of this process alone, for tests, simulations and programs that embed the stack.
    ///
    /// # Errors
    /// If the kernel has no memory.
    pub fn anonymous(len: usize) -> io::Result<Arc<Self>> {
        // SAFETY: a fresh mapping at an address of the kernel's choice overlaps nothing.
        let base = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )?
        };
        Ok(Arc::new(Self { base: non_null(base)?, len, give_back: Advice::LinuxDontNeed }))
    }

    /// Zeroed memory behind a sealed memfd that can be handed to another process.
    ///
    /// # Errors
    /// If the kernel has no memory or no memfd.
    pub fn sealed(name: &str, len: usize) -> io::Result<(OwnedFd, Arc<Self>)> {
        let fd = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&fd, len as u64)?;
        fcntl_add_seals(&fd, SEALS)?;
        let memory = Self::map(fd.as_fd(), len)?;
        Ok((fd, memory))
    }

    /// Maps memory that another process made, if its seals are set: without them its maker could truncate it.
    ///
    /// # Errors
    /// [`MapError`], each with what is missing.
    pub fn from_sealed(fd: BorrowedFd<'_>) -> Result<Arc<Self>, MapError> {
        let seals = fcntl_get_seals(fd).map_err(|_| MapError::NotSealed)?;
        if !seals.contains(SEALS) {
            return Err(MapError::NotSealed);
        }
        let have = fstat(fd).map_err(io::Error::from)?.st_size.unsigned_abs();
        let len = usize::try_from(have).ok().filter(|len| *len > 0);
        let len = len.ok_or(MapError::TooSmall { have, need: 1 })?;
        Ok(Self::map(fd, len)?)
    }

    fn map(fd: BorrowedFd<'_>, len: usize) -> io::Result<Arc<Self>> {
        // SAFETY: a fresh shared mapping at an address of the kernel's choice; the file is sealed, hence never shorter.
        let base =
            unsafe { mmap(std::ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, fd, 0)? };
        Ok(Arc::new(Self { base: non_null(base)?, len, give_back: Advice::LinuxRemove }))
    }

    /// Bytes mapped.
    #[allow(clippy::len_without_is_empty)] // a region is never empty
    pub fn len(&self) -> usize {
        self.len
    }

    /// Copies bytes from `offset` into `out`. False (and `out` unchanged) if they reach beyond the end.
    #[inline]
    pub(crate) fn read(&self, offset: usize, out: &mut [u8]) -> bool {
        let fits = offset.checked_add(out.len()).is_some_and(|end| end <= self.len);
        if fits {
            // SAFETY: `offset + out.len() <= self.len`, checked above, inside the mapping; `out` is private.
            unsafe { std::ptr::copy_nonoverlapping(self.base.as_ptr().add(offset), out.as_mut_ptr(), out.len()) };
        }
        fits
    }

    /// Copies `data` to `offset`. False (and nothing written) if it reaches beyond the end.
    #[inline]
    pub(crate) fn write(&self, offset: usize, data: &[u8]) -> bool {
        let fits = offset.checked_add(data.len()).is_some_and(|end| end <= self.len);
        if fits {
            // SAFETY: `offset + data.len() <= self.len`, checked above, inside the mapping; `data` is private.
            unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), self.base.as_ptr().add(offset), data.len()) };
        }
        fits
    }

    /// See [`Bytes::prefetch`].
    #[inline]
    pub(crate) fn prefetch(&self, offset: usize) {
        crate::prefetch::prefetch_to_write(self.base.as_ptr().wrapping_add(offset));
    }

    /// See [`Bytes::give_back`].
    pub(crate) fn give_back(&self, offset: usize, len: usize) -> bool {
        let fits = offset.checked_add(len).is_some_and(|end| end <= self.len);
        // SAFETY: `offset + len <= self.len`, checked first, inside the mapping; zeroed pages are as valid as written ones.
        fits && len > 0 && unsafe { madvise(self.base.as_ptr().add(offset).cast(), len, self.give_back) }.is_ok()
    }

    /// The 32-bit word at `offset`.
    ///
    /// # Errors
    /// [`Outside`], also if `offset` is not a multiple of 4.
    pub fn word32(self: &Arc<Self>, offset: usize) -> Result<Word32, Outside> {
        Ok(Word32 { at: self.at(offset, 4, 4)?.cast(), _owner: self.clone() })
    }

    /// The cache line of 32-bit words at `offset`.
    ///
    /// # Errors
    /// [`Outside`], also if `offset` is not a multiple of 64.
    pub fn line(self: &Arc<Self>, offset: usize) -> Result<Line, Outside> {
        Ok(Line { at: self.at(offset, size_of::<[AtomicU32; LINE_WORDS]>(), 64)?.cast(), _owner: self.clone() })
    }

    /// The 64-bit words at `offset`.
    ///
    /// # Errors
    /// [`Outside`], also if `offset` is not a multiple of 8.
    pub fn words64(self: &Arc<Self>, offset: usize, count: usize) -> Result<Words64, Outside> {
        let len = count.checked_mul(8).ok_or(Outside { offset, len: usize::MAX })?;
        Ok(Words64 { at: self.at(offset, len, 8)?.cast(), count, _owner: self.clone() })
    }

    /// `count` ring entries at `offset`.
    ///
    /// # Errors
    /// [`Outside`], also if `offset` is not a multiple of 8.
    pub fn entries(self: &Arc<Self>, offset: usize, count: usize) -> Result<Entries, Outside> {
        let words = count.checked_mul(ENTRY_WORDS).ok_or(Outside { offset, len: usize::MAX })?;
        Ok(Entries { words: self.words64(offset, words)? })
    }

    /// `len` bytes at `offset`.
    ///
    /// # Errors
    /// [`Outside`], also if `offset` is not a multiple of 8.
    pub fn bytes(self: &Arc<Self>, offset: usize, len: usize) -> Result<Bytes, Outside> {
        Ok(Bytes { at: self.at(offset, len, 8)?, len, _owner: self.clone() })
    }

    /// `count` cache lines of 32-bit words at `offset`.
    ///
    /// # Errors
    /// [`Outside`], also if `offset` is not a multiple of 64.
    pub fn lines(self: &Arc<Self>, offset: usize, count: usize) -> Result<Lines, Outside> {
        let len = count.checked_mul(size_of::<LineWords>()).ok_or(Outside { offset, len: usize::MAX })?;
        Ok(Lines { at: self.at(offset, len, 64)?.cast(), count, owner: self.clone() })
    }

    fn at(&self, offset: usize, len: usize, align: usize) -> Result<NonNull<u8>, Outside> {
        let end = offset.checked_add(len).filter(|end| *end <= self.len && offset.is_multiple_of(align));
        end.ok_or(Outside { offset, len })?;
        // SAFETY: `offset <= self.len`, checked above, so the pointer stays in (or one past) the mapping.
        Ok(unsafe { self.base.add(offset) })
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: every view holds the `Arc`, so this is the last user of the mapping made in `map` or `anonymous`.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.len) };
    }
}

fn non_null(base: *mut core::ffi::c_void) -> io::Result<NonNull<u8>> {
    NonNull::new(base.cast()).ok_or_else(|| io::Error::other("the kernel mapped a region at address zero"))
}

/// One atomic 32-bit word of a region.
#[derive(Clone, Debug)]
pub struct Word32 {
    at: NonNull<AtomicU32>,
    _owner: Arc<Memory>,
}

// SAFETY: a `Word32` is a shared reference to an atomic in memory that its owner keeps mapped.
unsafe impl Send for Word32 {}
// SAFETY: as above.
unsafe impl Sync for Word32 {}

impl Word32 {
    /// A word of its own, zero, for flags and rings that stay in one process.
    ///
    /// # Errors
    /// No memory.
    pub fn private() -> io::Result<Self> {
        Memory::anonymous(4)?.word32(0).map_err(io::Error::other)
    }
}

impl Deref for Word32 {
    type Target = AtomicU32;
    #[inline]
    fn deref(&self) -> &AtomicU32 {
        // SAFETY: bounded and aligned when made (`Memory::word32`), mapped while `_owner` lives, and only ever atomic.
        unsafe { self.at.as_ref() }
    }
}

/// One cache line of atomic 32-bit words of a region.
#[derive(Clone, Debug)]
pub struct Line {
    at: NonNull<[AtomicU32; LINE_WORDS]>,
    _owner: Arc<Memory>,
}

/// Words of a [`Line`].
pub const LINE_WORDS: usize = 16;

/// What a [`Line`] holds.
pub type LineWords = [AtomicU32; LINE_WORDS];

// SAFETY: a `Line` is a shared reference to atomics in memory that its owner keeps mapped.
unsafe impl Send for Line {}
// SAFETY: as above.
unsafe impl Sync for Line {}

impl Deref for Line {
    type Target = [AtomicU32; LINE_WORDS];
    #[inline]
    fn deref(&self) -> &[AtomicU32; LINE_WORDS] {
        // SAFETY: bounded and aligned when made (`Memory::line`), mapped while `_owner` lives, and only ever atomic.
        unsafe { self.at.as_ref() }
    }
}

/// Cache lines of atomic 32-bit words of a region, for many that have one each.
#[derive(Clone, Debug)]
pub struct Lines {
    at: NonNull<LineWords>,
    count: usize,
    owner: Arc<Memory>,
}

// SAFETY: a shared slice of atomics in memory that its owner keeps mapped.
unsafe impl Send for Lines {}
// SAFETY: as above.
unsafe impl Sync for Lines {}

impl Lines {
    /// The region that they are part of.
    pub(crate) fn memory(&self) -> &Arc<Memory> {
        &self.owner
    }
}

impl Deref for Lines {
    type Target = [LineWords];
    #[inline]
    fn deref(&self) -> &[LineWords] {
        // SAFETY: bounded and aligned when made (`Memory::lines`), mapped while `owner` lives, and only ever atomic.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.count) }
    }
}

/// Atomic 64-bit words of a region.
#[derive(Clone, Debug)]
pub struct Words64 {
    at: NonNull<AtomicU64>,
    count: usize,
    _owner: Arc<Memory>,
}

// SAFETY: a shared slice of atomics in memory that its owner keeps mapped.
unsafe impl Send for Words64 {}
// SAFETY: as above.
unsafe impl Sync for Words64 {}

impl Deref for Words64 {
    type Target = [AtomicU64];
    #[inline]
    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: bounded and aligned when made (`Memory::words64`), mapped while `_owner` lives, and only ever atomic.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.count) }
    }
}

/// What a ring carries: 32 bytes, half a cache line.
pub type Entry = [u64; ENTRY_WORDS];
const ENTRY_WORDS: usize = 4;

/// Fixed entries of a region. Which side may touch which entry is the ring's business; a copy torn by a dishonest
/// peer is a wrong value, never undefined behaviour, because entries are read and written as atomic words.
#[derive(Debug)]
pub struct Entries {
    words: Words64,
}

impl Entries {
    /// Copies entry `index` out; zeroes beyond the end.
    #[inline]
    pub fn read(&self, index: u32) -> Entry {
        let mut entry = [0; ENTRY_WORDS];
        for (value, word) in entry.iter_mut().zip(self.words.iter().skip(index as usize * ENTRY_WORDS)) {
            *value = word.load(Ordering::Relaxed);
        }
        entry
    }

    /// Writes entry `index`; nothing beyond the end.
    #[inline]
    pub fn write(&self, index: u32, entry: Entry) {
        for (value, word) in entry.iter().zip(self.words.iter().skip(index as usize * ENTRY_WORDS)) {
            word.store(*value, Ordering::Relaxed);
        }
    }
}

/// Plain bytes of a region, reached by copying only.
#[derive(Debug)]
pub struct Bytes {
    at: NonNull<u8>,
    len: usize,
    _owner: Arc<Memory>,
}

// SAFETY: `Bytes` hands out copies, never references; the mapping lives as long as `_owner`.
unsafe impl Send for Bytes {}

impl Bytes {
    /// Copies bytes from `offset` into `out`. False (and `out` unchanged) if they reach beyond the end.
    #[inline]
    pub fn read(&self, offset: usize, out: &mut [u8]) -> bool {
        let fits = offset.checked_add(out.len()).is_some_and(|end| end <= self.len);
        if fits {
            // SAFETY: `offset + out.len() <= self.len`, checked above, inside the mapping (`Memory::bytes`); `out` is private.
            unsafe { std::ptr::copy_nonoverlapping(self.at.as_ptr().add(offset), out.as_mut_ptr(), out.len()) };
        }
        fits
    }

    /// Copies `data` to `offset`. False (and nothing written) if it reaches beyond the end.
    #[inline]
    pub fn write(&self, offset: usize, data: &[u8]) -> bool {
        let fits = offset.checked_add(data.len()).is_some_and(|end| end <= self.len);
        if fits {
            // SAFETY: `offset + data.len() <= self.len`, checked above, inside the mapping (`Memory::bytes`); `data` is private.
            unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), self.at.as_ptr().add(offset), data.len()) };
        }
        fits
    }

    /// Asks for the cache line at `offset`, to be written soon.
    #[inline]
    pub fn prefetch(&self, offset: usize) {
        crate::prefetch::prefetch_to_write(self.at.as_ptr().wrapping_add(offset));
    }

    /// Gives the pages of a part back to the kernel: it reads as zeroes afterwards. Bytes that somebody else writes there at the
    /// same time may be lost. False, and nothing done, unless the part is made of whole pages. One system call.
    pub fn give_back(&self, offset: usize, len: usize) -> bool {
        let fits = offset.checked_add(len).is_some_and(|end| end <= self.len);
        // SAFETY: `offset + len <= self.len`, checked first, inside the mapping; zeroed pages are as valid as written ones.
        fits && len > 0 && unsafe { madvise(self.at.as_ptr().add(offset).cast(), len, self._owner.give_back) }.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn views_end_at_the_region() {
        let memory = Memory::anonymous(64).unwrap();
        assert!(memory.word32(60).is_ok() && memory.word32(64).is_err() && memory.word32(2).is_err());
        assert!(
            memory.words64(0, 8).is_ok() && memory.words64(8, 8).is_err() && memory.words64(0, usize::MAX).is_err()
        );
        assert!(memory.entries(0, 2).is_ok() && memory.entries(0, 3).is_err());
        let bytes = memory.bytes(32, 32).unwrap();
        assert!(bytes.write(31, &[7]) && !bytes.write(32, &[7]) && !bytes.write(usize::MAX, &[7]));
        let mut out = [0; 2];
        assert!(!bytes.read(31, &mut out));
        assert_eq!(out, [0; 2]);
    }

    #[test]
    fn sealed_memory_is_shared_and_cannot_be_truncated() {
        let (fd, ours) = Memory::sealed("xmit-test", 8192).unwrap();
        let theirs = Memory::from_sealed(fd.as_fd()).unwrap();
        ours.word32(4096).unwrap().store(7, Ordering::Relaxed);
        assert_eq!(theirs.word32(4096).unwrap().load(Ordering::Relaxed), 7);
        assert!(ftruncate(&fd, 0).is_err(), "sealed against shrinking");
        assert!(ftruncate(&fd, 1 << 20).is_err(), "sealed against growing");
    }

    #[test]
    fn pages_are_given_back() {
        let (_fd, shared) = Memory::sealed("xmit-test", 8192).unwrap();
        for memory in [shared, Memory::anonymous(8192).unwrap()] {
            let bytes = memory.bytes(0, 8192).unwrap();
            bytes.write(4000, &[7; 200]);
            assert!(!bytes.give_back(4096, 8192) && !bytes.give_back(100, 4096));
            assert!(bytes.give_back(4096, 4096));
            let mut out = [1; 200];
            bytes.read(4000, &mut out);
            assert!(out[..96] == [7; 96] && out[96..] == [0; 104]);
        }
    }

    #[test]
    fn unsealed_memory_is_refused() {
        let fd = memfd_create("xmit-test", MemfdFlags::ALLOW_SEALING).unwrap();
        ftruncate(&fd, 8192).unwrap();
        assert!(matches!(Memory::from_sealed(fd.as_fd()), Err(MapError::NotSealed)));
        fcntl_add_seals(&fd, SealFlags::GROW).unwrap();
        assert!(matches!(Memory::from_sealed(fd.as_fd()), Err(MapError::NotSealed)));
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        assert!(matches!(Memory::from_sealed(file.as_fd()), Err(MapError::NotSealed)), "fd {}", file.as_raw_fd());
    }
}
