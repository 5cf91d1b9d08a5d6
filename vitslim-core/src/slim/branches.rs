//! The residual branches that a traversal has come upon, and what is in them.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Bool, Int, Tensor};

/// The branches of a model, in the order of the traversal.
#[derive(Clone, Debug, Default)]
pub(super) struct Branches(Vec<Branch>);

#[derive(Clone, Debug)]
struct Branch {
    /// Path of its gate, which is that of its dimension.
    path: String,
    /// Paths of its fields.
    fields: Vec<String>,
    is_cut: bool,
}

impl Branches {
    /// Adds the branch whose gate is at `path`.
    pub(super) fn add(&mut self, path: String, fields: Vec<String>, is_cut: bool) {
        self.0.push(Branch { path, fields, is_cut });
    }

    /// The paths of the branches that have what is at `place`.
    pub(super) fn around(&self, place: &str) -> Vec<String> {
        self.having(place).map(|branch| branch.path.clone()).collect()
    }

    /// The paths of the branches of which `field` is a field.
    pub(super) fn of_field(&self, field: &str) -> Vec<String> {
        let having = self.having(field).filter(|branch| branch.fields.iter().any(|own| own == field));
        having.map(|branch| branch.path.clone()).collect()
    }

    /// Whether what is at `place` is in a branch that is cut.
    pub(super) fn are_cut_at(&self, place: &str) -> bool {
        self.having(place).any(|branch| branch.is_cut)
    }

    fn having(&self, place: &str) -> impl Iterator<Item = &Branch> {
        let has = move |branch: &&Branch| branch.fields.iter().any(|field| is_within(place, field));
        // A deep network has many branches, and a search asks for each layer in each step: most are told apart by their block.
        self.0.iter().filter(move |branch| place.starts_with(branch.block())).filter(has)
    }
}

impl Branch {
    /// Path of the struct that has its gate.
    fn block(&self) -> &str {
        self.path.rsplit_once('.').map_or("", |(block, _)| block)
    }
}

/// Whether `place` is the field at `field`, or in it.
fn is_within(place: &str, field: &str) -> bool {
    place.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// `module` with parameters of size 0.
pub(super) fn emptied<M: Module>(module: M) -> M {
    module.map(&mut Empty)
}

struct Empty;

impl ModuleMapper for Empty {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|value| Tensor::empty([0; D], &value.device()))
    }

    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        param.map(|value| Tensor::empty([0; D], &value.device()))
    }

    fn map_bool<const D: usize>(&mut self, param: Param<Tensor<D, Bool>>) -> Param<Tensor<D, Bool>> {
        param.map(|value| Tensor::empty([0; D], &value.device()))
    }
}

/// `module` with all its parameters multiplied by `factor`, `[1]`.
pub(super) fn multiplied<M: Module>(module: M, factor: &Tensor<1>) -> M {
    module.map(&mut Multiply(factor))
}

struct Multiply<'a>(&'a Tensor<1>);

impl ModuleMapper for Multiply<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        // Burn does not multiply what has no entries.
        if param.dims().contains(&0) {
            return param;
        }
        param.map(|value| value * self.0.clone().reshape([1; D]))
    }
}
