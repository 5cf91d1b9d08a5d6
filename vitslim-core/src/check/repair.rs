//! Finds other annotations with which the hard-masked and the sliced network agree.

use std::collections::HashMap;

use burn::module::ParamId;

use super::acting::Taken;
use super::amended::{Amendment, ParameterAxis, Place};
use super::culprit::Culprit;
use super::fields::fields;
use super::orders::{divisions, other_orders};
use super::pattern::{dimension_around, pattern, split};
use crate::models::{Architecture, Parameter};
use crate::panics::attempt;
use crate::slim::{
    Dimension, DimensionAxis, DimensionMapper, Features, Scope, Side, SlimLayer, Treatment, index_tensor,
    mapped,
};

/// Changes of the annotations, each of which makes the networks of `culprit` agree; empty if none is found in `attempts`.
pub(super) fn repairs<A: Architecture>(
    culprit: &Culprit<A>,
    acting: &[Taken],
    attempts: usize,
) -> Vec<Vec<Amendment>> {
    let axes = Axes::of(&culprit.subject.model);
    let dimensions: Vec<&Dimension> =
        culprit.guilty.iter().map(|&index| &culprit.subject.dimensions[index]).collect();
    let gates = gates(&axes, &dimensions, acting);
    let factors = factors(&axes, &dimensions);
    let is_sum = |addition: &Amendment| matches!(addition, Amendment::Add { features, .. } if matches!(features, Features::Sum(_)));
    let (sums, additions): (Vec<_>, Vec<_>) =
        additions(culprit, &axes, &dimensions).into_iter().partition(is_sum);
    let removals: Vec<Amendment> =
        axes.of_dimensions(&dimensions).map(|axis| Amendment::Remove(axis.place.clone())).collect();
    let mut left = attempts;
    let mut works = |amendments: &[Amendment]| {
        left = left.saturating_sub(1);
        left > 0 && culprit.subject.compare(&culprit.plan, amendments).is_same()
    };
    for single in [&gates, &factors, &additions, &removals, &sums] {
        let found: Vec<Vec<Amendment>> = single
            .iter()
            .map(|amendment| vec![amendment.clone()])
            .filter(|amendments| works(amendments))
            .collect();
        if !found.is_empty() {
            // Any of the gates may be the one that was meant; of other changes, the first is the smallest.
            let told = if std::ptr::eq(single, &gates) { found.len() } else { 1 };
            return found.into_iter().take(told).collect();
        }
    }
    if let Some(found) = fewest(&gates, &mut works) {
        return vec![found];
    }
    // Two changes: an annotation on the wrong layer, an annotation that needs a gate elsewhere, or two missing ones.
    let first = [&removals[..], &additions, &factors].concat();
    let second = [&additions[..], &gates].concat();
    for one in &first {
        for other in &second {
            if one != other && works(&[one.clone(), other.clone()]) {
                return vec![vec![one.clone(), other.clone()]];
            }
        }
    }
    Vec::new()
}

fn gates(axes: &Axes, dimensions: &[&Dimension], acting: &[Taken]) -> Vec<Amendment> {
    let mut places: Vec<&Place> =
        axes.of_dimensions(dimensions).filter(|axis| !axis.gated).map(|axis| &axis.place).collect();
    // Layers that act are most likely to lack a gate.
    let acts =
        |place: &Place| acting.iter().any(|taken| taken.layer == place.layer && taken.side == place.side);
    places.sort_by_key(|place| !acts(place));
    places.into_iter().map(|place| Amendment::Gate(place.clone())).collect()
}

/// Several gates that are needed together, as few of `gates` as are: none of them can go. Those that come last go first.
fn fewest(gates: &[Amendment], works: &mut impl FnMut(&[Amendment]) -> bool) -> Option<Vec<Amendment>> {
    if gates.len() < 2 || !works(gates) {
        return None;
    }
    let mut left = gates.to_vec();
    for index in (0..gates.len()).rev() {
        let mut fewer = left.clone();
        fewer.remove(index);
        if works(&fewer) {
            left = fewer;
        }
    }
    Some(left)
}

fn factors(axes: &Axes, dimensions: &[&Dimension]) -> Vec<Amendment> {
    axes.of_dimensions(dimensions)
        .flat_map(|axis| {
            let others = axis.others.iter().cloned();
            others.map(|features| Amendment::Factors { place: axis.place.clone(), features })
        })
        .collect()
}

/// Axes that are not annotated, but have a size that fits one of `dimensions`.
fn additions<A: Architecture>(
    culprit: &Culprit<A>,
    axes: &Axes,
    dimensions: &[&Dimension],
) -> Vec<Amendment> {
    let mut additions = Vec::new();
    for dimension in dimensions.iter().filter(|dimension| !dimension.is_tokens() && dimension.units() > 0) {
        let name = pattern(&dimension.path);
        let mut known: Vec<String> = Vec::new();
        // A dimension can only be named inside the struct that declares it.
        let candidates: Vec<Parameter> = Parameter::all(&culprit.subject.model)
            .into_iter()
            .filter(|parameter| {
                let path = pattern(&parameter.path);
                let inside = dimension_around(&name, &parameter.path).as_deref() == Some(&dimension.path);
                inside && !known.contains(&path) && {
                    known.push(path);
                    true
                }
            })
            .collect();
        let fits = |parameter: &Parameter, axis: usize| {
            let size = parameter.shape[axis];
            size >= dimension.units() && !axes.carries(&parameter.path, axis)
        };
        for parameter in &candidates {
            for axis in (0..parameter.shape.len()).filter(|&axis| fits(parameter, axis)) {
                let orders = orders(parameter.shape[axis], dimension.units());
                let of =
                    |parameter: &Parameter, axis| ParameterAxis { parameter: pattern(&parameter.path), axis };
                let alone = vec![of(parameter, axis)];
                // A bias belongs to the output of its weight, and a shift to its scale.
                let beside = candidates.iter().filter(|other| {
                    *other != parameter
                        && other.shape == [parameter.shape[axis]]
                        && split(&other.path).0 == split(&parameter.path).0
                        && fits(other, 0)
                });
                let together: Vec<ParameterAxis> =
                    alone.iter().cloned().chain(beside.map(|other| of(other, 0))).collect();
                let mut choices = vec![together];
                if choices[0] != alone {
                    choices.push(alone);
                }
                for axes in choices {
                    for features in &orders {
                        for gated in [false, true] {
                            let (dimension, axes, features) = (name.clone(), axes.clone(), features.clone());
                            additions.push(Amendment::Add { dimension, axes, features, gated });
                        }
                    }
                }
            }
        }
    }
    // Those without a gate first.
    additions.sort_by_key(|addition| matches!(addition, Amendment::Add { gated: true, .. }));
    additions
}

/// What `size` features may be of a dimension with so many `units`: all, or the first or last, beside what stays.
fn orders(size: usize, units: usize) -> Vec<Features> {
    let dimension = |inner: usize| Features::Units(0, Features::One.times(inner).into());
    match size - units {
        _ if size.is_multiple_of(units) => {
            divisions(size / units).map(|(outer, inner)| dimension(inner).times(outer)).collect()
        }
        rest => {
            let rest = Features::One.times(rest);
            vec![Features::Sum(vec![dimension(1), rest.clone()]), Features::Sum(vec![rest, dimension(1)])]
        }
    }
}

/// The annotated axes of a model, one for each pattern.
#[derive(Debug, Default)]
pub(super) struct Axes {
    axes: Vec<AnnotatedAxis>,
    /// Patterns of parameters, with the index of an axis that carries a dimension.
    carried: Vec<(String, usize)>,
    /// Borrowed dimensions that no enclosing struct declares.
    pub undeclared: Vec<String>,
    /// Patterns of names that are lent to fields in which nothing borrows them.
    pub unborrowed: Vec<String>,
    /// A layer that panics when it is cut: its path, the side, and the message.
    pub uncut: Option<(String, String, String)>,
    /// A parameter whose layer a traversal written by hand calls by another name: its path as that says, and its path.
    pub misnamed: Option<(String, String)>,
    /// A path that such a traversal says how to train, and the fields around, of which none is called so.
    pub treated: Option<(String, Vec<String>)>,
    /// Why the traversal does not end where it began.
    pub unbalanced: Option<String>,
}

#[derive(Debug)]
struct AnnotatedAxis {
    place: Place,
    /// Other orders of its factors.
    others: Vec<Features>,
    gated: bool,
}

impl Axes {
    pub fn of<A: Architecture>(model: &A) -> Self {
        let paths =
            Parameter::all(model).into_iter().map(|parameter| (parameter.id, parameter.path)).collect();
        let fields = fields(model);
        let list = |scope| ListAxes { scope, axes: Self::default(), paths: &paths, fields: &fields };
        let (_, list) = mapped(model, list);
        let undeclared = list.scope.undeclared().to_vec();
        let mut lent: Vec<(String, bool)> = Vec::new();
        for (path, is_borrowed) in list.scope.lent() {
            let name = pattern(path);
            match lent.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known |= is_borrowed,
                None => lent.push((name, *is_borrowed)),
            }
        }
        let unborrowed =
            lent.into_iter().filter(|(_, is_borrowed)| !is_borrowed).map(|(name, _)| name).collect();
        Self { undeclared, unborrowed, unbalanced: list.scope.unbalanced(), ..list.axes }
    }

    fn of_dimensions<'a>(&'a self, dimensions: &'a [&Dimension]) -> impl Iterator<Item = &'a AnnotatedAxis> {
        let named = |axis: &&AnnotatedAxis| {
            dimensions.iter().any(|dimension| axis.place.dimensions.contains(&pattern(&dimension.path)))
        };
        self.axes.iter().filter(named)
    }

    /// Whether an axis of `layer` is annotated with `dimension`.
    pub fn has(&self, layer: &str, dimension: &str) -> bool {
        let has = |place: &Place| place.dimensions.iter().any(|other| other == dimension);
        self.axes.iter().any(|axis| pattern(&axis.place.layer) == layer && has(&axis.place))
    }

    /// Whether axis `axis` of `parameter` carries a dimension already.
    pub fn carries(&self, parameter: &str, axis: usize) -> bool {
        self.carried.contains(&(pattern(parameter), axis))
    }
}

struct ListAxes<'a> {
    scope: Scope,
    axes: Axes,
    /// Path of each parameter of the model.
    paths: &'a HashMap<ParamId, String>,
    /// Path of each of its fields.
    fields: &'a [String],
}

impl ListAxes<'_> {
    /// Compares what the traversal calls the parameters of the layer at `path` with their paths in the model.
    fn check_names(&mut self, path: &str, parameters: &[Parameter]) {
        for parameter in parameters {
            let said = inside(path, &parameter.path);
            if let Some(found) = self.paths.get(&parameter.id)
                && said.replace("r#", "") != found.replace("r#", "")
            {
                self.axes.misnamed.get_or_insert((said, found.clone()));
            }
        }
    }
}

/// Path of the parameter at `path` in the layer at `layer`.
fn inside(layer: &str, path: &str) -> String {
    if path.is_empty() { layer.to_owned() } else { format!("{layer}.{path}") }
}

impl DimensionMapper for ListAxes<'_> {
    fn scope(&mut self) -> &mut Scope {
        &mut self.scope
    }

    fn treat(&mut self, field: &str, _: &[Treatment]) {
        let path = self.scope.path_of(field);
        if !self.fields.iter().any(|known| known.replace("r#", "") == path) {
            let around = |known: &String| split(known).0 == split(&path).0;
            let around = self.fields.iter().filter(|known| around(known));
            let around = around.map(|known| split(known).1.to_owned()).collect();
            self.axes.treated.get_or_insert((path, around));
        }
    }

    fn map_axis<S: Side, L: SlimLayer<S>>(&mut self, axis: DimensionAxis, layer: L, side: S) -> L {
        self.check_names(&axis.layer, &Parameter::all(&layer));
        let place = Place::of(&axis, side);
        let names_units = axis.dimensions().any(|of| axis.features_per_unit(&of.path).is_some());
        if names_units && !self.axes.axes.iter().any(|known| known.place == place) {
            let device = layer.devices().into_iter().next().unwrap_or_default();
            for dimension in axis.dimensions() {
                let left = index_tensor(&axis.without_first(&dimension.path), &device);
                let left = match attempt(|| layer.clone().select(side, left)) {
                    Ok(left) => Parameter::all(&left),
                    Err(said) => {
                        self.axes.uncut.get_or_insert((axis.layer.clone(), side.name(), said));
                        return layer;
                    }
                };
                for (parameter, left) in Parameter::all(&layer).iter().zip(&left) {
                    let path = inside(&axis.layer, &parameter.path);
                    let sizes = parameter.shape.iter().zip(&left.shape).enumerate();
                    let cut = sizes.filter(|(_, (before, after))| before != after);
                    self.axes.carried.extend(cut.map(|(number, _)| (pattern(&path), number)));
                }
            }
            self.axes.axes.push(AnnotatedAxis {
                place,
                others: other_orders(axis.features()),
                gated: axis.gated,
            });
        }
        layer
    }
}
