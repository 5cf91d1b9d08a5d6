//! Training, on burn-train, and what is measured of the result.

mod evaluate;
mod metrics;
mod optimizer;
mod progress;
mod stage;
mod step;

pub use evaluate::{EvaluateError, THROUGHPUT_BATCH, difference, throughput, top1};
pub use stage::{StageRun, TrainError, train};
