//! Asking for a cache line before it is needed: a hint to the processor that changes nothing else.
//!
//! For memory that is touched once for each packet and so seldom again that it has left the cache: the next bytes of a ring, the headers of
//! the next frame of a burst, the connection that it is for.

/// Asks for the line of `at`, to be read or written soon.
#[inline(always)]
pub fn prefetch<T: ?Sized>(at: &T) {
    prefetch_address(std::ptr::from_ref(at).cast());
}

/// The same for an address that need not be valid: nothing is read.
#[inline(always)]
pub(crate) fn prefetch_address(at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction is a hint; it cannot fault, whatever the address, and every x86-64 processor has it.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}
