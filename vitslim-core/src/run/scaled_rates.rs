//! The learning rates that are scaled to the batch of their stage.

use crate::data::Stage;
use crate::experiment::{Experiment, Rate, Training};
use crate::report::ScaledRate;

/// The learning rates of the stages of `experiment` with `lr_of_batch`, in order.
pub(crate) fn scaled_rates(experiment: &Experiment) -> Vec<ScaledRate> {
    let Experiment { pretrain, search, retrain, .. } = experiment;
    let searching = experiment.search_training();
    let stages: [(Stage, Option<&Training>, Option<Rate>); 3] = [
        (Stage::Pretrain, pretrain.as_ref(), None),
        (Stage::Search, searching.as_ref(), search.masks.lr),
        (Stage::Retrain, retrain.as_ref(), None),
    ];
    let scaled = stages.into_iter().filter_map(|(stage, training, masks)| {
        let training = training.filter(|training| training.lr_of_batch.is_some())?;
        Some(ScaledRate {
            stage: stage.name().to_owned(),
            batch: training.batch.get(),
            learning_rate: training.lr(),
            masks: masks.map(|masks| training.scaled(masks)),
        })
    });
    scaled.collect()
}
