//! One packet buffer.
//!
//! ```text
//!  0          start                 start+len              size
//!  | headroom |  the packet's bytes  |  tailroom            |
//! ```
//!
//! What is known of the packet stands beside the buffers, in the pool, and a frame is one pointer to it: it goes from stage to
//! stage in a register. (A value of 24 bytes whose fields were just written would be copied by wider loads, which wait until
//! those writes have left the processor's store buffer: tens of cycles at every stage.)
//!
//! Invariants: `start + len <= size`; the slot is marked as held in its pool while a `Frame` for it exists, so no
//! two frames share bytes; neither `Clone` nor `Copy`.

use std::cell::UnsafeCell;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use xmit_shared::prefetch::prefetch;

/// Where a packet starts in a fresh frame, in bytes: the headroom that XDP reserves (`XDP_PACKET_HEADROOM`).
/// Ports that hand frames to the kernel need the packet to start here and move it if it does not.
pub const FRAME_HOME: u16 = 256;

/// Bytes of a cache line.
const LINE_BYTES: usize = 64;

/// The index of a frame's buffer in its pool's region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotId(pub u32);

/// One packet buffer, owned by whoever holds this value. Give it back with [`crate::Pool::release`].
#[must_use = "a frame that is dropped is lost to its pool"]
pub struct Frame(NonNull<FrameMeta>);

/// A buffer and the packet in it: nobody but its frame and its pool reach this, because frames would share bytes if two of them changed
/// places.
#[derive(Debug)]
#[repr(align(32))] // two to a cache line
struct FrameMeta {
    buf: NonNull<u8>,
    slot: SlotId,
    start: u16,
    len: u16,
    size: u16,
    pool: u16,
    notes: FrameNotes,
}

/// What is known of a frame's packet beside its bytes; fields of [`Frame`].
#[derive(Clone, Copy, Debug, Default)]
pub struct FrameNotes {
    /// The port it arrived on: the index in its lane. Meaningless for frames made locally.
    pub port: u16,
    /// What the port knows about the packet.
    pub flags: FrameFlags,
    /// How urgent it is to a queue that it waits in (`skb->priority`); set by that queue.
    pub priority: u8,
}

/// What a port knows about a received packet, or asks of a sent one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameFlags(u8);

impl FrameFlags {
    /// Nothing known.
    pub const NONE: Self = Self(0);
    /// The transport checksum was verified by the NIC, or the packet never left this machine's memory.
    pub const CHECKSUM_VERIFIED: Self = Self(1);
    /// From this host to itself: it was never on a wire.
    pub const LOOPED: Self = Self(2);
    /// Listeners have seen it on its way out; a busy port that gives it back does not show it again.
    pub const TAPPED: Self = Self(4);

    /// A complete frame on its way to a port that another lane owns; [`Frame::port`] is the interface.
    pub const OUTGOING: Self = Self(8);

    /// True if every flag of `other` is set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets of flags.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

// SAFETY: a frame is the only owner of its buffer and of what is known of it, plain memory that its pool keeps (a pool dropped
// before its frames leaks both).
unsafe impl Send for Frame {}

/// What is known of all the frames of a pool.
#[derive(Debug)]
pub(crate) struct FrameMetas(Vec<UnsafeCell<FrameMeta>>);

// SAFETY: plain memory; each entry is reached through the one `Frame` for its slot.
unsafe impl Send for FrameMetas {}

impl FrameMetas {
    /// Of the `count` buffers of `size` bytes from `base` on, in pool `pool`.
    ///
    /// # Safety
    /// All of them must lie in one mapping that outlives every frame.
    pub(crate) unsafe fn new(base: NonNull<u8>, count: usize, size: u16, pool: u16) -> Self {
        let meta = |slot: usize| FrameMeta {
            // SAFETY: `slot` is below `count`, so the buffer lies inside the mapping.
            buf: unsafe { base.add(slot * usize::from(size)) },
            slot: SlotId(slot as u32),
            start: FRAME_HOME,
            len: 0,
            size,
            pool,
            notes: FrameNotes::default(),
        };
        Self((0..count).map(|slot| UnsafeCell::new(meta(slot))).collect())
    }

    /// The frame for `slot`, empty, its start at [`FRAME_HOME`]; `None` if there is no such slot.
    ///
    /// # Safety
    /// The slot must be marked as held, and no other `Frame` for it may exist.
    #[inline]
    pub(crate) unsafe fn frame(&self, slot: SlotId) -> Option<Frame> {
        let meta = NonNull::new(self.0.get(slot.0 as usize)?.get())?;
        let mut frame = Frame(meta);
        let meta = frame.meta_mut();
        (meta.start, meta.len, meta.notes) = (FRAME_HOME, 0, FrameNotes::default());
        Some(frame)
    }

    /// Keeps them for ever; used when frames outlive their pool.
    pub(crate) fn leak(&mut self) {
        std::mem::forget(std::mem::take(&mut self.0));
    }
}

impl Deref for Frame {
    type Target = FrameNotes;
    #[inline]
    fn deref(&self) -> &FrameNotes {
        &self.meta().notes
    }
}

impl DerefMut for Frame {
    #[inline]
    fn deref_mut(&mut self) -> &mut FrameNotes {
        &mut self.meta_mut().notes
    }
}

impl Frame {
    #[inline]
    fn meta(&self) -> &FrameMeta {
        // SAFETY: this frame alone reaches the entry, which its pool keeps.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    fn meta_mut(&mut self) -> &mut FrameMeta {
        // SAFETY: as in `meta`, and `&mut self` excludes other access.
        unsafe { self.0.as_mut() }
    }
    /// The packet.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `start + len <= size`, the buffer is mapped and owned by this frame alone.
        unsafe {
            std::slice::from_raw_parts(self.meta().buf.as_ptr().add(self.meta().start.into()), self.meta().len.into())
        }
    }

    /// The packet, to be changed in place.
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and `&mut self` excludes other access.
        unsafe {
            std::slice::from_raw_parts_mut(
                self.meta().buf.as_ptr().add(self.meta().start.into()),
                self.meta().len.into(),
            )
        }
    }

    /// Asks for the packet's first lines, which hold its headers.
    #[inline]
    pub fn prefetch(&self) {
        let bytes = self.bytes();
        prefetch(bytes);
        if let Some(second) = bytes.get(LINE_BYTES) {
            prefetch(second);
        }
    }

    /// Length of the packet in bytes.
    #[inline]
    #[allow(clippy::len_without_is_empty)] // an empty packet is nothing that anyone asks about
    pub fn len(&self) -> usize {
        self.meta().len.into()
    }

    /// Bytes before the packet that [`Frame::push_front`] can still take.
    pub fn headroom(&self) -> usize {
        self.meta().start.into()
    }

    /// The longest packet that fits behind the present start, in bytes.
    pub fn capacity(&self) -> usize {
        usize::from(self.meta().size - self.meta().start)
    }

    /// The slot behind the frame.
    pub fn slot(&self) -> SlotId {
        self.meta().slot
    }

    /// The pool that the frame belongs to.
    pub fn pool(&self) -> u16 {
        self.meta().pool
    }

    /// Where the packet starts in the buffer, in bytes.
    pub fn start(&self) -> u16 {
        self.meta().start
    }

    /// Empties the frame and places its start `offset` bytes into the buffer. False (and unchanged) if beyond it.
    pub fn reset(&mut self, offset: u16) -> bool {
        if offset > self.meta().size {
            return false;
        }
        let meta = self.meta_mut();
        (meta.start, meta.len, meta.notes.flags) = (offset, 0, FrameFlags::NONE);
        true
    }

    /// Sets the packet's length, keeping its start. New bytes hold whatever the buffer held. False (and unchanged)
    /// if they do not fit.
    pub fn set_len(&mut self, len: usize) -> bool {
        match u16::try_from(len) {
            Ok(short) if len <= self.capacity() => {
                self.meta_mut().len = short;
                true
            }
            _ => false,
        }
    }

    /// Replaces the packet by `bytes`. False (and unchanged) if they do not fit.
    pub fn fill(&mut self, bytes: &[u8]) -> bool {
        let fits = self.set_len(bytes.len());
        if fits {
            self.bytes_mut().copy_from_slice(bytes);
        }
        fits
    }

    /// Drops `n` bytes from the front (a header that was read). False (and unchanged) if the packet is shorter.
    pub fn trim_front(&mut self, n: usize) -> bool {
        if n > self.len() {
            return false;
        }
        let meta = self.meta_mut();
        meta.start += n as u16;
        meta.len -= n as u16;
        true
    }

    /// Opens `n` bytes before the packet and answers them, for a header. `None` (and unchanged) without headroom.
    pub fn push_front(&mut self, n: usize) -> Option<&mut [u8]> {
        if n > self.headroom() {
            return None;
        }
        let meta = self.meta_mut();
        meta.start -= n as u16;
        meta.len += n as u16;
        self.bytes_mut().get_mut(..n)
    }

    /// Moves the packet so that it starts at `offset`, for ports that need it there. False if it does not fit.
    pub fn move_to(&mut self, offset: u16) -> bool {
        if usize::from(offset) + self.len() > usize::from(self.meta().size) {
            return false;
        }
        // SAFETY: source and target both lie inside the buffer (`start + len <= size`, checked above); they may overlap.
        unsafe {
            let base = self.meta().buf.as_ptr();
            std::ptr::copy(base.add(self.meta().start.into()), base.add(offset.into()), self.meta().len.into());
        }
        self.meta_mut().start = offset;
        true
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({}/{} at {} len {})", self.meta().pool, self.meta().slot.0, self.meta().start, self.meta().len)
    }
}
