use std::alloc::{GlobalAlloc, Layout};
use std::ffi::{c_int, c_long};
use std::sync::atomic::{AtomicBool, Ordering};

use mimalloc::MiMalloc;

use crate::train::last_words;

/// The allocator of `vitslim`. To use it in a program with architectures of its own, write in `main.rs`:
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: vitslim_core::cli::Allocator = vitslim_core::cli::Allocator;
/// # fn main() {}
/// ```
///
/// With it, threads that compute parts of the same operation do not wait for each other for memory. Without it the program is
/// slower, a small network by a tenth; and when memory runs out it aborts, while this one says what to do and exits with 1.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allocator;

// SAFETY: MiMalloc does it all, and what it answers is passed on, unless it has no memory.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: that of the caller.
        or_exit(unsafe { MiMalloc.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: that of the caller.
        or_exit(unsafe { MiMalloc.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: that of the caller.
        or_exit(unsafe { MiMalloc.realloc(memory, layout, size) })
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: that of the caller.
        unsafe { MiMalloc.dealloc(memory, layout) }
    }
}

fn or_exit(memory: *mut u8) -> *mut u8 {
    if memory.is_null() {
        exit_without_memory();
    }
    memory
}

/// Says what to do, and ends the process at once: nothing that allocates can run any more.
#[cold]
fn exit_without_memory() -> ! {
    static SAID: AtomicBool = AtomicBool::new(false);
    if SAID.swap(true, Ordering::Relaxed) {
        // Another thread is saying it.
        loop {
            std::thread::yield_now();
        }
    }
    end_with(last_words())
}

#[cfg(unix)]
#[allow(unsafe_code)]
fn end_with(words: &str) -> ! {
    // SAFETY: the texts are valid for their lengths, and nothing of this process runs any more.
    unsafe {
        for text in [words, "\n"] {
            libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len());
        }
        libc::_exit(1)
    }
}

#[cfg(not(unix))]
fn end_with(words: &str) -> ! {
    crate::terminal::say(words);
    std::process::exit(1)
}

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
