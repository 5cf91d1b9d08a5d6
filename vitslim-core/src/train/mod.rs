//! Training, on burn-train, and what is measured of the result.

mod accuracy;
mod checkpoint;
mod evaluate;
mod load;
mod optimizer;
mod penalty;
mod progress;
mod record;
mod stage;
mod step;
mod stepper;
mod watch;

pub use accuracy::{Accuracy, ClassAccuracy, TOP, accuracy, top1};
pub use evaluate::{EvaluateError, THROUGHPUT_BATCH, difference, throughput};
pub use load::{CheckpointError, Loaded, load_checkpoint};
pub use stage::{StageRun, TrainError, Trained, checkpoint_folder, train};
pub use stepper::Stepper;
