//! Values inside a network that are outputs too.

use std::collections::{BTreeSet, HashMap, HashSet};

use burn_capture::TensorId;
use burn_ir::{NumericOperationIr, OperationIr, TensorIr};
use serde_json::{Map, Value, json};

use super::error::ExportError;
use super::trace::{IMAGES, LOGITS, Operation, Size, Trace};
use crate::experiment::did_you_mean;
use crate::slim::{Cut, Dimension, DimensionKind, Plan};

/// A value inside a network that is an output too: all that follows in the network is computed from it.
#[derive(Debug)]
pub(super) struct Feature {
    /// Path of the module that it comes out of, and name of the output.
    pub name: String,
    /// The value.
    pub tensor: TensorIr,
    /// Paths of the parameters of the module that are read last.
    last: Vec<String>,
    /// Paths of the parameters that are read up to the value.
    read: BTreeSet<String>,
}

/// The outputs of the modules at `paths`.
///
/// # Errors
///
/// When a path leads to no module, or the network goes on with more than what comes out of it.
pub(super) fn features(trace: &Trace, paths: &[String]) -> Result<Vec<Feature>, ExportError> {
    let flow = Flow::of(trace);
    let mut features: Vec<Feature> = Vec::new();
    for path in paths {
        if features.iter().all(|feature| feature.name != *path) {
            features.push(flow.output(path).map_err(|reason| flow.refused(path, reason))?);
        }
    }
    Ok(features)
}

/// What `features` are in the network of `trace`, which `plan` left and which has `dimensions`: their shapes, and which tokens and units
/// of the dense network they have.
pub(super) fn described(
    features: &[Feature],
    trace: &Trace,
    dimensions: &[Dimension],
    plan: &Plan,
) -> Map<String, Value> {
    let describe = |feature: &Feature| {
        let sizes = trace.sizes(&feature.tensor);
        let size = |size: &Size| match size {
            Size::Fixed(size) => json!(size),
            Size::PerImage(1) => json!("batch"),
            Size::PerImage(times) => json!(format!("batch * {times}")),
        };
        let mut about = Map::from_iter([("shape".to_owned(), sizes.iter().map(size).collect())]);
        about.extend(feature.tokens(&sizes, dimensions, plan).map(|tokens| ("tokens".to_owned(), tokens)));
        about.extend(feature.units(&sizes, dimensions, plan).map(|units| ("units".to_owned(), units)));
        (feature.name.clone(), Value::Object(about))
    };
    features.iter().map(describe).collect()
}

impl Feature {
    /// The tokens in it, if it is `[batch, tokens, dim]` and comes after a module that has a gate.
    fn tokens(&self, sizes: &[Size], dimensions: &[Dimension], plan: &Plan) -> Option<Value> {
        let [_, Size::Fixed(count), _] = sizes else { return None };
        let mut gates = dimensions.iter().filter_map(|dimension| match dimension.kind {
            DimensionKind::Tokens { prefix, .. } => {
                let (module, _) = dimension.path.rsplit_once('.')?;
                let is_passed = self.read.iter().any(|parameter| within(parameter, module));
                is_passed.then_some((prefix, plan.get(&dimension.path)?))
            }
            DimensionKind::Features | DimensionKind::Branch => None,
        });
        // Each gate keeps some of those that the one before kept, so that their number tells which they are.
        gates.find_map(|(prefix, Cut { of, keep, .. })| {
            let all: usize = of.iter().sum();
            let keep =
                [(0..all).collect(), keep.clone()].into_iter().find(|keep| prefix + keep.len() == *count)?;
            let mut tokens = json!({ "prefix": prefix, plan.of_tokens_that_stay(&keep): keep });
            let side = all.isqrt();
            if side * side == all {
                tokens["grid"] = json!([side, side]);
            }
            Some(tokens)
        })
    }

    /// The units in it, if a dimension that is not grouped lies along the layer that was computed last.
    fn units(&self, sizes: &[Size], dimensions: &[Dimension], plan: &Plan) -> Option<Value> {
        let is_last = |layer: &str, side: &str| {
            self.last.iter().any(|parameter| match side.starts_with("axis") {
                true => parameter == layer,
                false => side == "output" && within(parameter, layer),
            })
        };
        let dimension = dimensions.iter().find(|dimension| {
            let mut carriers = dimension.carriers.iter();
            dimension.groups.len() == 1
                && sizes.contains(&Size::Fixed(dimension.units()))
                && carriers
                    .any(|carrier| carrier.features_per_unit == 1 && is_last(&carrier.layer, &carrier.side))
        })?;
        let Cut { dimension, of, keep } = plan.get(&dimension.path)?;
        Some(json!({ "dimension": dimension, "of": of.iter().sum::<usize>(), "keep": keep }))
    }
}

/// Whether the parameter at `parameter` belongs to the module at `path`.
fn within(parameter: &str, path: &str) -> bool {
    parameter.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'))
}

/// How images become logits: what is computed from them, one step after the other.
struct Flow<'a> {
    trace: &'a Trace,
    steps: Vec<Step<'a>>,
}

struct Step<'a> {
    operation: &'a Operation,
    /// What it makes.
    out: &'a TensorIr,
    /// Paths of the parameters that it reads, or that what it reads was made of.
    reads: BTreeSet<&'a str>,
    /// Whether all that follows is computed from what it makes.
    is_all: bool,
}

impl<'a> Flow<'a> {
    fn of(trace: &'a Trace) -> Self {
        let parameters = trace.known.iter().filter(|(_, known)| known.is_parameter);
        let mut made_of: HashMap<TensorId, BTreeSet<&str>> =
            parameters.map(|(id, known)| (*id, BTreeSet::from([known.name.as_str()]))).collect();
        let mut steps: Vec<Step> = Vec::new();
        // The last step that reads each value that is computed from the images, which is at first none.
        let mut last = HashMap::from([(trace.images, 0)]);
        for operation in &trace.operations {
            let Some(out) = operation.ir.outputs().next() else { continue };
            let reads =
                operation.ir.inputs().filter_map(|input| made_of.get(&input.id)).flatten().copied().collect();
            let mut of_images = false;
            for input in operation.ir.inputs() {
                if let Some(last) = last.get_mut(&input.id) {
                    (*last, of_images) = (steps.len(), true);
                }
            }
            // What is chosen by images, as where a token is merged, is as if it were known: it goes past all modules.
            let chooses = matches!(
                operation.ir,
                OperationIr::NumericFloat(_, NumericOperationIr::ArgMax(_) | NumericOperationIr::ArgMin(_))
            );
            if of_images && !chooses {
                last.insert(out.id, 0);
                steps.push(Step { operation, out, reads, is_all: false });
            } else {
                made_of.insert(out.id, reads);
            }
        }
        last.insert(trace.logits, steps.len());
        let mut alive = HashSet::from([trace.images]);
        for (number, step) in steps.iter_mut().enumerate() {
            alive.insert(step.out.id);
            alive.retain(|value| last.get(value).is_some_and(|last| *last > number));
            step.is_all = alive.len() == 1 && alive.contains(&step.out.id);
        }
        Self { trace, steps }
    }

    /// The output of the module at `path`, or why there is none.
    ///
    /// It is the first value after all that reads a parameter of the module, from which all that follows is computed. Between it and
    /// such a value before the module, nothing may read a parameter of another one: so a block is told from a branch in it. Nor may what
    /// goes into the module be read again at its end, since then only the parent knows whether the module adds it or the parent does.
    /// Blocks, which are elements of a list and have layers, add it themselves.
    fn output(&self, path: &str) -> Result<Feature, String> {
        if !self.trace.parameters.iter().any(|parameter| within(parameter, path)) {
            let modules = self.modules();
            let hint = did_you_mean(path, modules.iter().map(String::as_str));
            return Err(format!("there is no module of that path{hint}"));
        }
        if [IMAGES, LOGITS].contains(&path) {
            return Err("the network has an input or output of that name already".to_owned());
        }
        let Some((first, last)) = self.own(path) else {
            return Err("nothing is left of it: take the module before".to_owned());
        };
        let begin = self.steps[..first].iter().rposition(|step| step.is_all).map_or(0, |before| before + 1);
        let end = self.steps[last..].iter().position(|step| step.is_all).map_or(last, |after| last + after);
        let mut read = self.steps[begin..=end].iter().flat_map(|step| &step.reads);
        if let Some(other) = read.find(|parameter| !within(parameter, path)) {
            let other = other.rsplit_once('.').map_or(*other, |(module, _)| module);
            return Err(format!(
                "the network goes on with more than what comes out of it: `{other}` acts beside it"
            ));
        }
        let entering = begin.checked_sub(1).map_or(self.trace.images, |before| self.steps[before].out.id);
        let adds = |(number, step): (usize, &Step)| {
            let mut inputs = step.operation.ir.inputs();
            (number > last || step.operation.name() == "Add") && inputs.any(|input| input.id == entering)
        };
        let is_added = (last..=end).zip(&self.steps[last..=end]).any(adds);
        let is_block = |module: &String| {
            (module == path || within(module, path))
                && self.is_block(module)
                && self.own(module) == Some((first, last))
        };
        if is_added && !self.modules().iter().any(is_block) {
            return Err(
                "what goes into it is added to what comes out of it: take the module around".to_owned()
            );
        }
        let owned = |paths: &BTreeSet<&str>| paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
        let read = self.steps[..=end].iter().flat_map(|step| owned(&step.reads)).collect();
        let last = owned(&self.steps[last].reads);
        Ok(Feature { name: path.to_owned(), tensor: self.steps[end].out.clone(), last, read })
    }

    /// The first and the last step that read a parameter of the module at `path`.
    fn own(&self, path: &str) -> Option<(usize, usize)> {
        let is_own = |step: &Step| step.reads.iter().any(|parameter| within(parameter, path));
        Some((self.steps.iter().position(is_own)?, self.steps.iter().rposition(is_own)?))
    }

    /// Whether the module at `path` is an element of a list and has modules in it.
    fn is_block(&self, path: &str) -> bool {
        let name = path.rsplit('.').next().unwrap_or(path);
        let is_inside = |parameter: &String| {
            let rest = parameter.strip_prefix(path).and_then(|rest| rest.strip_prefix('.'));
            rest.is_some_and(|rest| rest.contains('.'))
        };
        name.parse::<usize>().is_ok() && self.trace.parameters.iter().any(is_inside)
    }

    /// The error that there is no output of `path`.
    fn refused(&self, path: &str, reason: String) -> ExportError {
        let mut names: Vec<String> = Vec::new();
        for path in self.modules().iter().filter(|path| self.output(path).is_ok()) {
            let part =
                |part: &str| if part.parse::<usize>().is_ok() { "*".to_owned() } else { part.to_owned() };
            let pattern = format!("`{}`", path.split('.').map(part).collect::<Vec<_>>().join("."));
            if !names.contains(&pattern) {
                names.push(pattern);
            }
        }
        ExportError::Feature {
            path: path.to_owned(),
            reason,
            help: format!("outputs can be of {}", names.join(", ")),
        }
    }

    /// Paths of all modules, each before those in it.
    fn modules(&self) -> Vec<String> {
        let mut modules = Vec::new();
        for parameter in &self.trace.parameters {
            for (dot, _) in parameter.match_indices('.') {
                let module = parameter[..dot].to_owned();
                if !modules.contains(&module) {
                    modules.push(module);
                }
            }
        }
        modules
    }
}
