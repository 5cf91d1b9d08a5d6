//! Where operations are computed: whether that is the CPU, what its vector instructions are, and which thread calls them.

use std::sync::atomic::{AtomicBool, Ordering};

use burn::backend::DispatchDevice;
use burn::tensor::Device;
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

pub(crate) use vitslim_kernels::{instructions, is_cpu};

/// Whether factors of f32 may be rounded to TF32 on `device`: burn 0.22 tries that on CUDA, takes what is fastest for each size, and has no
/// switch for it (`adjust_dtypes` in cubek-matmul).
pub(crate) fn has_tf32(device: &Device) -> bool {
    match device.as_dispatch() {
        #[cfg(feature = "cuda")]
        DispatchDevice::Cube(cube) => matches!(cube, burn::backend::cubecl::Device::Cuda(_)),
        DispatchDevice::Autodiff(_) => has_tf32(&device.clone().inner()),
        _ => false,
    }
}

/// The model of the processor, or else its architecture.
pub(crate) fn processor() -> String {
    let system = System::new_with_specifics(RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing()));
    let name = system.cpus().first().map_or("", |cpu| cpu.brand().trim());
    if name.is_empty() { std::env::consts::ARCH } else { name }.to_owned()
}

/// Bytes of memory that this process can have: those of the machine, or of the container that it is in.
pub(crate) fn memory() -> u64 {
    let memory = MemoryRefreshKind::nothing().with_ram();
    let system = System::new_with_specifics(RefreshKind::nothing().with_memory(memory));
    system.cgroup_limits().map_or_else(|| system.total_memory(), |limits| limits.total_memory)
}

/// Bytes that the process has on the CPU beside tensors, as it was measured of `vitslim plan` with a network of 16 features.
pub(crate) const PROCESS: u64 = 40_000_000;

/// Bytes that a tensor of `bytes` takes on the CPU. mimalloc 3, the allocator of `vitslim`, which keeps what is freed, has chunks of
/// 32 MiB: a smaller tensor lies in one of them, and a larger one begins with a chunk, and shares its last one with no other.
pub(crate) fn occupied(bytes: u64) -> u64 {
    const CHUNK: u64 = 32 << 20;

    if bytes > CHUNK { bytes.next_multiple_of(CHUNK) } else { CHUNK / (CHUNK / bytes.max(1)) }
}

/// Runs `work`, which calls many operations on `device`. On the CPU it runs on one of the compute threads, so that no
/// operation has to be handed to another thread and waited for: for a small operation, the handover takes as long as the
/// operation. Only one `work` at a time runs there; any other stays on its own thread, since a compute thread that waits for
/// part of an operation of the first could otherwise start all of the second.
///
/// Set thread-local state, such as a precision, inside `work`. `work` must not wait for operations of other threads: the
/// compute thread that has to run them may be the one that `work` is on.
pub(crate) fn on_compute_thread<T: Send>(device: &Device, work: impl FnOnce() -> T + Send) -> T {
    static TAKEN: AtomicBool = AtomicBool::new(false);

    /// Lets others in, also after a panic.
    struct Place;

    impl Drop for Place {
        fn drop(&mut self) {
            TAKEN.store(false, Ordering::Release);
        }
    }

    if !is_cpu(device) || TAKEN.swap(true, Ordering::Acquire) {
        return work();
    }
    let _place = Place;
    rayon::scope(|_| work())
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;
    use std::thread;
    use std::time::Duration;

    use super::*;

    /// The number of this thread among those that compute.
    fn here() -> Option<usize> {
        rayon::current_thread_index()
    }

    /// What `work` answers once it runs on a compute thread, since other tests may be meanwhile.
    fn once_there<T: Send>(work: impl Fn() -> T + Sync) -> T {
        let attempt = |_| {
            let answer = on_compute_thread(&Device::flex(), || here().map(|_| work()));
            answer.or_else(|| {
                thread::sleep(Duration::from_millis(1));
                None
            })
        };
        (0..60_000).find_map(attempt).expect("never on a compute thread")
    }

    #[test]
    fn one_thread_at_a_time_computes() {
        let nested = once_there(|| (here(), on_compute_thread(&Device::flex(), here)));
        assert_eq!(nested.0, nested.1);
        let beside = || {
            thread::scope(|scope| scope.spawn(|| on_compute_thread(&Device::flex(), here)).join().unwrap())
        };
        assert_eq!(once_there(beside), None);
    }

    #[test]
    fn a_panic_gives_the_place_back() {
        let panicked = catch_unwind(|| once_there(|| panic!("in a thread that computes")));
        assert_eq!(panicked.unwrap_err().downcast_ref(), Some(&"in a thread that computes"));
        once_there(|| ());
    }
}
