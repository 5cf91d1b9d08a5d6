//! The learnable masks of a search.

use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor, Param,
};
use burn::tensor::{Device, Tensor, activation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dimension::Dimension;
use super::layer::index_tensor;

/// How many masks a dimension gets. For a dimension that is not grouped, only `Unit` is possible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Granularity {
    /// One mask per unit.
    #[default]
    Unit,
    /// One mask per group: whole heads are pruned.
    Group,
    /// One mask per position, shared by all groups: all heads keep the same dims.
    Uniform,
}

impl Granularity {
    /// Whether it is possible for `dimension`: `Group` needs groups, `Uniform` groups of equal size.
    pub fn fits(self, dimension: &Dimension) -> bool {
        match self {
            Self::Unit => true,
            Self::Group => dimension.groups.len() > 1,
            Self::Uniform => dimension.groups.len() > 1 && dimension.groups.windows(2).all(|g| g[0] == g[1]),
        }
    }
}

/// The function from a mask's trained value to the factor that it multiplies by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Activation {
    /// The value itself.
    #[default]
    Identity,
    /// tanh of the value.
    Tanh,
    /// The sigmoid of the value.
    Sigmoid,
}

impl Activation {
    fn forward(self, values: Tensor<1>) -> Tensor<1> {
        match self {
            Self::Identity => values,
            Self::Tanh => values.tanh(),
            Self::Sigmoid => activation::sigmoid(values),
        }
    }
}

/// How the masks of a dimension are initialised and penalised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaskSpec {
    /// How many masks the dimension gets.
    pub granularity: Granularity,
    /// The function from value to factor.
    pub activation: Activation,
    /// Initial value of every mask, before the activation.
    pub init: f64,
    /// Weight of the l1 norm of the activated masks in the penalty.
    pub weight: f64,
}

impl Default for MaskSpec {
    fn default() -> Self {
        Self { granularity: Granularity::Unit, activation: Activation::Identity, init: 1.0, weight: 0.0 }
    }
}

/// The masks of one dimension.
#[derive(Clone, Debug)]
pub struct Mask {
    /// Path of the dimension.
    pub path: String,
    /// How they are initialised and penalised.
    pub spec: MaskSpec,
    /// Trained values before the activation, `[masks]`.
    pub values: Param<Tensor<1>>,
    is_tokens: bool,
    groups: Vec<usize>,
}

impl Mask {
    /// Masks for `dimension`, at their initial value.
    pub fn new(dimension: &Dimension, spec: MaskSpec, device: &Device) -> Self {
        let count = count(spec.granularity, &dimension.groups);
        Self {
            path: dimension.path.clone(),
            spec,
            values: Param::from_tensor(Tensor::full([count], spec.init, device)),
            is_tokens: dimension.is_tokens(),
            groups: dimension.groups.clone(),
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        count(self.spec.granularity, &self.groups)
    }

    /// Whether they mask token positions.
    pub fn is_tokens(&self) -> bool {
        self.is_tokens
    }

    /// The masks after their activation, `[masks]`.
    pub fn activated(&self) -> Tensor<1> {
        self.spec.activation.forward(self.values.val())
    }

    /// The index of the mask of each unit, `[units]`.
    pub fn mask_of_unit(&self) -> Vec<usize> {
        let groups = self.groups.iter();
        match self.spec.granularity {
            Granularity::Unit => (0..groups.sum()).collect(),
            Granularity::Group => groups.enumerate().flat_map(|(group, size)| vec![group; *size]).collect(),
            Granularity::Uniform => groups.flat_map(|size| 0..*size).collect(),
        }
    }

    /// The factor of each unit, `[units]`.
    pub fn unit_factors(&self) -> Tensor<1> {
        let activated = self.activated();
        if self.spec.granularity == Granularity::Unit {
            return activated;
        }
        let device = activated.device();
        activated.select(0, index_tensor(&self.mask_of_unit(), &device))
    }

    fn map_values(self, map: impl FnOnce(Param<Tensor<1>>) -> Param<Tensor<1>>) -> Self {
        Self { values: map(self.values), ..self }
    }
}

fn count(granularity: Granularity, groups: &[usize]) -> usize {
    match granularity {
        Granularity::Unit => groups.iter().sum(),
        Granularity::Group => groups.len(),
        Granularity::Uniform => groups.iter().copied().max().unwrap_or(0),
    }
}

/// The masks of all searched dimensions of a model, in the order of its traversal. As a module, its parameters are named by the
/// paths of the dimensions.
#[derive(Clone, Debug, Default)]
pub struct MaskSet {
    masks: Vec<Mask>,
}

impl MaskSet {
    /// Masks for each of the `searched` dimensions.
    pub fn new(searched: &[(Dimension, MaskSpec)], device: &Device) -> Self {
        let mask = |(dimension, spec): &(Dimension, MaskSpec)| Mask::new(dimension, *spec, device);
        Self { masks: searched.iter().map(mask).collect() }
    }

    /// The masks, in the order of the traversal.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Mask> {
        self.masks.iter()
    }

    /// Whether nothing is searched.
    pub fn is_empty(&self) -> bool {
        self.masks.is_empty()
    }

    /// The masks of the dimension at `path`.
    pub fn get(&self, path: &str) -> Option<&Mask> {
        self.masks.iter().find(|mask| mask.path == path)
    }

    /// The masks with each value tensor replaced by `values(path, old)`.
    pub fn map_values(self, mut values: impl FnMut(&str, Tensor<1>) -> Tensor<1>) -> Self {
        let replace = |mask: Mask| {
            let path = mask.path.clone();
            mask.map_values(|old| old.map(|old| values(&path, old)))
        };
        Self { masks: self.masks.into_iter().map(replace).collect() }
    }

    /// Path and unit factors (`[units]`) of each dimension.
    pub(crate) fn unit_factors(&self) -> Vec<(String, Tensor<1>)> {
        self.masks.iter().map(|mask| (mask.path.clone(), mask.unit_factors())).collect()
    }

    /// The sparsity penalty, `[1]`: the sum over dimensions of weight times the l1 norm of the activated masks. As in the
    /// reference, whose golden numbers check it, a mask that several units share counts once. `None` if no mask has a weight.
    pub fn penalty(&self) -> Option<Tensor<1>> {
        self.masks
            .iter()
            .filter(|mask| mask.spec.weight != 0.0)
            .map(|mask| mask.activated().abs().sum() * mask.spec.weight)
            .reduce(|sum, term| sum + term)
    }
}

// By hand, since the derive would name parameters by fields instead of paths.
impl Module for MaskSet {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.masks.iter().fold(devices, |devices, mask| mask.values.collect_devices(devices))
    }

    fn fork(self, device: &Device) -> Self {
        self.map_params(|values| values.fork(device))
    }

    fn to_device(self, device: &Device) -> Self {
        self.map_params(|values| values.to_device(device))
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        for mask in &self.masks {
            visitor.enter_module(&mask.path, "MaskSet");
            mask.values.visit(visitor);
            visitor.exit_module(&mask.path, "MaskSet");
        }
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        let map = |mask: Mask| {
            let path = mask.path.clone();
            mapper.enter_module(&path, "MaskSet");
            let mask = mask.map_values(|values| Module::map(values, mapper));
            mapper.exit_module(&path, "MaskSet");
            mask
        };
        Self { masks: self.masks.into_iter().map(map).collect() }
    }

    fn valid(&self) -> Self {
        self.clone().map_params(|values| values.valid())
    }

    fn train(self) -> Self {
        self.map_params(Module::train)
    }

    fn materialize(self) -> Self {
        self
    }
}

impl MaskSet {
    fn map_params(self, map: impl Fn(Param<Tensor<1>>) -> Param<Tensor<1>>) -> Self {
        Self { masks: self.masks.into_iter().map(|mask| mask.map_values(&map)).collect() }
    }
}

impl ModuleDisplayDefault for MaskSet {
    fn content(&self, content: Content) -> Option<Content> {
        content.optional()
    }
}

impl ModuleDisplay for MaskSet {}
