//! Training, and evaluation of the trained networks.
//!
//! [`Trainer`] takes one step, [`train`] a whole stage.

mod accuracy;
#[cfg(test)]
mod activation_checkpointing;
mod checkpoint;
mod dependents;
mod distillation;
mod early_stopping;
mod error;
mod evaluate;
mod finite;
#[cfg(test)]
mod fixture;
mod interrupter;
mod loss;
mod memory;
mod optimizer;
mod progress;
mod record;
mod resume;
#[cfg(test)]
mod running_statistics;
mod shared;
mod stage;
mod step;
mod teacher;
mod team;
mod train_loop;
mod trainer;

pub use accuracy::{Accuracy, ClassAccuracy, TOP, accuracy, top1};
pub use checkpoint::CheckpointMismatchError;
pub(crate) use dependents::RESULT;
pub use error::TrainError;
pub(crate) use evaluate::{BATCH, computed, latencies, read};
pub use evaluate::{EvaluateError, THROUGHPUT_BATCH, difference, throughput};
pub use interrupter::Interrupter;
pub(crate) use loss::cross_entropy;
pub(crate) use memory::{hush_out_of_memory, last_words};
pub(crate) use optimizer::layer_rates;
pub use record::Place;
pub(crate) use record::{RECORD, events_folder, forget_retraining};
pub use resume::{CheckpointError, Loaded, checkpoint_folder, load_pretrained};
pub(crate) use resume::{
    flaw, has_checkpoint, is_followed, is_whole, load_result, recorded_seconds, spare, spare_of_shared,
};
pub(crate) use shared::{IDENTITY, is_named, shared_stage};
pub use stage::StageRun;
pub use teacher::Teacher;
pub use team::{DeviceError, Devices, NamedDevice};
pub use train_loop::{Trained, train};
pub use trainer::{StepError, Trainer, TrainerSettings};
