//! How far work on many files is.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use crate::terminal::{printable, say};

/// Time between two plain lines.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Time between two states of a line that is redrawn.
const STATE_INTERVAL: Duration = Duration::from_millis(200);

/// Tells on standard error how many files are done: in a line that is redrawn, or in plain lines without a terminal. Of work that takes
/// no longer than the time between two, nothing is told, and nothing of `quiet` work.
pub(super) struct Progress {
    /// What is done with the files.
    work: String,
    /// Number of files; `None` if nobody knows.
    files: Option<usize>,
    done: AtomicUsize,
    line: ProgressBar,
    quiet: bool,
    told: Mutex<Instant>,
}

impl Progress {
    pub(super) fn new(work: impl Into<String>, files: Option<usize>, quiet: bool) -> Self {
        let style =
            ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        let line = ProgressBar::new_spinner().with_style(style);
        Self {
            work: work.into(),
            files,
            done: AtomicUsize::new(0),
            line,
            quiet,
            told: Mutex::new(Instant::now()),
        }
    }

    /// One more file is done.
    pub(super) fn add(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
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

    fn state(&self, done: usize) -> String {
        let (work, done) = (&self.work, HumanCount(done as u64));
        match self.files {
            Some(files) => format!("{work}: {done} of {}", HumanCount(files as u64)),
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
    }
}
