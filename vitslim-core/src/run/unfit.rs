//! Why a trial cannot be trained on its data.

use crate::data::{Dataset, full_batches};
use crate::experiment::{Data, Experiment, ExperimentError, ExperimentErrors, Training, Trial};

/// Why nothing can be trained on `data` as `trial` says: they have one class, a batch is larger than the training split, a warm-up is
/// longer than its stage or has a first rate and no steps, or images cannot be augmented as a stage says.
pub(crate) fn unfit(trial: &Trial, data: &Dataset) -> Vec<ExperimentError> {
    let Experiment { pretrain, retrain, .. } = &trial.experiment;
    let search = trial.experiment.search_training();
    let stages = [("pretrain", pretrain.clone()), ("search", search), ("retrain", retrain.clone())];
    let stages = stages.iter().filter_map(|(stage, training)| Some((*stage, training.as_ref()?)));
    let of_stages = stages.flat_map(|(stage, training)| {
        let images = data.train.len();
        let of_steps = batch(trial, stage, training, images)
            .or_else(|| warmup(trial, stage, training, images))
            .or_else(|| warmup_lr(trial, stage, training, images));
        let of_images = augment(trial, stage, training, data).or_else(|| repeats(trial, stage, training));
        of_steps.into_iter().chain(of_images)
    });
    one_class(trial, data).into_iter().chain(of_stages).flatten().collect()
}

fn one_class(trial: &Trial, data: &Dataset) -> Option<ExperimentErrors> {
    let [only] = &data.class_names[..] else { return None };
    let asked = match &trial.experiment.data {
        Data::ImageFolder { .. } => ": does the folder hold `train/<class>/`?",
        _ => ", so there is nothing to learn",
    };
    let place = match &trial.experiment.data {
        Data::ImageFolder { .. } => ["data", "path"],
        _ => ["data", "classes"],
    };
    Some(trial.document.error(&place, format!("there is only one class, `{only}`{asked}"), None))
}

fn batch(trial: &Trial, stage: &str, training: &Training, images: usize) -> Option<ExperimentErrors> {
    let batch = training.batch.get();
    let message = format!("a batch of {batch} images is larger than the training split, which has {images}");
    let help = format!("write `batch: {images}` or less");
    (batch > images).then(|| trial.document.error(&[stage, "batch"], message, Some(help)))
}

fn warmup(trial: &Trial, stage: &str, training: &Training, images: usize) -> Option<ExperimentErrors> {
    let (epochs, steps) = (training.epochs.get(), full_batches(images, training.batch.get()));
    let (warmup, all) = (training.schedule.warmup(epochs, steps), epochs * steps);
    let message = format!(
        "the warm-up takes {warmup} steps, but `{stage}` has {all} in all: {epochs} epochs of {steps}"
    );
    let help = format!("write `warmup_steps: {all}` or less");
    (warmup > all).then(|| trial.document.error(&[stage, "schedule", "warmup_steps"], message, Some(help)))
}

fn warmup_lr(trial: &Trial, stage: &str, training: &Training, images: usize) -> Option<ExperimentErrors> {
    training.schedule.warmup_lr()?;
    let (epochs, steps) = (training.epochs.get(), full_batches(images, training.batch.get()));
    let message = format!(
        "the warm-up has a first learning rate, but rounds to 0 steps: `{stage}` has {epochs} epochs of {steps}"
    );
    let help = "write `warmup_steps: 1` or more, or remove `warmup_lr`".to_owned();
    let place = [stage, "schedule", "warmup_lr"];
    (training.schedule.warmup(epochs, steps) == 0).then(|| trial.document.error(&place, message, Some(help)))
}

/// With one image in a batch, one that is damaged would end the run, however many may be left out.
fn repeats(trial: &Trial, stage: &str, training: &Training) -> Option<ExperimentErrors> {
    let repeats = training.augment.or_else(|| trial.experiment.data.augment())?.repeats;
    let batch = training.batch.get();
    let place = if training.augment.is_some() { stage } else { "data" };
    let message = format!(
        "a batch of {batch} in `{stage}` would be copies of one image: `{place}.augment` has `repeats: {repeats}`"
    );
    let help = format!("write `batch: {}` or more, or fewer `repeats`", repeats + 1);
    (repeats > 1 && repeats as usize >= batch)
        .then(|| trial.document.error(&[stage, "batch"], message, Some(help)))
}

fn augment(trial: &Trial, stage: &str, training: &Training, data: &Dataset) -> Option<ExperimentErrors> {
    let error = training.augment?.check(data.shape).err()?;
    let place = [&[stage], error.place()].concat();
    Some(trial.document.error(&place, error.to_string(), error.advice().map(str::to_owned)))
}
