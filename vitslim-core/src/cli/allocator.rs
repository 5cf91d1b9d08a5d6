use std::ffi::{c_int, c_long};

/// The allocator of `vitslim`. To use it in a program with architectures of its own, write in `main.rs`:
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: vitslim_core::cli::Allocator = vitslim_core::cli::Allocator;
/// # fn main() {}
/// ```
///
/// With it, threads that compute parts of the same operation do not wait for each other for memory. Without it the program is
/// slower, a small network by a tenth.
pub use mimalloc::MiMalloc as Allocator;

/// `mi_option_purge_delay`, which `libmimalloc-sys` does not name.
const PURGE_DELAY: c_int = 15;

/// Tells the allocator to keep freed memory. A training step frees and allocates the same large tensors again and again; by
/// default each returns to the system and is faulted in again, which costs a third of a small network's step.
#[allow(unsafe_code)]
pub(super) fn keep_freed_memory() {
    const NEVER: c_long = -1;

    // SAFETY: it only sets a number in the allocator; it is called before any other thread is started.
    unsafe {
        libmimalloc_sys::mi_option_set(PURGE_DELAY, NEVER);
    }
    keep_freed_memory_of_system();
}

/// The same for a program that uses the system's allocator.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
fn keep_freed_memory_of_system() {
    // SAFETY: as above.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 30);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn keep_freed_memory_of_system() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(unsafe_code)]
    fn the_number_is_that_of_the_delay_until_freed_memory_is_given_back() {
        const MILLISECONDS_BY_DEFAULT: c_long = 1000;
        // SAFETY: it only reads a number.
        assert_eq!(unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) }, MILLISECONDS_BY_DEFAULT);
    }
}
