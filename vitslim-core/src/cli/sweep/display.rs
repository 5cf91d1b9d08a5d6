//! The progress of a sweep on the terminal: a line for the sweep and one for each running trial, or plain lines without a
//! terminal.

use std::io::{IsTerminal, stderr};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::terminal::say;

/// Time between two frames of the spinner that shows that a trial is alive.
const TURN: Duration = Duration::from_millis(200);

/// The lines of a sweep.
pub(super) struct Display {
    shown: Shown,
    quiet: bool,
}

enum Shown {
    Lines,
    Bars { all: MultiProgress, whole: ProgressBar },
}

/// The line of a running trial.
pub(super) struct TrialLine {
    name: String,
    bar: Option<ProgressBar>,
    quiet: bool,
}

impl Display {
    /// A display for `trials` trials.
    pub(super) fn new(trials: usize, quiet: bool) -> Self {
        let shown = match !quiet && stderr().is_terminal() {
            true => {
                let all = MultiProgress::new();
                let whole = all.add(ProgressBar::new(trials as u64));
                whole.set_style(style("{bar:20} {pos} of {len} trials, {elapsed} {msg}"));
                whole.tick();
                Shown::Bars { all, whole }
            }
            false => Shown::Lines,
        };
        Self { shown, quiet }
    }

    /// Shows that the trial `name` started.
    pub(super) fn begin(&self, name: &str) -> TrialLine {
        let bar = match &self.shown {
            Shown::Lines => {
                self.tell(&format!("{name}: begins"));
                None
            }
            Shown::Bars { all, .. } => {
                let bar = all.add(ProgressBar::new_spinner());
                bar.set_style(style("{spinner} {wide_msg}"));
                bar.set_message(name.to_owned());
                bar.enable_steady_tick(TURN);
                Some(bar)
            }
        };
        TrialLine { name: name.to_owned(), bar, quiet: self.quiet }
    }

    /// Says how a trial ended, and counts it if it is `done`.
    pub(super) fn end(&self, line: TrialLine, how: &str, done: bool) {
        if let Some(bar) = line.bar {
            bar.finish_and_clear();
        }
        self.count(usize::from(done));
        self.tell(&format!("{}: {how}", line.name));
    }

    /// Counts `trials` that do not need to run.
    pub(super) fn count(&self, trials: usize) {
        if let Shown::Bars { whole, .. } = &self.shown {
            whole.inc(trials as u64);
        }
    }

    /// Prints a message that is not a failure.
    pub(super) fn tell(&self, line: &str) {
        if !self.quiet {
            self.say(line);
        }
    }

    /// Prints a message, whatever else is shown.
    pub(super) fn say(&self, line: &str) {
        match &self.shown {
            Shown::Lines => say(line),
            Shown::Bars { all, .. } => all.suspend(|| say(line)),
        }
    }

    /// Restores the terminal.
    pub(super) fn clear(&self) {
        if let Shown::Bars { whole, .. } = &self.shown {
            whole.finish_and_clear();
        }
    }
}

impl TrialLine {
    /// Shows the last line of the trial's output.
    pub(super) fn show(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(format!("{}: {line}", self.name)),
            None if self.quiet => {}
            None => say(format_args!("{}: {line}", self.name)),
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
