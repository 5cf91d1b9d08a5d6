//! A model with changed annotations, to find the change that makes them right.

use burn::module::{Module, ModuleDisplay, ModuleMapper, Param};
use burn::tensor::{Int, Tensor};

use super::pattern::{dimension_around, layer_pattern, pattern};
use crate::nn::{BranchGate, HeadLayout, TokenGate};
use crate::slim::{
    DimensionAxis, DimensionMapper, End, Features, LaidOut, Output, Scope, Side, SlimLayer, Slimmable,
    scale_param, select_param,
};

/// A change of the annotations, wherever its patterns match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Amendment {
    /// Also gate here.
    Gate(Place),
    /// Read the factors of this axis in another order.
    Factors { place: Place, features: Features },
    /// Take the dimensions off this axis.
    Remove(Place),
    /// Annotate these axes of parameters with the dimension, which `features` numbers 0.
    Add { dimension: String, axes: Vec<ParameterAxis>, features: Features, gated: bool },
}

/// An annotated side of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Pattern of the layer: `blocks.*.mlp.fc1`, `stages.*.downsample.1`.
    pub layer: String,
    /// The side.
    pub side: String,
    /// Patterns of the dimensions that it names.
    pub dimensions: Vec<String>,
}

/// An axis of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ParameterAxis {
    /// Pattern of the parameter: `blocks.*.mlp.fc1.weight`.
    pub parameter: String,
    /// Number of the axis.
    pub axis: usize,
}

/// `model` with other annotations.
#[derive(Module, Debug)]
pub(super) struct Amended<A: Module> {
    /// The model.
    pub model: A,
    #[module(skip)]
    amendments: Vec<Amendment>,
}

impl<A: Slimmable + ModuleDisplay> Amended<A> {
    /// `model` with `amendments` of its annotations.
    pub fn new(model: A, amendments: Vec<Amendment>) -> Self {
        Self { model, amendments }
    }
}

impl<A: Slimmable + ModuleDisplay> Slimmable for Amended<A> {
    fn map_dimensions<M: DimensionMapper>(self, mapper: &mut M) -> Self {
        let Self { model, amendments } = self;
        let model = model.map_dimensions(&mut Amending { mapper, amendments: &amendments });
        let model = amendments.iter().fold(model, |model, amendment| match amendment {
            Amendment::Add { .. } => model.map(&mut Adding { mapper, amendment, path: Vec::new() }),
            _ => model,
        });
        Self { model, amendments }
    }
}

struct Amending<'a, M> {
    mapper: &'a mut M,
    amendments: &'a [Amendment],
}

impl<M: DimensionMapper> DimensionMapper for Amending<'_, M> {
    fn scope(&mut self) -> &mut Scope {
        self.mapper.scope()
    }

    fn map_layout(&mut self, laid_out: &[LaidOut], layout: HeadLayout) -> HeadLayout {
        self.mapper.map_layout(laid_out, layout)
    }

    fn map_tokens(&mut self, dimension: &str, gate: TokenGate) -> TokenGate {
        self.mapper.map_tokens(dimension, gate)
    }

    fn map_branch(&mut self, dimension: &str, gate: BranchGate) -> BranchGate {
        self.mapper.map_branch(dimension, gate)
    }

    fn map_end<S: Side, L: SlimLayer<S>>(&mut self, end: End, layer: L, side: S) -> L {
        self.mapper.map_end(end, layer, side)
    }

    fn map_part<T: Module>(&mut self, path: &str, branches: &[String], part: T) -> T {
        self.mapper.map_part(path, branches, part)
    }

    fn map_axis<S: Side, L: SlimLayer<S>>(&mut self, mut axis: DimensionAxis, layer: L, side: S) -> L {
        let here = Place::of(&axis, side);
        for amendment in self.amendments {
            match amendment {
                Amendment::Gate(place) if *place == here => axis.gated = true,
                Amendment::Remove(place) if *place == here => return layer,
                Amendment::Factors { place, features } if *place == here => {
                    axis = axis.with_features(features.clone());
                }
                _ => {}
            }
        }
        self.mapper.map_axis(axis, layer, side)
    }
}

impl Place {
    /// The place of `axis`.
    pub fn of<S: Side>(axis: &DimensionAxis, side: S) -> Self {
        let dimensions = axis.dimensions.iter().map(|dimension| pattern(&dimension.path)).collect();
        Self { layer: layer_pattern(&axis.layer), side: side.name(), dimensions }
    }
}

struct Adding<'a, M> {
    mapper: &'a mut M,
    amendment: &'a Amendment,
    path: Vec<String>,
}

impl<M: DimensionMapper> ModuleMapper for Adding<'_, M> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.join(".");
        let Amendment::Add { dimension, axes, features, gated } = self.amendment else { return param };
        let here = pattern(&path);
        let Some(added) = axes.iter().find(|added| added.parameter == here) else { return param };
        let Some(dimension) = dimension_around(dimension, &path) else { return param };
        let extent = param.dims()[added.axis];
        let axis = DimensionAxis::of_one(dimension, path, features.clone(), extent, *gated);
        self.mapper.map_axis(axis, Along { param, axis: added.axis }, Output).param
    }
}

/// A parameter with a dimension along one of its axes.
#[derive(Module, Debug)]
struct Along<const D: usize> {
    param: Param<Tensor<D>>,
    axis: usize,
}

impl<const D: usize> SlimLayer<Output> for Along<D> {
    fn extent(&self, _: Output) -> usize {
        self.param.dims()[self.axis]
    }

    fn scale(self, _: Output, factors: Tensor<1>) -> Self {
        Self { param: scale_param(self.param, self.axis, &factors), ..self }
    }

    fn select(self, _: Output, kept: Tensor<1, Int>) -> Self {
        Self { param: select_param(self.param, self.axis, &kept), ..self }
    }
}
