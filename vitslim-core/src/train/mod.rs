//! Training, on burn-train, and what is measured of the result.

mod checkpoint;
mod evaluate;
mod optimizer;
mod penalty;
mod progress;
mod record;
mod stage;
mod step;
mod watch;

pub use evaluate::{EvaluateError, THROUGHPUT_BATCH, difference, throughput, top1};
pub use stage::{StageRun, TrainError, Trained, checkpoint_folder, train};
