//! An experiment, before a night is spent on it.

use burn::tensor::{Device, Tensor};
use miette::Diagnostic;

use super::architecture::{ArchitectureCheck, check_architecture, f64_device, told};
use super::dimensions::with_costs;
use super::parameters::parameters;
use super::pattern::pattern;
use crate::data::{DataContent, Dataset, ImageShape};
use crate::experiment::{ExperimentError, ExperimentErrors, Importance, Normalise, Trial};
use crate::graph::macs;
use crate::importance::Scoring;
use crate::models::{Architecture, Parameter};
use crate::nn::has_checkpoints;
use crate::panics::attempt;
use crate::plan::{Planning, plan};
use crate::report::{
    CheckedData, CheckedTeacher, CheckedTeacherNetwork, CheckedWeights, ExperimentCheck, Fingerprints,
    PlannedTrial, Reason,
};
use crate::run::{
    Cutting, Keys, PatchAxes, PreparedBudget, Pretrained, Scrutiny, Teachers, config, config_error,
    continues, correction_note, dataset_under, facts, keys, not_comparable, pretrained_error, unfit,
};
use crate::slim::{CutTokens, Dimension, MaskSpec, describe};
use crate::weights::Fitted;

/// What is told of trained weights whose experiment does not say how their images were normalised.
const SPLIT_NORMALISES: &str = "images are normalised by mean and std of the training split, which may not be how these weights were \
     trained: `normalise` in `data` changes that, as in `normalise: ImageNet`";

/// What is told of a network that ignores `checkpointing: true`.
const NO_CHECKPOINTS: &str =
    "`checkpointing: true` changes nothing: the forward pass hands no block to `checkpoint`";

/// What is told where no tokens are cut that could be merged.
const MERGES_NONE: &str = "`tokens: Merge` changes nothing: no tokens are searched, so that none are cut";

/// Checks the data of `trial`, looked at as closely as `scrutiny` says, its architecture, and whether they fit together, and into the
/// memory that `planning` knows. Nothing is trained, and nothing is written but what is kept of the images of a folder. Teachers are of
/// one of the architectures of `teachers`.
pub fn check_experiment<A: Architecture>(
    trial: &Trial,
    teachers: &Teachers,
    scrutiny: Scrutiny,
    planning: Option<Planning>,
) -> ExperimentCheck {
    let experiment = &trial.experiment;
    let mut check = ExperimentCheck {
        name: experiment.name.as_str().to_owned(),
        architecture: experiment.model.architecture.clone(),
        preset: experiment.model.preset.clone(),
        ..ExperimentCheck::default()
    };
    let data = match dataset_under(trial, scrutiny) {
        Ok(data) => {
            check.reasons.extend(reasons(&unfit(trial, &data)));
            Some(data)
        }
        Err(errors) => {
            check.reasons.extend(reasons(&errors));
            None
        }
    };
    check.data = data.as_ref().map(|data| CheckedData {
        image: [data.shape.channels, data.shape.size, data.shape.size],
        classes: data.classes,
        class_names: data.class_names.clone(),
        sha256: fingerprints(data.content()),
        train: data.train.len(),
        held_out: data.held_out.len(),
        test: data.test.len(),
        notes: data.notes.clone(),
    });
    if let Err(reasons) = check_network::<A>(trial, data.as_ref(), &mut check) {
        check.reasons.extend(reasons);
    }
    if let Some(data) = &data {
        check_teachers(trial, teachers, data, &mut check);
    }
    if let (Some(planning), Some(data), true) = (planning, data, check.reasons.is_empty()) {
        let mut planning = planning.with_data(trial, data);
        planning.teachers = teachers.clone();
        match plan::<A>(trial, &mut planning) {
            Ok(planned) => check.reasons.extend(PlannedTrial::unfit(&[planned])),
            Err(error) => check.reasons.push(told(&error)),
        }
    }
    check
}

/// What teaches the stages of `trial`, whose `data` it must fit.
fn check_teachers(trial: &Trial, teachers: &Teachers, data: &Dataset, check: &mut ExperimentCheck) {
    for (stage, written) in trial.experiment.teachers() {
        let teaches = CheckedTeacher { stage, kind: written.to_string(), network: None };
        match teachers.open(trial, stage, data, None) {
            Ok(None) => check.teachers.push(teaches),
            Ok(Some(opened)) => {
                let measured = opened.top1(data);
                let unmeasured = measured.is_none().then(|| {
                    "its accuracy was not measured: that takes long here, or validation images cannot be read".to_owned()
                });
                let network = CheckedTeacherNetwork {
                    architecture: opened.architecture,
                    params: opened.params,
                    macs: opened.macs,
                    sha256: opened.pretrained.sha256,
                    top1: measured.map(|(top1, _)| top1),
                    images: measured.map(|(_, images)| images),
                    notes: opened.notes.into_iter().chain(unmeasured).collect(),
                };
                check.teachers.push(CheckedTeacher { network: Some(network), ..teaches });
            }
            Err(errors) => check.reasons.extend(reasons(&errors)),
        }
    }
}

fn fingerprints(content: &DataContent) -> Fingerprints {
    let [train, held_out, test] =
        [&content.train, &content.held_out, &content.test].map(|split| split.sha256.clone());
    Fingerprints { train, held_out, test }
}

/// What can be said of the network; what must be right before more can be said is an error. Nothing is said where only the data
/// could tell which images it is for: the mistake in the data is the reason.
fn check_network<A: Architecture>(
    trial: &Trial,
    data: Option<&Dataset>,
    check: &mut ExperimentCheck,
) -> Result<(), Vec<Reason>> {
    let facts = data.map(facts);
    let misplaced = |error: &dyn Diagnostic| reasons(&pretrained_error(&trial.document, error));
    let pretrained = Pretrained::open::<A>(&trial.experiment.model).map_err(|error| misplaced(&error))?;
    let left = pretrained.as_ref().and_then(Pretrained::left);
    let config = config::<A>(&trial.document, facts.as_ref().map_or(&[], |facts| &facts[..]), left)
        .map_err(|errors| reasons(&errors))?;
    let Some(config) = config else { return Ok(()) };
    let device = f64_device().map_err(|reason| vec![reason])?;
    let model = attempt(|| A::init(&config, &device))
        .map_err(|said| vec![Reason::new(format!("the network cannot be made ({said})"))])?
        .map_err(|error| reasons(&config_error(&trial.document, error)))?;
    // Annotations are proved of the dense network. All else is said of the one that the run starts from.
    let mut cut_before = false;
    let (dense, model) = match &pretrained {
        Some(pretrained) => {
            let (cut, start) = pretrained.cut(model.clone()).map_err(|error| misplaced(&error))?;
            if let Ok(left) = describe(&cut) {
                continues(trial, &left, start.as_ref()).map_err(|errors| reasons(&errors))?;
                cut_before = start.is_some_and(|start| start.cuts_tokens(&left));
            }
            (model, cut)
        }
        None => (model.clone(), model),
    };
    let is_left = left.is_some();
    let mut wrong_keys = Vec::new();
    let (described, Keys { searched, budgets, selection }) = check_keys(trial, &model, &mut wrong_keys);
    match check_weights(trial, pretrained, &model, (&searched, data)) {
        Ok(weights) => check.pretrained = weights,
        Err(errors) => check.reasons.extend(reasons(&errors)),
    }
    let known = check.reasons.len();
    check.reasons.extend(wrong_keys);
    check.params = Some(Parameter::count(&model));
    let Some(image) = data.map(|data| data.shape).or_else(|| image(&config)) else { return Ok(()) };
    check.image = Some([image.channels, image.size, image.size]);
    // Where there is only one, nothing reaches the loss.
    if data.is_some_and(|data| data.classes == 1) {
        return Ok(());
    }
    let mut found = check_architecture(&dense, image, data.map(|data| data.classes));
    if is_left && found.macs.is_some() {
        found.macs = Some(macs(&model, image).map_err(|error| vec![Reason::new(error.to_string())])?);
        found.dimensions = with_costs(&model, image, &described, found.macs);
    }
    let ArchitectureCheck {
        macs,
        dimensions,
        undeclared,
        unborrowed,
        plans,
        largest_difference,
        gradients,
        idle,
        reasons: wrong,
    } = found;
    if check.reasons.len() == known && wrong.is_empty() {
        let experiment = &trial.experiment;
        let cutting = Cutting::new(experiment, (&described, &searched, image), &selection);
        if let Err(error) = Scoring::of(experiment, &searched).check(&model, image) {
            check.reasons.push(told(&error));
        }
        check.notes.extend(without_search(experiment.importance));
        let cuts_tokens = cut_before || searched.iter().any(|(dimension, _)| dimension.is_tokens());
        let in_vain = experiment.tokens == CutTokens::Merge && !cuts_tokens;
        check.notes.extend(in_vain.then(|| MERGES_NONE.to_owned()));
        match correction_note(experiment, &model, &searched, image) {
            Ok(note) => check.notes.extend(note),
            Err(error) => check.reasons.push(told(&error)),
        }
        check_budgets(&model, &cutting, &budgets, check);
        let search = experiment.search_training();
        let stages = [&experiment.pretrain, &search, &experiment.retrain].into_iter().flatten();
        if stages.into_iter().any(|stage| stage.checkpointing) {
            check_checkpointing(&model, image, &device, check);
        }
        for (stage, _) in experiment.teachers().filter(|(_, teacher)| teacher.features().is_some()) {
            if let Err(reason) = PatchAxes::of(&model, &described, image, &device) {
                check.reasons.extend(reasons(&not_comparable(trial, stage, &reason)));
            }
        }
        check.parameters = Some(parameters(&model, image, experiment).map_err(|reason| vec![reason])?);
    }
    check.reasons.extend(wrong);
    check.notes.extend(unborrowed.iter().filter_map(|path| lent_in_vain(path, &undeclared)));
    if !idle.is_empty() {
        let names = idle.join(", ");
        check
            .notes
            .push(format!("in the initial network, a factor of 0 keeps the masks of {names} from the loss"));
    }
    (check.macs, check.dimensions, check.undeclared) = (macs, dimensions, undeclared);
    (check.plans, check.largest_difference, check.gradients) = (plans, largest_difference, gradients);
    for (dimension, _) in &searched {
        let row = check.dimensions.iter_mut().find(|row| row.path == dimension.path);
        row.into_iter().for_each(|row| row.searched = true);
    }
    Ok(())
}

/// What is told of an experiment that skips the search.
fn without_search(importance: Importance) -> Option<String> {
    let name = importance.name();
    let told = format!(
        "`importance: {name}` ranks the units of the dense network, and the search is skipped: of `search`, only `dimensions` with their \
         `granularity` count, and `batch`, `accumulate` and `checkpointing` where data are looked at"
    );
    (!importance.needs_search()).then_some(told)
}

/// What to do about a name that is lent at the pattern `path`, where nothing borrows it. `undeclared` are paths of what is borrowed
/// and not lent.
fn lent_in_vain(path: &str, undeclared: &[String]) -> Option<String> {
    let (field, name) = path.rsplit_once('.')?;
    let missing = undeclared.iter().find_map(|path| {
        let (place, missing) = path.rsplit_once('.')?;
        let place = pattern(place);
        (place.strip_prefix(field).is_some_and(|rest| ["", ".*"].contains(&rest))).then_some(missing)
    });
    let instead = match missing {
        Some(missing) => format!("but it borrows `{missing}`, which it is not lent: write `{missing} = ...`"),
        None => format!(
            "but nothing there borrows it: remove it, or name it on an axis there and list it, as in `#[slim(outer = [{name}])]`"
        ),
    };
    Some(format!("`{name}` is lent to {field}, {instead}"))
}

/// The weights that `trial` starts from, in its network, which searches these dimensions, for these data.
fn check_weights<A: Architecture>(
    trial: &Trial,
    pretrained: Option<Pretrained>,
    model: &A,
    (searched, data): (&[(Dimension, MaskSpec)], Option<&Dataset>),
) -> Result<Option<CheckedWeights>, ExperimentErrors> {
    let Some(pretrained) = pretrained else { return Ok(None) };
    let Fitted { family, used, count, mut notes, .. } = pretrained.check(trial, model, searched)?;
    notes.extend(data.map_or_else(Vec::new, |data| pretrained.notes(&data.class_names)));
    match (pretrained.left(), data) {
        (Some(_), Some(data)) => notes.extend(pretrained.normalisation_note(&data.normalisation)),
        (None, _) if trial.experiment.data.normalise() == Some(&Normalise::Split) => {
            notes.push(SPLIT_NORMALISES.to_owned());
        }
        _ => {}
    }
    Ok(Some(CheckedWeights { sha256: pretrained.sha256, family, used, count, notes }))
}

/// The dimensions, and what the keys name of them; what is wrong with the latter is added to `found`.
fn check_keys<A: Architecture>(trial: &Trial, model: &A, found: &mut Vec<Reason>) -> (Vec<Dimension>, Keys) {
    // Where the dimensions cannot be told, the check of the architecture says why.
    let Ok(Ok(dimensions)) = attempt(|| describe(model)) else { return Default::default() };
    let mut errors = Vec::new();
    let keys = keys(trial, &dimensions, &mut errors);
    found.extend(reasons(&errors));
    (dimensions, keys)
}

/// Cuts `model` to each of `budgets` by random masks. What a budget cannot leave is added to the reasons.
fn check_budgets<A: Architecture>(
    model: &A,
    cutting: &Cutting,
    budgets: &[PreparedBudget],
    check: &mut ExperimentCheck,
) {
    let masks = cutting.random_masks(&Device::flex());
    for budget in budgets {
        match cutting.cut(model, &masks, budget) {
            Ok((plan, _)) => check.notes.extend(cutting.notes(model, &masks, budget, &plan)),
            Err(error) => check.reasons.push(told(&error)),
        }
    }
}

/// Takes a forward pass as a stage with `checkpointing: true` takes it.
fn check_checkpointing<A: Architecture>(
    model: &A,
    image: ImageShape,
    device: &Device,
    check: &mut ExperimentCheck,
) {
    let images = Tensor::zeros([2, image.channels, image.size, image.size], &device.clone().autodiff());
    match attempt(|| has_checkpoints(|| drop(model.clone().train().forward(images)))) {
        Ok(true) => {}
        Ok(false) => check.notes.push(NO_CHECKPOINTS.to_owned()),
        Err(said) => {
            let message = format!("with `checkpointing: true`, the training step fails ({said})");
            check.reasons.push(Reason::new(message));
        }
    }
}

/// The images that a network is for, where its configuration has the usual fields.
fn image(config: &impl serde::Serialize) -> Option<ImageShape> {
    let config = serde_json::to_value(config).ok()?;
    let field = |name: &str| usize::try_from(config.get(name)?.as_u64()?).ok();
    Some(ImageShape { channels: field("channels")?, size: field("image_size")? })
}

fn reasons<'a>(errors: impl IntoIterator<Item = &'a ExperimentError>) -> Vec<Reason> {
    let reason = |error: &ExperimentError| Reason {
        message: error.to_string(),
        help: error.advice().map(str::to_owned),
    };
    errors.into_iter().map(reason).collect()
}

#[cfg(test)]
mod tests {
    use burn::module::Module;

    use super::*;
    use crate::models::{Block, ConfigError, Logits, Vit, VitConfig};
    use crate::nn::{TokenSizes, checkpoint};
    use crate::slim::Slimmable;

    /// A ViT that checkpoints no block if it has one. If it has several, they read what is trained elsewhere.
    #[derive(Module, Debug, Slimmable)]
    struct Other {
        #[slim]
        vit: Vit,
    }

    impl Architecture for Other {
        type Config = VitConfig;

        fn presets() -> Vec<(&'static str, VitConfig)> {
            Vec::new()
        }

        fn init(config: &VitConfig, device: &Device) -> Result<Self, ConfigError> {
            Ok(Self { vit: Vit::init(config, device)? })
        }

        fn forward(&self, images: Tensor<4>) -> Logits {
            let (x, mut sizes) = (self.vit.embed(images), TokenSizes::default());
            let x = match &self.vit.blocks[..] {
                [block] => block.forward(x, &mut sizes),
                blocks => blocks.iter().fold(x.clone(), |y, block| {
                    let (x, sizes) = (x.clone(), sizes.clone());
                    checkpoint(block, y, move |block: &Block, y| {
                        block.forward(y, &mut sizes.clone()) + x.clone()
                    })
                }),
            };
            self.vit.classify(x, &sizes).into()
        }
    }

    #[test]
    fn what_checkpointing_does_with_a_network_is_told() {
        fn told<A: Architecture<Config = VitConfig>>(depth: usize) -> Vec<String> {
            let (channels, image_size) = (1, 8);
            let config = VitConfig {
                image_size,
                channels,
                depth,
                patch_size: 4,
                dim: 8,
                heads: 2,
                ..VitConfig::default()
            };
            let (device, mut check) = (Device::flex(), ExperimentCheck::default());
            let model = A::init(&config, &device).unwrap();
            check_checkpointing(&model, ImageShape { channels, size: image_size }, &device, &mut check);
            check.notes.into_iter().chain(check.reasons.into_iter().map(|reason| reason.message)).collect()
        }
        assert_eq!(told::<Vit>(1), [""; 0]);
        assert_eq!(told::<Other>(1), [NO_CHECKPOINTS]);
        let captures = told::<Other>(2);
        assert!(
            captures.len() == 1 && captures[0].contains("neither its input, nor a parameter"),
            "{captures:?}"
        );
    }

    #[test]
    fn what_is_lent_in_vain_is_told_with_what_to_write() {
        let undeclared = ["stages.0.former", "stages.1.former", "head.dim"].map(str::to_owned);
        let told = |path| lent_in_vain(path, &undeclared).unwrap();
        assert_eq!(
            told("stages.fromer"),
            "`fromer` is lent to stages, but it borrows `former`, which it is not lent: write `former = ...`"
        );
        assert!(
            told("head.width").ends_with("but it borrows `dim`, which it is not lent: write `dim = ...`")
        );
        assert!(told("side.width").contains("as in `#[slim(outer = [width])]`"));
    }
}
