//! An experiment, before a night is spent on it.

use burn::module::Module;

use super::architecture::{ArchitectureCheck, check_architecture, f64_device};
use crate::data::{Dataset, ImageShape};
use crate::experiment::{Document, Fault, Faults};
use crate::models::Architecture;
use crate::panics::attempt;
use crate::report::{CheckedData, ExperimentCheck, Reason};
use crate::run::{Known, Network, Prepared, config, config_fault, keys};
use crate::slim::{Dimension, MaskSpec, describe};

const WITHOUT_DATA: &str =
    "without its data, the network cannot be checked: its configuration does not say for which images it is";

/// Checks the experiment in `document`: its data, its architecture, and whether they fit together. Nothing is trained and nothing is
/// written.
///
/// # Errors
///
/// When the file is not an experiment.
pub fn check_experiment<A: Architecture>(document: &Document) -> Result<ExperimentCheck, Faults> {
    let experiment = document.experiment()?;
    let mut check = ExperimentCheck {
        name: experiment.name.as_str().to_owned(),
        architecture: experiment.model.architecture.clone(),
        preset: experiment.model.preset.clone(),
        ..ExperimentCheck::default()
    };
    let mut found = Vec::new();
    let data = Known::default().data(document, &mut found);
    check.reasons.extend(reasons(&found));
    check.data = data.as_ref().map(|data| CheckedData {
        image: [data.shape.channels, data.shape.size, data.shape.size],
        classes: data.classes,
        train: data.train.len(),
        held_out: data.held_out.len(),
        test: data.test.len(),
        notes: data.notes.clone(),
    });
    if let Err(faults) = check_network::<A>(document, data.as_ref(), &mut check) {
        check.reasons.extend(faults);
        // What can be said without the network.
        if let Err(found) = Prepared::<A>::mistakes(document, &mut Known::hasty()) {
            let known = |reason: &Reason| check.reasons.iter().any(|known| known.message == reason.message);
            let others: Vec<Reason> =
                reasons(found.iter()).into_iter().filter(|reason| !known(reason)).collect();
            check.reasons.extend(others);
        }
    }
    Ok(check)
}

/// What can be said of the network; what must be right before more can be said is an error.
fn check_network<A: Architecture>(
    document: &Document,
    data: Option<&Dataset>,
    check: &mut ExperimentCheck,
) -> Result<(), Vec<Reason>> {
    let mut found = Vec::new();
    let config = config::<A>(document, data, &mut found);
    let config = config.ok_or_else(|| match found.is_empty() {
        true => vec![Reason::new(WITHOUT_DATA)],
        false => reasons(&found),
    })?;
    let device = f64_device().map_err(|reason| vec![reason])?;
    let model = attempt(|| A::init(&config, &device))
        .map_err(|said| vec![Reason::new(format!("the network cannot be made ({said})"))])?
        .map_err(|error| reasons(config_fault(document, error).iter()))?;
    let searched = check_keys(document, &model, &mut check.reasons);
    check.params = Some(Module::num_params(&model));
    let image = data
        .map(|data| data.shape)
        .or_else(|| image(&config))
        .ok_or_else(|| vec![Reason::new(WITHOUT_DATA)])?;
    check.image = Some([image.channels, image.size, image.size]);
    let found = check_architecture(&model, image, data.map(|data| data.classes));
    let ArchitectureCheck {
        macs,
        dimensions,
        undeclared,
        plans,
        largest_difference,
        gradients,
        reasons: wrong,
    } = found;
    check.reasons.extend(wrong);
    (check.macs, check.dimensions, check.undeclared) = (macs, dimensions, undeclared);
    (check.plans, check.largest_difference, check.gradients) = (plans, largest_difference, gradients);
    for (dimension, _) in &searched {
        let row = check.dimensions.iter_mut().find(|row| row.path == dimension.path);
        row.into_iter().for_each(|row| row.searched = true);
    }
    Ok(())
}

/// The dimensions that are searched; what is wrong with them or with the budgets is added to `found`.
fn check_keys<A: Architecture>(
    document: &Document,
    model: &A,
    found: &mut Vec<Reason>,
) -> Vec<(Dimension, MaskSpec)> {
    // Where the dimensions cannot be told, the check of the architecture says why.
    let Ok(Ok(dimensions)) = attempt(|| describe(model)) else { return Vec::new() };
    let mut faults = Vec::new();
    let (searched, _) = keys(document, Network { dimensions: &dimensions, sure: true }, &mut faults);
    found.extend(reasons(&faults));
    searched
}

/// The images that a network is for, where its configuration has the usual fields.
fn image(config: &impl serde::Serialize) -> Option<ImageShape> {
    let config = serde_json::to_value(config).ok()?;
    let field = |name: &str| usize::try_from(config.get(name)?.as_u64()?).ok();
    Some(ImageShape { channels: field("channels")?, size: field("image_size")? })
}

fn reasons<'a>(faults: impl IntoIterator<Item = &'a Fault>) -> Vec<Reason> {
    let reason =
        |fault: &Fault| Reason { message: fault.to_string(), help: fault.advice().map(str::to_owned) };
    faults.into_iter().map(reason).collect()
}
