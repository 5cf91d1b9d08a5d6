/// Tells glibc to keep freed memory. A training step frees and allocates the same large tensors again and again; by default
/// each goes back to the system and is faulted in anew, which costs a third of the time of a small network's step.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
pub(super) fn keep_freed_memory() {
    // SAFETY: `mallopt` only sets numbers in the allocator; it is called before any other thread is started.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 30);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) fn keep_freed_memory() {}
