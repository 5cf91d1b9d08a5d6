//! Checks an experiment against its data and its architecture, before anything is trained.

use std::collections::BTreeMap;

use super::config::{Facts, config, facts};
use super::known::Known;
use super::prepare_error::PrepareError;
use super::prepared::Prepared;
use super::pretrained::{Pretrained, pretrained_error};
use super::selection::{Keys, keys};
use super::unfit::unfit;
use crate::data::Dataset;
use crate::experiment::{Data, ExperimentErrors, Trial};
use crate::models::Architecture;
use crate::slim::{Dimension, NormStatistics, Plan};

impl<A: Architecture> Prepared<A> {
    /// Checks `trial` against its data and its architecture.
    ///
    /// # Errors
    ///
    /// The mistakes in the file, at their places.
    pub fn new(trial: &Trial) -> Result<Self, PrepareError> {
        Ok(Self::of_sweep(trial, &mut Known::default())?.0)
    }

    /// [`Prepared::new`] for a trial of a sweep. What it reads is `known` to the next one. Hands on the dense network that it built to
    /// check the keys, unless that was known.
    ///
    /// # Errors
    ///
    /// The mistakes in the file, at their places.
    pub(crate) fn of_sweep(trial: &Trial, known: &mut Known) -> Result<(Self, Option<A>), PrepareError> {
        let pretrained = known.pretrained::<A>(trial);
        let find = |facts: &Facts, known: &mut Known| {
            Network::<A>::find(trial, facts, pretrained.clone()?.as_ref(), known)
        };
        // To read images in files for the first time may take hours: mistakes in the network are reported before.
        if let Data::ImageFolder { image_size, .. } | Data::Shards { image_size, .. } = &trial.experiment.data
        {
            find(&[("image_size", image_size.get()), ("channels", 3)], known)?;
        }
        let data = known.data(trial)?;
        let unfit = unfit(trial, &data);
        let network = match find(&facts(&data), known) {
            Err(PrepareError::Experiment(errors)) => return Err(errors.and(unfit).into()),
            network => ExperimentErrors::check(unfit).map_err(PrepareError::from).and(network)?,
        };
        let (mut prepared, dense) = Self::put_together(trial, data, pretrained?, network)?;
        prepared.pretrained_notes = known.fitted(trial, &prepared, dense.as_ref())?;
        Ok((prepared, dense))
    }

    /// `trial` with `data` to evaluate the dense network of its run on, or a sub-network, which need not be enough to train on.
    ///
    /// # Errors
    ///
    /// The mistakes in the file, at their places.
    pub(crate) fn with_data(trial: &Trial, data: Dataset, is_dense: bool) -> Result<Self, PrepareError> {
        let pretrained = match is_dense {
            true => Pretrained::open_of_run::<A>(&trial.experiment)
                .map_err(|error| pretrained_error(&trial.document, &error))?,
            false => None,
        };
        let network = Network::<A>::find(trial, &facts(&data), pretrained.as_ref(), &mut Known::default())?;
        Ok(Self::put_together(trial, data, pretrained, network)?.0)
    }

    fn put_together(
        trial: &Trial,
        data: Dataset,
        pretrained: Option<Pretrained>,
        network: Option<Network<A>>,
    ) -> Result<(Self, Option<A>), PrepareError> {
        let Network { config, dense, start, dimensions, keys } =
            network.ok_or_else(|| trial.document.error(&["model"], "this model cannot be read", None))?;
        let Keys { searched, budgets, selection } = keys;
        let (experiment, swept) = (trial.experiment.clone(), trial.swept.clone());
        let prepared = Self {
            experiment,
            swept,
            config,
            data,
            pretrained,
            pretrained_notes: Vec::new(),
            start,
            teachers: BTreeMap::new(),
            patch_axes: None,
            dimensions,
            searched,
            budgets,
            selection,
            timing: None,
        };
        Ok((prepared, dense))
    }
}

/// The network of a trial, in which its keys were resolved.
struct Network<A: Architecture> {
    config: A::Config,
    dense: Option<A>,
    start: Option<Plan>,
    dimensions: Vec<Dimension>,
    keys: Keys,
}

impl<A: Architecture> Network<A> {
    /// The network of `trial`, given what it starts from and the `facts` of its data; `None` if they do not determine it.
    fn find(
        trial: &Trial,
        facts: &Facts,
        pretrained: Option<&Pretrained>,
        known: &mut Known,
    ) -> Result<Option<Self>, PrepareError> {
        let left = pretrained.and_then(Pretrained::left);
        let Some(config) = config::<A>(&trial.document, facts, left)? else { return Ok(None) };
        let ((dimensions, start), dense) = known.dimensions::<A>(trial, &config, pretrained)?;
        continues(trial, &dimensions, start.as_ref())?;
        let mut found = Vec::new();
        let keys = keys(trial, &dimensions, &mut found);
        ExperimentErrors::check(found)?;
        Ok(Some(Self { config, dense, start, dimensions, keys }))
    }
}

/// Checks that `trial` cuts as `start` did, which left its network with these `dimensions`: norms that are sliced stay so, and the same becomes of cut tokens, since
/// one plan says how all of a network was cut.
pub(crate) fn continues(
    trial: &Trial,
    dimensions: &[Dimension],
    start: Option<&Plan>,
) -> Result<(), ExperimentErrors> {
    let (Some(start), here) = (start, &trial.experiment) else { return Ok(()) };
    let (sliced, tokens) = (NormStatistics::Sliced, start.tokens);
    let field = if start.norm == sliced && here.norm != sliced {
        "norm: Sliced".to_owned()
    } else if start.cuts_tokens(dimensions) && here.tokens != tokens {
        format!("tokens: {tokens:?}")
    } else {
        return Ok(());
    };
    let (wrong, help) = (format!("this network was cut with `{field}`"), format!("write `{field}` here too"));
    Err(trial.document.error(&["model", "pretrained"], wrong, Some(help)))
}
