//! Training, on burn-train, and what is measured of the result.

mod accuracy;
mod adamw;
mod checkpoint;
mod clip;
mod ema;
mod ending;
mod error;
mod evaluate;
mod events;
mod fit;
mod freeze;
mod layer_decay;
mod load;
mod mask_statistics;
mod memory;
mod meter;
mod metrics;
mod optimizer;
mod parallel;
mod progress;
mod record;
#[cfg(test)]
mod running_statistics;
mod share;
mod stage;
mod step;
mod stepper;
mod take_up;
mod tensorboard;
mod watch;

pub use accuracy::{Accuracy, ClassAccuracy, TOP, accuracy, top1};
pub use error::TrainError;
pub(crate) use evaluate::read;
pub use evaluate::{EvaluateError, THROUGHPUT_BATCH, difference, throughput};
pub(crate) use events::events_folder;
pub use load::{CheckpointError, Loaded, load_pretrained};
pub(crate) use memory::hush_out_of_memory;
pub use parallel::{Devices, NamedDevice};
pub(crate) use record::{RECORD, forget_retraining};
pub use stage::{StageRun, Trained, checkpoint_folder, train};
pub(crate) use step::cross_entropy;
pub use stepper::Stepper;
pub(crate) use take_up::{has_checkpoint, is_whole};
