//! How far work on many things is.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

use crate::terminal::{printable, say};

/// Time between two plain lines.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Time between two states of a line that is redrawn.
const STATE_INTERVAL: Duration = Duration::from_millis(200);

/// Tells on standard error how many things, or how many of their bytes, are done: in a line that is redrawn, or in plain lines without a
/// terminal. Of work that takes no longer than the time between two, nothing is told, and nothing of `quiet` work.
#[derive(Debug)]
pub(crate) struct Progress {
    /// What is done with them.
    work: String,
    /// How many there are; `None` if nobody knows.
    all: Option<u64>,
    done: AtomicU64,
    /// How a number of them is written.
    written: fn(u64) -> String,
    line: ProgressBar,
    quiet: bool,
    told: Mutex<Instant>,
}

impl Progress {
    /// Progress by their number, of `all` if it is known how many there are.
    pub(crate) fn new(work: impl Into<String>, all: Option<usize>, quiet: bool) -> Self {
        Self::of(work.into(), all.map(|all| all as u64), |count| HumanCount(count).to_string(), quiet)
    }

    /// Progress by bytes.
    pub(crate) fn of_bytes(work: impl Into<String>, bytes: u64, quiet: bool) -> Self {
        Self::of(work.into(), Some(bytes), |bytes| HumanBytes(bytes).to_string(), quiet)
    }

    fn of(work: String, all: Option<u64>, written: fn(u64) -> String, quiet: bool) -> Self {
        let style =
            ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        let line = ProgressBar::new_spinner().with_style(style);
        let (done, told) = (AtomicU64::new(0), Mutex::new(Instant::now()));
        Self { work, all, done, written, line, quiet, told }
    }

    /// One more is done.
    pub(crate) fn add(&self) {
        self.advance(1);
    }

    /// So many more are done.
    pub(crate) fn advance(&self, more: u64) {
        let done = self.done.fetch_add(more, Ordering::Relaxed) + more;
        if self.quiet {
            return;
        }
        // Whoever comes while another thread tells has nothing to add.
        let Ok(mut told) = self.told.try_lock() else { return };
        let is_plain = self.line.is_hidden();
        if told.elapsed() < if is_plain { LINE_INTERVAL } else { STATE_INTERVAL } {
            return;
        }
        *told = Instant::now();
        let state = self.state(done);
        match is_plain {
            true => say(state),
            false => self.line.set_message(printable(&state).into_owned()),
        }
    }

    fn state(&self, done: u64) -> String {
        let (work, done) = (&self.work, (self.written)(done));
        match self.all {
            Some(all) => format!("{work}: {done} of {}", (self.written)(all)),
            None => format!("{work}: {done}"),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.line.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_says_what_is_done_and_with_how_many_of_how_many() {
        assert_eq!(
            Progress::new("reading `train`", Some(1_281_167), false).state(20_480),
            "reading `train`: 20,480 of 1,281,167"
        );
        assert_eq!(Progress::new("looking for images", None, false).state(7), "looking for images: 7");
        assert_eq!(
            Progress::of_bytes("reading", 3 << 40, false).state(1 << 31),
            "reading: 2.00 GiB of 3.00 TiB"
        );
    }
}
