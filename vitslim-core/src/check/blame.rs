//! Why a hard-masked and a sliced network differ: the dimension, the layer, and what is probably missing.

use std::collections::HashMap;

use burn::tensor::Tensor;

use super::acting::{Taken, acting, is_left_by_its_gate, taken};
use super::amended::{Amendment, ParameterAxis, Place};
use super::change::{Change, changed};
use super::culprit::Culprit;
use super::pattern::{pattern, split};
use super::repair::{Axes, repairs};
use super::subject::{Outcome, Subject};
use super::twin::borrow;
use crate::models::{Architecture, Parameter};
use crate::panics::attempt;
use crate::report::Reason;
use crate::slim::{DimensionMapper, Factor, Features, HasAxis, PlanError, Scope, Side};

/// Most parameters or repairs in a message.
const TOLD: usize = 3;

/// What is wrong.
pub(super) struct Blame {
    pub reason: Reason,
    /// Changes of the annotations each of which makes it right, if any are known.
    pub repairs: Vec<Vec<Amendment>>,
}

impl From<Reason> for Blame {
    fn from(reason: Reason) -> Self {
        Self { reason, repairs: Vec::new() }
    }
}

/// What is wrong with `culprit`, which may have a `twin`, found with at most `attempts` other annotations.
pub(super) fn blame<A: Architecture>(
    culprit: &Culprit<A>,
    twin: Option<(&str, &str)>,
    attempts: usize,
) -> Blame {
    let subject = culprit.subject;
    let names: Vec<String> = culprit.guilty.iter().map(|&index| name(subject, index)).collect();
    let names = names.join(" and ");
    let tokens = culprit.guilty.iter().all(|&index| subject.dimensions[index].is_tokens());
    // A layer that only takes some cuts says so itself.
    if let Ok(Err(error @ PlanError::Layer { .. })) = attempt(|| subject.model.slim(&culprit.plan)) {
        return Reason::new(format!("{names}: with {}, {error}", culprit.cuts)).into();
    }
    if culprit.guilty.iter().any(|&index| subject.dimensions[index].is_branch()) {
        return of_branch(culprit, &names).into();
    }
    match &culprit.outcome {
        Outcome::Fails(said) if tokens => cut_tokens_fail(culprit, &names, said).into(),
        Outcome::Fails(said) if culprit.guilty.iter().all(|&index| culprit.plan.cuts[index].keep.is_empty()) => {
            Reason::new(format!("{names}: with all its units cut, the forward pass fails ({said})")).with_help(
                "a budget over several layers may leave one of them without units: return early if there are no features, as \
                 `HeadLayout::attend` does",
            )
            .into()
        }
        Outcome::Fails(said) => {
            let message = format!("{names}: after slicing, layers do not fit each other ({said})");
            if let Some((outer, inner)) = twin {
                return Reason::new(message).with_help(borrow(outer, inner)).into();
            }
            let repairs = repairs(culprit, &[], attempts);
            let reason = Reason::new(with_layers(message, &repairs)).with_help(match repairs.is_empty() {
                false => told(&subject.model, &repairs),
                true => format!(
                    "a layer that reads or writes it is not annotated, or annotated with another dimension: is it one of {}?",
                    unannotated(culprit)
                ),
            });
            Blame { reason, repairs }
        }
        Outcome::Differ(difference) | Outcome::Same(difference) => {
            let mut message = format!(
                "{names}: with {}, the hard-masked and the sliced network differ by {difference:.1e} of the largest logit",
                culprit.cuts
            );
            let taken = taken(&subject.model, &culprit.plan);
            let acting = acting(subject, &culprit.plan, &taken);
            if !acting.is_empty() {
                let acts: Vec<String> = acting.iter().take(TOLD).map(acts).collect();
                message += &format!("; {}", acts.join(", "));
                let more = acting.len().saturating_sub(TOLD);
                if more > 0 {
                    message += &format!(", and {more} more");
                }
            }
            if let Some(help) = unscaled(culprit, &acting) {
                return Reason::new(message).with_help(help).into();
            }
            let repairs = repairs(culprit, &acting, attempts);
            let reason = Reason::new(with_layers(message, &repairs)).with_help(match (repairs.is_empty(), acting.is_empty()) {
                (false, _) => told(&subject.model, &repairs),
                (true, false) => "is a gate missing there, or is a layer with other units annotated?".to_owned(),
                (true, true) => counted(culprit),
            });
            Blame { reason, repairs }
        }
    }
}

/// What is wrong with a branch.
fn of_branch<A: Architecture>(culprit: &Culprit<A>, names: &str) -> Reason {
    let branch =
        culprit.guilty.iter().map(|&index| &culprit.subject.dimensions[index]).find(|of| of.is_branch());
    let ends = branch.into_iter().flat_map(|branch| &branch.carriers).map(|end| format!("`{}`", end.layer));
    let ends = ends.collect::<Vec<_>>().join(" and ");
    match &culprit.outcome {
        Outcome::Fails(said) => {
            Reason::new(format!("{names}: with {}, the forward pass fails ({said})", culprit.cuts)).with_help(
                "something uses the fields of the branch that is not computed in its `BranchGate::add`: compute all of it there, as in \
                 `self.attn_branch.add(x, |x| self.attn.forward(self.norm1.forward(x)))`, and list only fields that nothing else uses",
            )
        }
        Outcome::Differ(difference) | Outcome::Same(difference) => Reason::new(format!(
            "{names}: with {}, the network without the branch and the one with {ends} multiplied by 0 differ by {difference:.1e} of the \
             largest logit",
            culprit.cuts
        ))
        .with_help(format!(
            "does {ends} compute all that `BranchGate::add` adds, with nothing behind it that adds to it? Is `add` what adds it, and does \
             `branch` list only fields that nothing else uses?"
        )),
    }
}

/// A dimension and the number of others like it: `blocks.0.mlp.hidden` (and 11 like it).
fn name<A: Architecture>(subject: &Subject<A>, index: usize) -> String {
    let path = &subject.dimensions[index].path;
    match subject.others_like(index) {
        0 => format!("`{path}`"),
        others => format!("`{path}` (and {others} like it)"),
    }
}

/// Says how the parameters of `taken` act.
fn acts(taken: &Taken) -> String {
    let Taken { parameter, side, dimension, .. } = taken;
    let (_, unit) = split(dimension);
    let (_, last) = split(parameter);
    match (last, side.as_str()) {
        ("bias" | "beta", _) => format!("`{parameter}` still adds to units that `{unit}` removed"),
        (_, "input") => format!("`{parameter}` still reads units that `{unit}` removed"),
        _ => format!("`{parameter}` still acts for units that `{unit}` removed"),
    }
}

/// Help for a layer that is gated, but whose gate leaves a parameter unscaled.
fn unscaled<A: Architecture>(culprit: &Culprit<A>, acting: &[Taken]) -> Option<String> {
    let is_left = |taken: &&Taken| taken.gated && is_left_by_its_gate(culprit.subject, &culprit.plan, taken);
    let Taken { parameter, layer, .. } = acting.iter().find(is_left)?;
    Some(format!(
        "`{layer}` is gated there, but `{parameter}` stays as it is: does `SlimLayer::scale` of this layer multiply it?"
    ))
}

/// The message with the parameters of the first repair, if that annotates any.
fn with_layers(message: String, repairs: &[Vec<Amendment>]) -> String {
    let Some(Amendment::Add { axes, dimension, .. }) =
        repairs.first().and_then(|repair| repair.iter().find(|a| matches!(a, Amendment::Add { .. })))
    else {
        return message;
    };
    let (_, unit) = split(dimension);
    let names: Vec<String> = axes.iter().map(|axis| format!("`{}`", axis.parameter)).collect();
    let verb = if names.len() == 1 { "keeps" } else { "keep" };
    format!("{message}; {} {verb} units that `{unit}` removed", names.join(" and "))
}

fn told<A: Architecture>(model: &A, repairs: &[Vec<Amendment>]) -> String {
    let writer = Writer::of(model);
    let one = |repair: &Vec<Amendment>| {
        repair.iter().map(|amendment| writer.told(amendment)).collect::<Vec<_>>().join("; and ")
    };
    let told: Vec<String> = repairs.iter().take(TOLD).map(one).collect();
    format!("{}: with that, the two agree", told.join("; or "))
}

/// Writes amendments as annotations.
struct Writer {
    names: Names,
    /// Type of the layer of each parameter, by pattern.
    layers: HashMap<String, String>,
    axes: Axes,
}

impl Writer {
    fn of<A: Architecture>(model: &A) -> Self {
        let mut names = Names::default();
        model.clone().map_dimensions(&mut names);
        let parameters = Parameter::all(model).into_iter();
        let layers = parameters.map(|parameter| (pattern(&parameter.path), parameter.layer)).collect();
        Self { names, layers, axes: Axes::of(model) }
    }

    fn told(&self, amendment: &Amendment) -> String {
        match amendment {
            Amendment::Gate(place @ Place { layer, side, .. }) => {
                format!("write `gate` after the `{side}` of `{layer}`, where that is `{}`", self.units(place))
            }
            Amendment::Factors { place: place @ Place { layer, side, .. }, features } => {
                let list = self.factors(features, place).join(", ");
                format!("write `{side} = [{list}]` on `{layer}`: its factors are in this order")
            }
            Amendment::Remove(place @ Place { layer, side, .. }) => {
                format!("take `{}` from the `{side}` of `{layer}`, which is another axis", self.units(place))
            }
            Amendment::Add { dimension, axes, features, gated } => {
                let gate = if *gated { ", gate" } else { "" };
                let (field, side) = self.field(&axes[0]);
                let dimensions = vec![dimension.clone()];
                let place = Place { layer: field.clone(), side: side.clone(), dimensions };
                let list = self.factors(features, &place).join(", ");
                // The layer is annotated, so it is the layer that leaves the parameter out.
                if let (Some(layer), _) = split(&field)
                    && self.axes.has(layer, dimension)
                {
                    return format!("let `SlimLayer::select` of `{layer}` cut `{field}` too");
                }
                format!("is `{field}` annotated? Write `#[slim({side} = [{list}]{gate})]` on it")
            }
        }
    }

    /// The dimensions of a place, as its layer names them.
    fn units(&self, Place { layer, dimensions, .. }: &Place) -> String {
        dimensions.iter().map(|dimension| self.names.of(dimension, layer)).collect::<Vec<_>>().join(" + ")
    }

    /// The factors of an axis, as they are written at `place`.
    fn factors(&self, features: &Features, place: &Place) -> Vec<String> {
        self.factors_within(features, place, false)
    }

    /// Likewise of a part of an axis, whose groups are written around it if it `is_grouped`.
    fn factors_within(&self, features: &Features, place: &Place, is_grouped: bool) -> Vec<String> {
        let (first, inside, is_grouped) = match features {
            Features::One => return Vec::new(),
            Features::Sum(terms) => {
                let term = |term: &Features| match self.factors_within(term, place, is_grouped).as_slice() {
                    [one] => one.clone(),
                    factors => format!("({})", factors.join(", ")),
                };
                return vec![terms.iter().map(term).collect::<Vec<_>>().join(" + ")];
            }
            Features::Times(count, inside) => (vec![count.to_string()], inside, is_grouped),
            Features::Groups(of, inside) => (self.groups(&place.dimensions[*of]), inside, true),
            Features::Units(of, inside) => {
                let dimension = &place.dimensions[*of];
                let mut names = if is_grouped { Vec::new() } else { self.groups(dimension) };
                names.push(self.names.of(dimension, &place.layer));
                (names, inside, is_grouped)
            }
        };
        [first, self.factors_within(inside, place, is_grouped)].concat()
    }

    /// What the groups of `dimension` are called, if it has any.
    fn groups(&self, dimension: &str) -> Vec<String> {
        self.names.groups.get(dimension).map(|groups| (*groups).to_owned()).into_iter().collect()
    }

    /// The field to annotate for `axis`, a layer or the parameter itself, and the key.
    fn field(&self, axis: &ParameterAxis) -> (String, String) {
        let ParameterAxis { parameter, axis } = axis;
        let (layer, last) = split(parameter);
        let kind = self.layers.get(parameter).map_or("", String::as_str);
        let side = match (kind, last, axis) {
            ("Linear", "weight", 0) => "input",
            ("Linear", _, _) | ("Embedding", "weight", 1) => "output",
            (_, "weight", 1) if kind.starts_with("Conv") => "input",
            (_, "weight" | "bias", 0) if kind.starts_with("Conv") => "output",
            _ if kind.ends_with("Norm") => "output",
            _ => return (parameter.clone(), format!("axis({axis})")),
        };
        (layer.unwrap_or(parameter).to_owned(), side.to_owned())
    }
}

/// What structs call dimensions.
#[derive(Default)]
struct Names {
    scope: Scope,
    /// Names of the groups of grouped dimensions, by pattern.
    groups: HashMap<String, &'static str>,
    /// Names of dimensions, by pattern and the pattern of the struct that uses them: one that is lent may be called otherwise there.
    local: HashMap<(String, String), &'static str>,
}

impl Names {
    /// What the struct of `field` calls `dimension`.
    fn of(&self, dimension: &str, field: &str) -> String {
        let (around, _) = split(field);
        let local = self.local.get(&(dimension.to_owned(), around.unwrap_or_default().to_owned()));
        local.map_or_else(|| split(dimension).1.to_owned(), |local| (*local).to_owned())
    }

    /// Notes what `factors`, in the groups `groups`, are called at `field`.
    fn note(&mut self, field: &str, factors: &[Factor], mut groups: Option<&'static str>) {
        for factor in factors {
            match factor {
                Factor::Count(_) => {}
                Factor::Groups(name) => groups = Some(*name),
                Factor::Units(units) => {
                    let Some(resolved) = self.scope.resolve(units) else { continue };
                    let dimension = pattern(&resolved.path);
                    let path = pattern(&self.scope.path_of(field));
                    let around = split(&path).0.unwrap_or_default().to_owned();
                    self.local.insert((dimension.clone(), around), *units);
                    if let Some(groups) = groups {
                        self.groups.insert(dimension, groups);
                    }
                }
                Factor::Sum(terms) => terms.iter().for_each(|term| self.note(field, term, groups)),
            }
        }
    }
}

impl DimensionMapper for Names {
    fn scope(&mut self) -> &mut Scope {
        &mut self.scope
    }

    fn axis<S: Side, L: HasAxis<S>>(
        &mut self,
        field: &str,
        layer: L,
        _: S,
        factors: &[Factor],
        _: bool,
    ) -> L {
        self.note(field, factors, None);
        layer
    }
}

/// Help if no removed unit acts: then something depends on the number of units.
fn counted<A: Architecture>(culprit: &Culprit<A>) -> String {
    let taken = taken(&culprit.subject.model, &culprit.plan);
    let mut layers: Vec<String> = Vec::new();
    for taken in &taken {
        let layer = format!("`{}`", taken.layer);
        if !layers.contains(&layer) {
            layers.push(layer);
        }
    }
    format!(
        "no removed unit acts, so something between {} counts them, as a mean, a softmax or a norm over them does; \
         `vitslim_core::nn::LayerNorm` remembers its original width",
        layers.join(" and ")
    )
}

/// Parameters with an axis that is not annotated and whose size fits.
fn unannotated<A: Architecture>(culprit: &Culprit<A>) -> String {
    let axes = Axes::of(&culprit.subject.model);
    let units: Vec<usize> =
        culprit.guilty.iter().map(|&index| culprit.subject.dimensions[index].units()).collect();
    let mut names: Vec<String> = Vec::new();
    for parameter in Parameter::all(&culprit.subject.model) {
        let fits = (0..parameter.shape.len()).any(|axis| {
            let size = parameter.shape[axis];
            !axes.carries(&parameter.path, axis) && units.iter().any(|&units| units > 0 && size % units == 0)
        });
        let name = format!("`{}`", pattern(&parameter.path));
        if fits && !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

/// The reason if the forward pass fails with tokens cut: something has the number of tokens from before the cut.
fn cut_tokens_fail<A: Architecture>(culprit: &Culprit<A>, names: &str, said: &str) -> Reason {
    let subject = culprit.subject;
    let message = format!("{names}: with tokens cut, the forward pass fails ({said})");
    let cut = &culprit.plan.cuts[culprit.guilty[0]];
    let gone = cut.units() - cut.keep.len();
    let mut suspects: Vec<(String, usize)> = Vec::new();
    for parameter in Parameter::all(&subject.model) {
        for (axis, size) in parameter.shape.iter().enumerate() {
            let suspect = (pattern(&parameter.path), axis);
            if *size >= cut.units() && !suspects.contains(&suspect) {
                suspects.push(suspect);
            }
        }
    }
    let works = |(parameter, axis): &&(String, usize)| {
        let shorter = changed(subject.model.clone(), &mut Shorten { parameter, axis: *axis, by: gone });
        shorter.slim(&culprit.plan).is_ok_and(|sliced| subject.logits(&sliced).is_ok())
    };
    match suspects.iter().find(works) {
        Some((parameter, axis)) => Reason::new(format!(
            "{message}; axis {axis} of `{parameter}` keeps tokens that were cut"
        ))
        .with_help("add or multiply by position before the first `keep`"),
        None => Reason::new(message).with_help(
            "after `keep`, the forward pass must take the number of tokens from the tensor: does it use a fixed number?",
        ),
    }
}

/// Removes the last values along an axis.
struct Shorten<'a> {
    parameter: &'a str,
    axis: usize,
    by: usize,
}

impl Change for Shorten<'_> {
    fn change<const D: usize>(&mut self, path: &str, value: &Tensor<D>) -> Option<Tensor<D>> {
        if pattern(path) != self.parameter {
            return None;
        }
        let left = value.dims()[self.axis].saturating_sub(self.by);
        (left > 0).then(|| value.clone().narrow(self.axis, 0, left))
    }
}
