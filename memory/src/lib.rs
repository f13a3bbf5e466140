//! Memory that was freed goes back to the system.
//!
//! glibc keeps it: pages below one that is in use are never returned by themselves, and after a burst of connections there is
//! always one. Owns the one call that the standard library does not have. Refuses to know when it is worth its time: it
//! walks all that is free, and whoever allocates meanwhile waits for it.

/// Gives back what is free. Says whether anything was. Other allocators than glibc's do it by themselves, and this does nothing.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[must_use]
pub fn give_back() -> bool {
    // SAFETY: it takes a number and no pointer, and locks each arena while it looks at it (malloc_trim(3): MT-Safe).
    unsafe { libc::malloc_trim(0) == 1 }
}

/// Gives back what is free. Says whether anything was. Other allocators than glibc's do it by themselves, and this does nothing.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
#[must_use]
pub const fn give_back() -> bool {
    false
}
