//! Asking for a cache line before it is needed: a hint to the processor that changes nothing else.
//!
//! For memory that is touched once for each packet and so seldom again that it has left the cache: the next bytes of a ring, the headers of
//! the next frame of a burst, the connection that it is for.

/// Asks for the line of `at`, which will be used soon.
#[inline(always)]
pub fn prefetch<T: ?Sized>(at: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction is a hint: it reads nothing, and every x86-64 processor has it.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(std::ptr::from_ref(at).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// Asks for the line at `at` to be written soon, away from a core that has read it. The address need not be valid.
#[inline(always)]
pub(crate) fn prefetch_to_write(at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint as above, which cannot fault, whatever the address; a processor without it takes it for nothing.
    unsafe {
        std::arch::asm!("prefetchw [{at}]", at = in(reg) at, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}
