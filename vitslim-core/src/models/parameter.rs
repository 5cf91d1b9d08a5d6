//! What the trainer asks of an architecture's parameters.

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;

/// Layers whose `weight` multiplies what goes in.
const WEIGHTED: [&str; 4] = ["Linear", "Conv1d", "Conv2d", "Embedding"];

/// Layers that normalise what goes in.
const NORMS: [&str; 4] = ["LayerNorm", "RmsNorm", "BatchNorm", "GroupNorm"];

/// A parameter of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// How burn tells it from others.
    pub id: ParamId,
    /// Its path: `blocks.3.attn.qkv.weight`.
    pub path: String,
    /// Its axes.
    pub shape: Vec<usize>,
    /// Type of the struct that it is a field of: `Linear`.
    pub layer: String,
    /// Path of the innermost element of a list that it is a part of: `blocks.3`. The elements of a tuple are none.
    pub block: Option<String>,
}

impl Parameter {
    /// Those of `module`, in the order of its fields.
    pub fn all<M: Module>(module: &M) -> Vec<Self> {
        let mut parameters = Parameters::default();
        module.visit(&mut parameters);
        parameters.found
    }

    /// Its field: `weight`.
    pub fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or_default()
    }

    /// Whether it is of a layer that normalises.
    pub fn is_of_norm(&self) -> bool {
        NORMS.contains(&self.layer.as_str())
    }

    /// Whether it has several axes, and is no value that is the same for each image: a class token, say, or positions, whose
    /// first axis is 1. The layers of vitslim are known.
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
