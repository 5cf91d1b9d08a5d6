use std::cell::Cell;

thread_local! {
    static AS_FUSED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `forward`, which is recorded on this thread, so that what the CPU computes as one operation is recorded as one. A device that
/// records has no fused operations.
pub(crate) fn as_fused<T>(forward: impl FnOnce() -> T) -> T {
    /// Restores what was before, also after a panic.
    struct Restore(bool);

    impl Drop for Restore {
        fn drop(&mut self) {
            AS_FUSED.set(self.0);
        }
    }

    let _before = Restore(AS_FUSED.replace(true));
    forward()
}

/// Whether operations are recorded so.
pub(super) fn is_as_fused() -> bool {
    AS_FUSED.get()
}
