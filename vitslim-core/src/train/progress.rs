//! The progress of a stage on the terminal: a line that is redrawn, or plain lines without a terminal.

use std::time::{Duration, Instant};

use indicatif::{FormattedDuration, HumanDuration, ProgressBar, ProgressStyle};

use super::stage::StageRun;
use crate::data::images_of_epoch;
use crate::device::is_cpu;
use crate::terminal::{redraw, say};

/// Time between two plain lines.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// The progress of one stage, and an estimate of the time that the run will take after it.
pub struct StageProgress {
    /// `search` or `retrain share-0.5`.
    title: String,
    shown: Shown,
    epochs: usize,
    /// Epochs that are finished.
    done: usize,
    /// Epochs that were finished before a restart.
    done_before: usize,
    images_an_epoch: usize,
    images_done: usize,
    /// Images that later stages train on.
    images_later: usize,
    /// Whether the device compiles kernels at its first step.
    compiles: bool,
    training: bool,
    started: Instant,
    trained: Duration,
    split_started: Instant,
    line_printed: Instant,
    loss: Option<f64>,
    held_out_top1: Option<f64>,
}

enum Shown {
    Nothing,
    Lines,
    /// A line on a terminal, which is redrawn.
    Line(ProgressBar),
}

impl StageProgress {
    /// Progress of the stage of `run`, which resumes after `done` epochs.
    pub(super) fn new(run: &StageRun, done: usize) -> Self {
        let title = run.title();
        let shown = match run.quiet {
            true => Shown::Nothing,
            false => line(&title).map_or(Shown::Lines, Shown::Line),
        };
        if let Shown::Line(line) = &shown {
            redraw(Some(line.clone()));
        }
        let now = Instant::now();
        Self {
            title,
            shown,
            epochs: run.training.epochs.get(),
            done,
            done_before: done,
            images_an_epoch: images_of_epoch(run.train.len(), run.training.batch.get()),
            images_done: 0,
            images_later: run.images_later,
            compiles: !is_cpu(&run.devices.first.device),
            training: false,
            started: now,
            trained: Duration::ZERO,
            split_started: now,
            line_printed: now,
            loss: None,
            held_out_top1: None,
        }
    }

    /// An epoch starts to train.
    pub(super) fn begin_training(&mut self) {
        self.training = true;
        self.split_started = Instant::now();
        // The first step may take minutes, and nothing else is shown before it ends.
        if self.compiles && self.images_since_start() == 0 {
            match &self.shown {
                Shown::Lines => self.print(),
                Shown::Line(_) | Shown::Nothing => self.show(),
            }
        }
    }

    /// A step of `images` images was taken; `loss` is the mean of the epoch so far, if it has been read.
    pub(super) fn step(&mut self, images: usize, loss: Option<f64>) {
        self.images_done += images;
        self.loss = loss.or(self.loss);
        self.show();
    }

    /// The epoch is trained; validation follows.
    pub(super) fn begin_validation(&mut self) {
        self.trained += self.split_started.elapsed();
        self.training = false;
    }

    /// The epoch is done; `held_out_top1` is top-1 on the validation split.
    pub(super) fn end_epoch(&mut self, held_out_top1: Option<f64>) {
        self.done += 1;
        self.images_done = 0;
        self.held_out_top1 = held_out_top1;
        self.show();
    }

    /// The stage is complete.
    pub(super) fn end(self) {
        self.clear();
        if let (false, Some(outcome)) = (matches!(self.shown, Shown::Nothing), self.outcome()) {
            say(format_args!("{}: {outcome}", self.title));
        }
    }

    fn clear(&self) {
        if let Shown::Line(line) = &self.shown {
            line.finish_and_clear();
            redraw(None);
        }
    }

    fn images(&self) -> usize {
        self.done * self.images_an_epoch + self.images_done
    }

    fn images_since_start(&self) -> usize {
        self.images() - self.done_before * self.images_an_epoch
    }

    fn images_per_second(&self) -> f64 {
        let running = if self.training { self.split_started.elapsed() } else { Duration::ZERO };
        self.images_since_start() as f64 / (self.trained + running).as_secs_f64().max(1e-9)
    }

    /// Time left for the stage, and for the run. The estimate for the run assumes that later stages, with their validation, are
    /// as slow as this one. Sub-networks are faster, so it errs on the long side.
    fn left(&self) -> [Duration; 2] {
        let left = (self.epochs * self.images_an_epoch).saturating_sub(self.images());
        let per_image = self.started.elapsed().as_secs_f64() / self.images_since_start().max(1) as f64;
        [left, left + self.images_later].map(|images| Duration::from_secs_f64(per_image * images as f64))
    }

    /// `5893 images/s, loss 2.0171, validation top-1 0.4750`
    fn measured(&self) -> String {
        let known = |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{value:.4}"));
        format!(
            "{:.0} images/s, loss {}, validation top-1 {}",
            self.images_per_second(),
            known(self.loss),
            known(self.held_out_top1)
        )
    }

    /// What to show while the stage runs.
    fn state(&self) -> String {
        let epoch = (self.done + 1).min(self.epochs);
        if self.compiles && self.images_since_start() == 0 {
            return format!("epoch {epoch}/{}, compiling for the device; later runs reuse it", self.epochs);
        }
        let [stage, run] = self.left().map(HumanDuration);
        format!("epoch {epoch}/{}, {}, {stage:#} left, run {run:#}", self.epochs, self.measured())
    }

    /// The result of the stage, or `None` if no epoch was trained.
    fn outcome(&self) -> Option<String> {
        if self.done == self.done_before {
            return None;
        }
        let took = FormattedDuration(self.started.elapsed());
        let epochs = match (self.done_before, self.done) {
            (0, 1) => "1 epoch".to_owned(),
            (0, all) => format!("{all} epochs"),
            (before, all) => format!("epochs {} to {all}", before + 1),
        };
        Some(format!("{epochs} in {took}, {}", self.measured()))
    }

    fn show(&mut self) {
        match &self.shown {
            Shown::Line(line) => line.set_message(self.state()),
            Shown::Lines if self.line_printed.elapsed() >= LINE_INTERVAL => self.print(),
            Shown::Lines | Shown::Nothing => {}
        }
    }

    fn print(&mut self) {
        say(format_args!("{}: {}", self.title, self.state()));
        self.line_printed = Instant::now();
    }
}

/// Also when an error ends the stage.
impl Drop for StageProgress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A line that is redrawn, if standard error is a terminal.
fn line(title: &str) -> Option<ProgressBar> {
    let line = ProgressBar::new_spinner();
    let style = ProgressStyle::with_template("{prefix}: {msg}");
    let line = line.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    let line = line.with_prefix(title.to_owned());
    (!line.is_hidden()).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten seconds after the start, with one epoch of two done and a quarter of the other.
    fn progress() -> StageProgress {
        let now = Instant::now();
        StageProgress {
            title: "search".into(),
            shown: Shown::Nothing,
            epochs: 2,
            done: 1,
            done_before: 0,
            images_an_epoch: 100,
            images_done: 25,
            images_later: 300,
            compiles: false,
            training: false,
            started: now - Duration::from_secs(10),
            trained: Duration::from_secs(5),
            split_started: now,
            line_printed: now,
            loss: None,
            held_out_top1: None,
        }
    }

    /// The result of `work`, repeated until the machine made no pause in it: a pause would count as time that has passed.
    fn at_once<T>(work: impl Fn() -> T) -> T {
        loop {
            let begun = Instant::now();
            let answer = work();
            if begun.elapsed() < Duration::from_millis(10) {
                return answer;
            }
        }
    }

    #[test]
    fn time_left_counts_the_later_stages() {
        let [stage, run] = at_once(|| progress().left()).map(|left| left.as_secs_f64());
        assert!((stage - 6.0).abs() < 0.1, "75 of 125 images a 10 s are left, not {stage} s");
        assert!((run - 30.0).abs() < 0.1, "and 300 later, not {run} s");
    }

    #[test]
    fn the_state_says_all() {
        let state = at_once(|| progress().state());
        assert_eq!(state, "epoch 2/2, 25 images/s, loss -, validation top-1 -, 6s left, run 30s");
        let mut progress = progress();
        (progress.loss, progress.held_out_top1) = (Some(0.125), Some(0.5));
        assert!(progress.state().contains("loss 0.1250, validation top-1 0.5000"));
    }

    #[test]
    fn a_device_that_compiles_says_so_until_its_first_step_is_done() {
        let mut progress = progress();
        (progress.compiles, progress.images_done, progress.done_before) = (true, 0, 1);
        assert_eq!(progress.state(), "epoch 2/2, compiling for the device; later runs reuse it");
        progress.begin_training();
        progress.step(25, None);
        assert!(progress.state().contains("images/s"), "{}", progress.state());
    }

    #[test]
    fn the_outcome_is_told_of_what_was_done() {
        let mut progress = progress();
        progress.done_before = 1;
        assert_eq!(progress.outcome(), None);
        progress.done_before = 0;
        progress.begin_training();
        progress.step(75, Some(0.25));
        progress.begin_validation();
        progress.end_epoch(Some(0.5));
        assert_eq!((progress.images(), progress.training), (200, false));
        progress.trained = Duration::from_secs(5);
        let outcome = progress.outcome().unwrap();
        assert_eq!(outcome, "2 epochs in 00:00:10, 40 images/s, loss 0.2500, validation top-1 0.5000");
        progress.done_before = 1;
        assert!(progress.outcome().unwrap().starts_with("epochs 2 to 2 in 00:00:10"));
    }
}
