//! Training, on burn-train, and what is measured of the result.

mod checkpoint;
mod clip;
mod ema;
mod error;
mod evaluate;
mod fit;
mod freeze;
mod layer_decay;
mod mask_statistics;
mod meter;
mod metrics;
mod optimizer;
mod progress;
mod record;
mod stage;
mod step;
mod watch;

pub use error::TrainError;
pub use evaluate::{EvaluateError, THROUGHPUT_BATCH, difference, throughput, top1};
pub use stage::{StageRun, Trained, checkpoint_folder, train};
