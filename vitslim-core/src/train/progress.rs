//! What the terminal shows while a stage runs: a line that is drawn again and again, or plain lines where there is no terminal.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use burn::train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
use burn::train::metric::{MetricDefinition, MetricId, MetricName};
use burn::train::renderer::{
    EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation, MetricsRendererTraining,
};
use burn::train::{Interrupter, LearnerSummary};
use indicatif::{FormattedDuration, HumanDuration, ProgressBar, ProgressStyle};

use super::meter::{field_of, value_of};
use super::stage::StageRun;
use crate::device::is_cpu;
use crate::terminal::say;

/// Time between two plain lines.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// The progress of one stage, and how long the run will take after it.
pub struct StageProgress {
    /// `search` or `retrain share-0.5`.
    title: String,
    shown: Shown,
    epochs: usize,
    /// Epochs that are finished.
    done: usize,
    /// Those of them that were finished before a restart.
    done_before: usize,
    images_an_epoch: usize,
    images_done: usize,
    /// Images that are trained on in later stages.
    images_later: usize,
    interrupter: Interrupter,
    /// Whether the device compiles what it computes, at the first step.
    compiles: bool,
    training: bool,
    started: Instant,
    trained: Duration,
    split_started: Instant,
    line_printed: Instant,
    names: HashMap<MetricId, MetricName>,
    loss: Option<f64>,
    held_out_top1: Option<f64>,
}

enum Shown {
    Nothing,
    Lines,
    /// On a terminal, where it is drawn over.
    Line(ProgressBar),
}

impl StageProgress {
    /// Progress of the stage of `run`, which has `epochs` epochs.
    pub(super) fn new(run: &StageRun, epochs: usize) -> Self {
        let title = run.title();
        let shown = match run.quiet {
            true => Shown::Nothing,
            false => line(&title).map_or(Shown::Lines, Shown::Line),
        };
        let progress =
            Self::of(title, shown, epochs, run.train.len(), run.images_later, run.interrupter.clone());
        Self { compiles: !is_cpu(&run.devices.first.device), ..progress }
    }

    fn of(
        title: String,
        shown: Shown,
        epochs: usize,
        images_an_epoch: usize,
        images_later: usize,
        interrupter: Interrupter,
    ) -> Self {
        let now = Instant::now();
        Self {
            title,
            shown,
            epochs,
            done: 0,
            done_before: 0,
            images_an_epoch,
            images_done: 0,
            images_later,
            interrupter,
            compiles: false,
            training: false,
            started: now,
            trained: Duration::ZERO,
            split_started: now,
            line_printed: now,
            names: HashMap::new(),
            loss: None,
            held_out_top1: None,
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

    /// Time left for the stage, and for the run. The latter takes later stages to be as slow as this one, validation
    /// included: sub-networks are faster, so that it rather takes less.
    fn left(&self) -> [Duration; 2] {
        let left = (self.epochs * self.images_an_epoch).saturating_sub(self.images());
        let per_image = self.started.elapsed().as_secs_f64() / self.images_since_start().max(1) as f64;
        [left, left + self.images_later].map(|images| Duration::from_secs_f64(per_image * images as f64))
    }

    /// `5893 images/s, loss 2.0171, held-out top-1 0.4750`
    fn measured(&self) -> String {
        let known = |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{value:.4}"));
        format!(
            "{:.0} images/s, loss {}, held-out top-1 {}",
            self.images_per_second(),
            known(self.loss),
            known(self.held_out_top1)
        )
    }

    /// Where it is while it runs.
    fn state(&self) -> String {
        let epoch = (self.done + 1).min(self.epochs);
        if self.compiles && self.images_since_start() == 0 {
            return format!(
                "epoch {epoch}/{}, compiling for the device; later runs find it done",
                self.epochs
            );
        }
        let [stage, run] = self.left().map(HumanDuration);
        format!("epoch {epoch}/{}, {}, {stage:#} left, run {run:#}", self.epochs, self.measured())
    }

    /// What came of it, or `None` when it did not come to its end.
    fn outcome(&self) -> Option<String> {
        if self.done == self.done_before || self.interrupter.should_stop() {
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

impl TrainingProgressLogger for StageProgress {
    fn start(&mut self, _: usize, first_epoch: usize, _: Option<usize>, _: Option<&str>) {
        self.started = Instant::now();
        self.done = first_epoch.saturating_sub(1);
        self.done_before = self.done;
    }

    fn update_epoch(&mut self, epoch: usize) {
        self.done = epoch;
        self.images_done = 0;
        self.show();
    }

    fn start_split(&mut self, split: &str, _: usize) {
        self.training = split == "train";
        self.split_started = Instant::now();
        // The first step may take minutes, and nothing is told before it is done.
        if self.compiles && self.training && self.images_since_start() == 0 {
            match &self.shown {
                Shown::Lines => self.print(),
                Shown::Line(_) | Shown::Nothing => self.show(),
            }
        }
    }

    fn update_split(&mut self, images: usize) {
        if self.training {
            self.images_done = images;
            self.show();
        }
    }

    fn end_split(&mut self) {
        if self.training {
            self.trained += self.split_started.elapsed();
            self.training = false;
        }
    }

    fn end(&mut self) {
        if let Shown::Line(line) = &self.shown {
            line.finish_and_clear();
        }
        if let (false, Some(outcome)) = (matches!(self.shown, Shown::Nothing), self.outcome()) {
            say(format_args!("{}: {outcome}", self.title));
        }
    }

    fn log_event_training(&mut self, _: String) {}
}

impl MetricsRendererTraining for StageProgress {
    fn update_train(&mut self, state: MetricState) {
        if let Some(("loss", loss)) = self.read(state) {
            self.loss = Some(loss);
        }
    }

    fn update_valid(&mut self, state: MetricState) {
        if let Some(("top1", top1)) = self.read(state) {
            self.held_out_top1 = Some(top1);
        }
    }

    /// By default it would be printed on standard output, which is for the results of the run.
    fn on_train_end(&mut self, _: Option<LearnerSummary>) -> Result<(), Box<dyn std::error::Error>> {
        Ok(())
    }
}

impl StageProgress {
    /// The field and value of a metric's running mean.
    fn read(&self, state: MetricState) -> Option<(&'static str, f64)> {
        let MetricState::Numeric(entry, Some(value)) = state else { return None };
        let name = self.names.get(&entry.metric_id)?;
        Some((field_of(name), value_of(name, value.current())))
    }
}

impl MetricsRenderer for StageProgress {
    fn manual_close(&mut self) {}

    fn register_metric(&mut self, definition: MetricDefinition) {
        self.names.insert(definition.metric_id, definition.name);
    }
}

// The traits come together, but no evaluation goes through the renderer.
impl MetricsRendererEvaluation for StageProgress {
    fn update_test(&mut self, _: EvaluationName, _: MetricState) {}
}

impl EvaluationProgressLogger for StageProgress {
    fn start_global_progress(&mut self, _: usize) {}
    fn start_test(&mut self, _: &str, _: usize) {}
    fn update_test_progress(&mut self, _: usize) {}
    fn end_test(&mut self) {}
    fn end_global_progress(&mut self) {}
    fn log_event_evaluation(&mut self, _: String) {}
}

/// A line to draw over, where standard error is a terminal.
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

    /// Ten seconds after it began, with an epoch of two behind it and a quarter of the other.
    fn progress() -> StageProgress {
        let mut progress =
            StageProgress::of("search".into(), Shown::Nothing, 2, 100, 300, Interrupter::new());
        progress.start(0, 1, None, None);
        progress.update_epoch(1);
        progress.images_done = 25;
        progress.started = Instant::now() - Duration::from_secs(10);
        progress.trained = Duration::from_secs(5);
        progress
    }

    /// What `work` answers when the machine lets it go on without a pause, which would count as time that has passed.
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
        assert_eq!(state, "epoch 2/2, 25 images/s, loss -, held-out top-1 -, 6s left, run 30s");
        let mut progress = progress();
        (progress.loss, progress.held_out_top1) = (Some(0.125), Some(0.5));
        assert!(progress.state().contains("loss 0.1250, held-out top-1 0.5000"));
    }

    #[test]
    fn a_device_that_compiles_says_so_until_its_first_step_is_done() {
        let mut progress = StageProgress { compiles: true, images_done: 0, ..progress() };
        progress.start(0, 2, None, None);
        assert_eq!(progress.state(), "epoch 2/2, compiling for the device; later runs find it done");
        progress.start_split("train", 100);
        progress.update_split(25);
        assert!(progress.state().contains("images/s"), "{}", progress.state());
    }

    #[test]
    fn the_outcome_is_told_of_what_was_done() {
        let mut progress = progress();
        progress.start(0, 1, None, None);
        progress.started = Instant::now() - Duration::from_secs(10);
        assert_eq!(progress.outcome(), None);
        progress.update_epoch(2);
        assert_eq!(
            progress.outcome().unwrap(),
            "2 epochs in 00:00:10, 40 images/s, loss -, held-out top-1 -"
        );
        progress.start(0, 2, None, None);
        progress.update_epoch(2);
        assert!(progress.outcome().unwrap().starts_with("epochs 2 to 2 in 00:00:00"));
        progress.interrupter.stop(None);
        assert_eq!(progress.outcome(), None);
    }
}
