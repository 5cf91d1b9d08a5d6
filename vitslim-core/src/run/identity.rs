//! The identity of a stage: everything that its numbers depend on. Stages with the same identity are the same computation.

use std::fmt::Write;
use std::path::PathBuf;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::budget::PreparedBudget;
use super::prepared::Prepared;
use crate::data::DataContent;
use crate::experiment::{Experiment, Importance};
use crate::models::Architecture;
use crate::slim::{CutTokens, NormStatistics};

/// How training computes. Raise it with each change after which the same settings and data train to other numbers: otherwise trials
/// take over what an earlier version trained as if it were the same.
pub(super) const TRAINING: u32 = 2;

/// The identities of the stages of one trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identities {
    /// The identity of the pretraining, or of the initial network if there is none.
    pub(crate) pretrain: Identity,
    /// The identity of the search, or of the scores if there is none.
    pub(crate) search: Identity,
}

/// A name for a stage that changes with anything that the stage depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity(String);

impl Identity {
    /// The name, in letters and digits.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The identity of something that depends on `parts`.
    fn of(parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            // Each part with its length, so that no two lists of parts hash the same text.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let digits = hash.finalize().iter().take(8).fold(String::new(), |mut digits, byte| {
            let _ = write!(digits, "{byte:02x}");
            digits
        });
        Self(digits)
    }
}

/// What a stage depends on besides the experiment and its data.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances<'a> {
    /// The device, since another device rounds differently.
    pub(crate) device: &'a str,
    /// The initial network, as [`signature`](crate::graph::signature) tells it from others.
    pub(crate) network: &'a str,
}

impl Identities {
    /// The identities of the stages of `prepared`.
    pub(crate) fn new<A: Architecture>(prepared: &Prepared<A>, circumstances: Circumstances) -> Self {
        let experiment = named(prepared);
        let settings = written(&(
            experiment.seed,
            experiment.log_every,
            experiment.precision,
            &experiment.model.architecture,
            experiment.data.beside_content(),
            &experiment.pretrain,
        ));
        let config = written(&prepared.config);
        // Nothing is trained on the test split.
        let DataContent { classes, train, held_out, test: _ } = prepared.data.content();
        let data = written(&(classes, train, held_out, &prepared.data.normalisation));
        let Circumstances { device, network } = circumstances;
        let training = TRAINING.to_string();
        let pixels = prepared.data.pixels().map(|version| version.to_string());
        let mut parts = vec!["pretrain", &training, &data, device, network, &settings, &config];
        // Of data in memory, the pixels are the content.
        parts.extend(pixels.iter().flat_map(|pixels| ["pixels", pixels]));
        // Random weights have none, and keep the names that they had.
        parts.extend(prepared.pretrained.iter().map(|pretrained| pretrained.sha256.as_str()));
        parts.extend(teacher(prepared, "pretrain"));
        let pretrain = Identity::of(&parts);
        let search = match experiment.importance {
            Importance::Masks => {
                let searched = written(&experiment.search);
                let mut parts = vec!["search", pretrain.as_str(), &searched];
                parts.extend(teacher(prepared, "search"));
                Identity::of(&parts)
            }
            // Of the search, the scores depend on no more.
            other => {
                let search = &experiment.search;
                let scored = written(&(other, search.batch, search.accumulate, &search.dimensions));
                Identity::of(&["importance", pretrain.as_str(), &scored])
            }
        };
        Self { pretrain, search }
    }

    /// The identity of the retraining of the sub-network of `budget`.
    pub(crate) fn retrain<A: Architecture>(
        &self,
        prepared: &Prepared<A>,
        budget: &PreparedBudget,
    ) -> Identity {
        let experiment = named(prepared);
        let settings =
            written(&(&budget.shares, experiment.cut_rule(), &experiment.round_to, &experiment.retrain));
        // What is left out has the names that it had before it could be written.
        let limits = (!budget.limits.is_empty()).then(|| written(&(&budget.limits, experiment.ranking)));
        let is_spared = !experiment.keep_at_least.is_empty() || !experiment.protect.is_empty();
        let floors = is_spared.then(|| written(&(&experiment.keep_at_least, &experiment.protect)));
        let mut parts = vec!["retrain", self.search.as_str(), &settings];
        parts.extend(limits.iter().flat_map(|limits| ["limits", limits]));
        let fewer = budget.fewer.map(|fewer| written(&fewer));
        parts.extend(fewer.iter().flat_map(|fewer| ["fewer tokens", fewer]));
        parts.extend(floors.iter().flat_map(|floors| ["floors", floors]));
        parts.extend(experiment.correct.then_some("corrected"));
        parts.extend((experiment.norm == NormStatistics::Sliced).then_some("sliced norms"));
        parts.extend((experiment.tokens == CutTokens::Merge).then_some("merged tokens"));
        parts.extend(teacher(prepared, "retrain"));
        Identity::of(&parts)
    }
}

/// The experiment of `prepared` as names are made of it. Teachers are known by their content, wherever they are. `data` augment as the
/// first stage does, and a later stage writes what it does only where that is something else: the same augmentation has the same name
/// wherever it is written, and one that no stage has is in none.
fn named<A: Architecture>(prepared: &Prepared<A>) -> Experiment {
    let mut named = prepared.experiment.clone().map_teachers(|_| PathBuf::new());
    let Some(of_data) = prepared.experiment.data.augment() else { return named };
    let Experiment { pretrain, search, retrain, .. } = &mut named;
    let pretrain = pretrain.as_mut().map(|stage| &mut stage.augment);
    let retrain = retrain.as_mut().map(|stage| &mut stage.augment);
    let stages: Vec<_> = [pretrain, Some(&mut search.augment), retrain].into_iter().flatten().collect();
    let first = stages[0].unwrap_or(of_data);
    for augment in stages {
        *augment = Some(augment.unwrap_or(of_data)).filter(|augment| *augment != first);
    }
    named.data = named.data.augmented(first);
    named
}

/// The identity of the network of another run or program that teaches `stage`, if one does.
fn teacher<'a, A: Architecture>(prepared: &'a Prepared<A>, stage: &str) -> Option<&'a str> {
    Some(prepared.teachers.get(stage)?.identity.as_str())
}

fn written(settings: &impl Serialize) -> String {
    // Settings that cannot be written equal no others.
    ron::to_string(settings).unwrap_or_else(|error| format!("{error}, {:?}", std::time::SystemTime::now()))
}
