//! The parameters of a network, as training and checking see them.

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;

/// Layers whose `weight` multiplies the input.
const WEIGHTED: [&str; 4] = ["Linear", "Conv1d", "Conv2d", "Embedding"];

/// Layers that normalise.
const NORMS: [&str; 4] = ["LayerNorm", "RmsNorm", "BatchNorm", "GroupNorm"];

/// A parameter of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Burn's identifier.
    pub id: ParamId,
    /// Path in the network: `blocks.3.attn.qkv.weight`.
    pub path: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Type of its layer: `Linear`.
    pub layer: String,
    /// Path of the innermost list element that contains it: `blocks.3`. Parts of tuples do not count.
    pub block: Option<String>,
}

impl Parameter {
    /// The parameters of `module`, in the order of its fields.
    pub fn all<M: Module>(module: &M) -> Vec<Self> {
        let mut parameters = Parameters::default();
        module.visit(&mut parameters);
        parameters.found
    }

    /// The name of its field: `weight`.
    pub fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or_default()
    }

    /// Whether it belongs to a norm.
    pub fn is_of_norm(&self) -> bool {
        NORMS.contains(&self.layer.as_str())
    }

    /// Whether it is a weight: it has several axes, and is not a class token, a position embedding or the like, whose first axis
    /// is 1. Weights of vitslim's own layers are recognised whatever their shape.
    pub fn is_weight(&self) -> bool {
        self.shape.len() > 1 && (self.shape[0] != 1 || WEIGHTED.contains(&self.layer.as_str()))
    }
}

#[derive(Default)]
struct Parameters {
    path: Vec<String>,
    /// Types of the structs around, outermost first.
    containers: Vec<String>,
    found: Vec<Parameter>,
}

impl Parameters {
    fn block(&self) -> Option<String> {
        let is_element =
            |(name, container): (&String, &String)| container != "Tuple" && name.parse::<usize>().is_ok();
        let innermost = self.path.iter().zip(&self.containers).rposition(is_element)?;
        Some(self.path[..=innermost].join("."))
    }
}

impl ModuleVisitor for Parameters {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.push(name.to_owned());
        self.containers.push(container.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
        self.containers.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let layer = self.containers.last().map_or("", |container| container.trim_start_matches("Struct:"));
        self.found.push(Parameter {
            id: param.id,
            path: self.path.join("."),
            shape: param.lazy_shape().to_vec(),
            layer: layer.to_owned(),
            block: self.block(),
        });
    }
}
