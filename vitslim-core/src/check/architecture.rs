//! Checks the annotations of an architecture.

use std::sync::OnceLock;

use burn::tensor::{DType, Device, FloatDType};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::dimensions::with_costs;
use super::gradient::{check_gradients, idle};
use super::pattern::split;
use super::prove::{Proof, prove};
use super::repair::Axes;
use super::subject::{Subject, images};
use super::tokens::check_tokens;
use crate::data::ImageShape;
use crate::experiment::did_you_mean;
use crate::graph::{GraphError, macs};
use crate::models::{Architecture, Parameter};
use crate::panics::attempt;
use crate::report::{CheckedDimension, Reason};
use crate::slim::describe;
use crate::terminal::counted;
use crate::values::randomised;

/// Multiply-adds to spend on random shares.
const MACS_OF_ROUNDS: u64 = 6_000_000_000;

/// Multiply-adds to spend on finding the missing annotation.
const MACS_OF_ATTEMPTS: u64 = 300_000_000_000;

/// What was found about an architecture.
#[derive(Clone, Debug, Default)]
pub struct ArchitectureCheck {
    /// Multiply-adds of the dense network for one image, if they can be counted.
    pub macs: Option<u64>,
    /// Every dimension.
    pub dimensions: Vec<CheckedDimension>,
    /// Borrowed dimensions that no enclosing struct declares, so that they are not prunable.
    pub undeclared: Vec<String>,
    /// Patterns of names that are lent to fields in which nothing borrows them.
    pub unborrowed: Vec<String>,
    /// Number of mask sets for which the hard-masked and the sliced network agree.
    pub plans: usize,
    /// Largest difference of their logits over the largest logit.
    pub largest_difference: f64,
    /// Whether the mask of every dimension gets a gradient.
    pub gradients: bool,
    /// Patterns of the dimensions that do nothing as the network is made: a factor of 0 keeps their masks from the loss.
    pub idle: Vec<String>,
    /// What is wrong.
    pub reasons: Vec<Reason>,
}

/// The CPU in f64. The precision is set once per process, before its first tensor.
///
/// # Errors
///
/// When the process already computes in another precision.
pub fn f64_device() -> Result<Device, Reason> {
    static CONFIGURED: OnceLock<bool> = OnceLock::new();
    let mut device = Device::flex();
    let configured = CONFIGURED.get_or_init(|| {
        device.configure(FloatDType::F64).is_ok() || device.settings().float_dtype == DType::F64.into()
    });
    match configured {
        true => Ok(device),
        false => Err(Reason::new("this process already computes in f32, but the check needs f64")
            .with_help("call `f64_device` before the first tensor is made")),
    }
}

/// Proves the annotations of `model`, which must be on [`f64_device`], with random parameters and random images of size
/// `image`. `classes` is the number of classes of the data.
pub fn check_architecture<A: Architecture>(
    model: &A,
    image: ImageShape,
    classes: Option<usize>,
) -> ArchitectureCheck {
    let mut check = ArchitectureCheck::default();
    let dimensions = match attempt(|| describe(model)) {
        Ok(Ok(dimensions)) => dimensions,
        Ok(Err(error)) => {
            let message =
                format!("the annotations contradict each other, or the sizes of the layers: {error}");
            check.reasons.push(Reason::new(message));
            return check;
        }
        Err(said) => {
            check.reasons.push(Reason::new(format!("the sizes of a layer cannot be read ({said})")));
            return check;
        }
    };
    if let Err(shared) = Parameter::are_apart(model) {
        check.reasons.push(told(&shared));
        return check;
    }
    let axes = Axes::of(model);
    check.reasons.extend(by_hand(&axes));
    if !check.reasons.is_empty() {
        return check;
    }
    if let Some((layer, side, said)) = axes.uncut {
        let reason = Reason::new(format!("the {side} of `{layer}` cannot be cut by one unit ({said})"));
        check
            .reasons
            .push(reason.with_help("does `SlimLayer::select` of this layer select along that side?"));
        return check;
    }
    (check.undeclared, check.unborrowed) = (axes.undeclared, axes.unborrowed);
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let device = Device::flex();
    let made = model;
    let model = randomised(model.clone(), &mut rng);
    let subject = Subject { image: images(1, image, &mut rng, &device), model, dimensions };
    if let Err(reason) = answers(&subject, image, classes) {
        check.reasons.push(reason);
        return check;
    }
    match macs(&subject.model, image) {
        Ok(macs) => check.macs = Some(macs),
        // It did not fail a moment ago.
        Err(GraphError::Forward(said)) => {
            check.reasons.push(Reason::new(format!("the forward pass cannot be recorded ({said})")));
        }
        Err(error) => check.reasons.push(Reason::new(error.to_string())),
    }
    check.dimensions = with_costs(&subject.model, image, &subject.dimensions, check.macs);
    let tokens = check_tokens(&subject, image);
    let tokens_are_wrong = !tokens.is_empty();
    check.reasons.extend(tokens);

    let size = check.macs.unwrap_or(1).max(1);
    let rounds = (MACS_OF_ROUNDS / size).clamp(1, 20) as usize;
    let attempts = (MACS_OF_ATTEMPTS / size).clamp(20, 400) as usize;
    let Proof { plans, largest_difference, reasons } =
        prove(&subject, tokens_are_wrong, rounds, attempts, &mut rng);
    (check.plans, check.largest_difference) = (plans, largest_difference);
    check.reasons.extend(reasons);
    // Soft masks on token gates of the wrong size would fail for the same reason again.
    if !tokens_are_wrong {
        let without = check_gradients(&subject, image, &mut rng);
        check.gradients = without.is_empty();
        check.reasons.extend(without);
        if check.gradients {
            check.idle = idle(&Subject { model: made.clone(), ..subject }, image, &mut rng);
        }
    }
    check
}

/// `error` as a reason.
pub(super) fn told(error: &impl miette::Diagnostic) -> Reason {
    Reason { message: error.to_string(), help: error.help().map(|help| help.to_string()) }
}

/// What is wrong with a `map_dimensions` that is written by hand.
fn by_hand(axes: &Axes) -> Option<Reason> {
    if let Some(said) = &axes.unbalanced {
        let reason =
            Reason::new(format!("a `map_dimensions` written by hand does not end where it began: {said}"));
        return Some(reason.with_help("call `close` once for each `lend`, and `exit` for each `enter`"));
    }
    if let Some((path, around)) = &axes.treated {
        let (_, name) = split(path);
        let near = did_you_mean(name, around.iter().map(String::as_str));
        let reason = Reason::new(format!(
            "a `map_dimensions` written by hand says how to train `{path}`, and the network has no such field{near}"
        ));
        return Some(reason.with_help("give `treat` the name of the field"));
    }
    let (said, found) = axes.misnamed.as_ref()?;
    let reason =
        Reason::new(format!("a `map_dimensions` written by hand calls `{found}` by the name `{said}`"));
    Some(reason.with_help("give `axis`, `enter` and `map_nested` the name of the field"))
}

/// Checks that the dense network takes the images, and has a finite logit for each class.
fn answers<A: Architecture>(
    subject: &Subject<A>,
    image: ImageShape,
    classes: Option<usize>,
) -> Result<(), Reason> {
    let ImageShape { channels, size } = image;
    let logits = subject.dense().map_err(|said| match said.contains("F32") && said.contains("F64") {
        true => Reason::new(format!(
            "the network makes a tensor of f32 explicitly, or converts one to f32, but `check` computes in f64: the forward pass \
             fails ({said})"
        ))
        .with_help("leave the float type out, or take that of another tensor, as in `.cast(x.dtype())`"),
        false => Reason::new(format!(
            "the network does not take images of {channels} x {size} x {size}: its forward pass fails ({said})"
        )),
    })?;
    let [_, found] = logits.dims();
    if let Some(classes) = classes.filter(|classes| *classes != found) {
        let found = counted(found, "class", "classes");
        return Err(Reason::new(format!("the network has {found}, but the data have {classes}")).with_help(
            "a field `classes` in the configuration of the architecture is filled in from the data",
        ));
    }
    let values = logits.into_data().convert::<f64>().try_into_vec::<f64>().unwrap_or_default();
    match values.iter().all(|value| value.is_finite()) {
        true => Ok(()),
        false => Err(Reason::new("with random weights, the logits of the network are not finite")),
    }
}
