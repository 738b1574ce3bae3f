//! The memory behind a pool: anonymous pages here, the AF_XDP UMEM in `xdp`.

use std::any::Any;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;

/// A block of memory that outlives every frame cut from it.
///
/// Invariant: `base .. base + len` stays mapped, readable and writable as long as `owner` lives, and nobody but
/// frames (and the kernel, for frames lent to it) touches it.
#[derive(Clone)]
pub struct Region {
    base: NonNull<u8>,
    len: usize,
    owner: Arc<dyn Any + Send + Sync>,
}

// SAFETY: the region is plain memory kept alive by `owner`, which is Send and Sync; access is governed by frames.
unsafe impl Send for Region {}

impl Region {
    /// Anonymous zeroed memory of `len` bytes, aligned to a page.
    ///
    /// # Errors
    /// The kernel's, if it has no memory to give.
    pub fn anonymous(len: usize) -> std::io::Result<Self> {
        let map = AnonymousMap::new(len)?;
        Ok(Self { base: map.base, len, owner: Arc::new(map) })
    }

    /// A region inside memory that `owner` keeps.
    ///
    /// # Safety
    /// `base .. base + len` must stay mapped, readable and writable while `owner` lives, and must not be accessed
    /// except through frames of the one pool made from this region.
    pub unsafe fn from_raw(base: NonNull<u8>, len: usize, owner: Arc<dyn Any + Send + Sync>) -> Self {
        Self { base, len, owner }
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if there is no memory in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Keeps the memory mapped for ever; used when frames outlive their pool.
    pub(crate) fn leak(&self) {
        std::mem::forget(Arc::clone(&self.owner));
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region").field("len", &self.len).finish_non_exhaustive()
    }
}

struct AnonymousMap {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping is plain memory without thread affinity.
unsafe impl Send for AnonymousMap {}
// SAFETY: as above; `AnonymousMap` itself gives no access to the bytes.
unsafe impl Sync for AnonymousMap {}

impl AnonymousMap {
    fn new(len: usize) -> std::io::Result<Self> {
        let len = len.max(1).next_multiple_of(4096);
        // SAFETY: a null hint lets the kernel choose; the mapping is private to this value until `Drop`.
        let base = unsafe {
            rustix::mm::mmap_anonymous(
                std::ptr::null_mut(),
                len,
                rustix::mm::ProtFlags::READ | rustix::mm::ProtFlags::WRITE,
                rustix::mm::MapFlags::PRIVATE,
            )?
        };
        let base = NonNull::new(base.cast()).ok_or_else(|| std::io::Error::other("mmap answered a null address"))?;
        Ok(Self { base, len })
    }
}

impl Drop for AnonymousMap {
    fn drop(&mut self) {
        // SAFETY: `base` and `len` are the mapping made in `new`; `Region` dropped its last owner.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.len) };
    }
}
