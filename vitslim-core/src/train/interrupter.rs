//! A request to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Asks a run to stop after the current batch. Clones share one request.
#[derive(Clone, Debug, Default)]
pub struct Interrupter(Arc<State>);

#[derive(Debug, Default)]
struct State {
    begun: AtomicBool,
    stop: AtomicBool,
}

impl Interrupter {
    /// An interrupter that has not been asked to stop.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that the run has begun to work in its folder. Before, its process may end at once.
    pub(crate) fn begin(&self) {
        self.0.begun.store(true, Ordering::Relaxed);
    }

    /// Whether the run has begun to work in its folder.
    pub(crate) fn has_begun(&self) -> bool {
        self.0.begun.load(Ordering::Relaxed)
    }

    /// Asks to stop.
    pub fn stop(&self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }

    /// Whether [`stop`](Self::stop) was called.
    pub fn should_stop(&self) -> bool {
        self.0.stop.load(Ordering::Relaxed)
    }
}
