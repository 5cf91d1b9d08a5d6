//! What the terminal shows while a stage runs: a bar, or plain lines where there is no terminal.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use burn::train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
use burn::train::metric::{MetricDefinition, MetricId, MetricName};
use burn::train::renderer::{
    EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation, MetricsRendererTraining,
};
use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::meter::{field_of, value_of};

/// Time between two plain lines.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// The progress of one stage.
pub struct StageProgress {
    /// `search` or `retrain share-0.5`.
    title: String,
    bar: Option<ProgressBar>,
    epochs: usize,
    /// Epochs that are finished.
    done: usize,
    /// Those of them that were finished before a restart.
    done_before: usize,
    images_an_epoch: usize,
    images_done: usize,
    training: bool,
    started: Instant,
    trained: Duration,
    split_started: Instant,
    line_printed: Instant,
    names: HashMap<MetricId, MetricName>,
    loss: f64,
    held_out_top1: Option<f64>,
}

impl StageProgress {
    /// Progress of the stage called `title`.
    pub fn new(title: String, epochs: usize, images_an_epoch: usize) -> Self {
        let now = Instant::now();
        let bar = std::io::stderr().is_terminal().then(|| {
            let total = (epochs * images_an_epoch) as u64;
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{prefix} {wide_bar} {msg}");
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())).with_prefix(title.clone())
        });
        Self {
            title,
            bar,
            epochs,
            done: 0,
            done_before: 0,
            images_an_epoch,
            images_done: 0,
            training: false,
            started: now,
            trained: Duration::ZERO,
            split_started: now,
            line_printed: now,
            names: HashMap::new(),
            loss: f64::NAN,
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

    fn left(&self) -> Duration {
        let (done, all) = (self.images(), self.epochs * self.images_an_epoch);
        let per_image = self.started.elapsed().as_secs_f64() / self.images_since_start().max(1) as f64;
        Duration::from_secs_f64(per_image * all.saturating_sub(done) as f64)
    }

    fn state(&self, epoch: usize) -> String {
        let top1 = self.held_out_top1.map_or_else(|| "-".into(), |top1| format!("{top1:.4}"));
        format!(
            "epoch {epoch}/{}  {:.0} images/s  loss {:.4}  held-out top-1 {top1}",
            self.epochs,
            self.images_per_second(),
            self.loss,
        )
    }

    fn show_bar(&self) {
        if let Some(bar) = &self.bar {
            bar.set_position(self.images() as u64);
            let state = self.state((self.done + 1).min(self.epochs));
            bar.set_message(format!("{state}  {} left", HumanDuration(self.left())));
        }
    }

    fn print_line(&mut self) {
        let last = self.done == self.epochs && !self.training;
        if self.bar.is_none() && (last || self.line_printed.elapsed() >= LINE_INTERVAL) {
            let left = if last {
                format!("took {}", HumanDuration(self.started.elapsed()))
            } else {
                format!("{} left", HumanDuration(self.left()))
            };
            let epoch = self.done + usize::from(self.training);
            eprintln!("{}: {}  {left}", self.title, self.state(epoch));
            self.line_printed = Instant::now();
        }
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
        self.show_bar();
        self.print_line();
    }

    fn start_split(&mut self, split: &str, _: usize) {
        self.training = split == "train";
        self.split_started = Instant::now();
    }

    fn update_split(&mut self, images: usize) {
        if self.training {
            self.images_done = images;
            self.show_bar();
            self.print_line();
        }
    }

    fn end_split(&mut self) {
        if self.training {
            self.trained += self.split_started.elapsed();
            self.training = false;
        }
    }

    fn end(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            let took = HumanDuration(self.started.elapsed());
            eprintln!("{}: {}  took {took}", self.title, self.state(self.done));
        }
    }

    fn log_event_training(&mut self, _: String) {}
}

impl MetricsRendererTraining for StageProgress {
    fn update_train(&mut self, state: MetricState) {
        if let Some(("loss", loss)) = self.read(state) {
            self.loss = loss;
        }
    }

    fn update_valid(&mut self, state: MetricState) {
        if let Some(("top1", top1)) = self.read(state) {
            self.held_out_top1 = Some(top1);
        }
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
