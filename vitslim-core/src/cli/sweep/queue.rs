//! Decides which trial is next.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::train::Interrupter;

/// Time between two checks of trials that another process is working on.
const LOOK: Duration = Duration::from_millis(200);

/// The remaining trials, for several workers.
pub(super) struct Queue {
    state: Mutex<State>,
}

struct State {
    left: VecDeque<usize>,
    /// Trials that another process is working on: it may complete them, or stop.
    busy: VecDeque<usize>,
    running: usize,
}

impl Queue {
    pub(super) fn new(left: Vec<usize>) -> Self {
        Self { state: Mutex::new(State { left: left.into(), busy: VecDeque::new(), running: 0 }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next trial; waits for those that another process is working on, as `is_busy` tells. `None` when nothing is left to do.
    pub(super) fn next(&self, interrupter: &Interrupter, is_busy: impl Fn(usize) -> bool) -> Option<usize> {
        while !interrupter.should_stop() {
            let mut state = self.state();
            if let Some(index) = state.left.pop_front() {
                state.running += 1;
                return Some(index);
            }
            if let Some(at) = state.busy.iter().position(|&index| !is_busy(index)) {
                state.running += 1;
                return state.busy.remove(at);
            }
            // A trial in progress here may turn out to be busy elsewhere.
            if state.busy.is_empty() && state.running == 0 {
                return None;
            }
            drop(state);
            std::thread::sleep(LOOK);
        }
        None
    }

    /// Another process turned out to be working on a trial.
    pub(super) fn busy(&self, index: usize) {
        let mut state = self.state();
        state.running -= 1;
        state.busy.push_back(index);
    }

    /// A trial ended.
    pub(super) fn done(&self) {
        self.state().running -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_busy_elsewhere_comes_when_nothing_else_is_left_and_it_is_free() {
        let queue = Queue::new(vec![3, 5]);
        let interrupter = Interrupter::new();
        assert_eq!(queue.next(&interrupter, |_| true), Some(3));
        queue.busy(3);
        assert_eq!(queue.next(&interrupter, |_| true), Some(5));
        queue.done();
        assert_eq!(queue.next(&interrupter, |_| false), Some(3));
        queue.done();
        assert_eq!(queue.next(&interrupter, |_| false), None);
    }

    #[test]
    fn nothing_is_next_once_it_is_to_stop() {
        let queue = Queue::new(vec![1]);
        let interrupter = Interrupter::new();
        interrupter.stop();
        assert_eq!(queue.next(&interrupter, |_| false), None);
    }
}
