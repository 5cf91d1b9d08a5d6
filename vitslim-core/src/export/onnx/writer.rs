//! The nodes and tensors of a graph, as they are written one after the other.

use std::collections::HashMap;

use burn::tensor::DType;
use burn_capture::TensorId;
use burn_ir::{ScalarIr, TensorIr};

use super::proto::{AttributeProto, NodeProto, TensorProto};
use crate::export::feature::Feature;
use crate::export::names::Names;
use crate::export::trace::{IMAGES, LOGITS, Size, Trace};

/// Writes the nodes of a trace.
pub(super) struct Writer<'a> {
    trace: &'a Trace,
    /// Path of the module whose operations are being written.
    pub place: &'a str,
    pub nodes: Vec<NodeProto>,
    pub initializers: Vec<TensorProto>,
    /// Names of the tensors that are there.
    tensors: HashMap<TensorId, String>,
    names: Names,
    /// Name of the initializer of each small constant, by what it holds.
    constants: HashMap<String, String>,
    /// Name of the tensor with the number of images.
    batch: Option<String>,
}

impl<'a> Writer<'a> {
    /// The names of `features` are left for them.
    pub fn new(trace: &'a Trace, features: &[Feature]) -> Self {
        let mut names = Names::default();
        let tensors = HashMap::from([(trace.images, names.unique(IMAGES))]);
        for output in [LOGITS].into_iter().chain(features.iter().map(|feature| feature.name.as_str())) {
            names.unique(output);
        }
        Self {
            trace,
            place: "",
            nodes: Vec::new(),
            initializers: Vec::new(),
            tensors,
            names,
            constants: HashMap::new(),
            batch: None,
        }
    }

    /// The sizes of `tensor`.
    pub fn sizes(&self, tensor: &TensorIr) -> Vec<Size> {
        self.trace.sizes(tensor)
    }

    /// Name of `tensor`, which is written as an initializer where it is known and used first; `None` if it has no type in ONNX.
    pub fn tensor(&mut self, tensor: &TensorIr) -> Option<String> {
        if let Some(name) = self.tensors.get(&tensor.id) {
            return Some(name.clone());
        }
        let known = self.trace.known.get(&tensor.id)?;
        let data_type = data_type(known.data.dtype())?;
        let name = self.names.unique(&known.name);
        let dims: Vec<usize> = known.data.shape().as_slice().to_vec();
        self.initialise(&name, data_type, &dims, known.data.as_bytes().to_vec());
        self.tensors.insert(tensor.id, name.clone());
        Some(name)
    }

    /// Writes a node and returns the name of its output.
    pub fn node(&mut self, operator: &str, input: Vec<String>, attribute: Vec<AttributeProto>) -> String {
        let separator = if self.place.is_empty() { "" } else { "/" };
        let name = self.names.unique(&format!("{}{separator}{operator}", self.place));
        self.nodes.push(NodeProto {
            input,
            output: vec![name.clone()],
            name: Some(name.clone()),
            op_type: Some(operator.to_owned()),
            attribute,
        });
        name
    }

    /// Takes the tensor called `name` for `tensor`.
    pub fn bind(&mut self, tensor: &TensorIr, mut name: String) {
        if tensor.id == self.trace.logits {
            if self.nodes.last().is_none_or(|node| node.output != [name.clone()]) {
                self.node("Identity", vec![name], Vec::new());
            }
            name = LOGITS.to_owned();
            if let Some(node) = self.nodes.last_mut() {
                node.output = vec![name.clone()];
            }
        }
        self.tensors.insert(tensor.id, name);
    }

    /// Makes what `feature` is an output of its name. What computes it must be written.
    pub fn output(&mut self, feature: &'a Feature) {
        self.place = &feature.name;
        let value = self.tensors.get(&feature.tensor.id).cloned();
        self.node("Identity", value.into_iter().collect(), Vec::new());
        if let Some(node) = self.nodes.last_mut() {
            node.output = vec![feature.name.clone()];
        }
    }

    /// Name of a list of whole numbers.
    pub fn integers(&mut self, values: &[i64]) -> String {
        let text: Vec<String> = values.iter().map(i64::to_string).collect();
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(&format!("int64_{}", text.join("_")), DType::I64, &[values.len()], bytes)
    }

    /// Name of the scalar `value` of type `dtype`.
    pub fn number(&mut self, value: ScalarIr, dtype: DType) -> Option<String> {
        let bytes = bytes(value, dtype)?;
        let wanted = format!("{}_{}", dtype.name(), value.elem::<f64>());
        Some(self.constant(&wanted, dtype, &[], bytes))
    }

    fn constant(&mut self, wanted: &str, dtype: DType, dims: &[usize], bytes: Vec<u8>) -> String {
        let key = format!("{wanted} {dims:?}");
        if let Some(name) = self.constants.get(&key) {
            return name.clone();
        }
        let name = self.names.unique(wanted);
        self.initialise(&name, data_type(dtype).unwrap_or_default(), dims, bytes);
        self.constants.insert(key, name.clone());
        name
    }

    fn initialise(&mut self, name: &str, data_type: i32, dims: &[usize], bytes: Vec<u8>) {
        self.initializers.push(TensorProto {
            dims: dims.iter().map(|&size| size as i64).collect(),
            data_type: Some(data_type),
            name: Some(name.to_owned()),
            raw_data: Some(bytes),
            ..TensorProto::default()
        });
    }

    /// Name of the list of `sizes`, computed where they depend on the number of images.
    pub fn shape(&mut self, sizes: &[Size]) -> String {
        let fixed: Option<Vec<i64>> = sizes
            .iter()
            .map(|size| match size {
                Size::Fixed(size) => Some(*size as i64),
                Size::PerImage(_) => None,
            })
            .collect();
        if let Some(fixed) = fixed {
            return self.integers(&fixed);
        }
        let parts: Vec<String> = sizes.iter().map(|&size| self.size(size)).collect();
        match &parts[..] {
            [only] => only.clone(),
            _ => self.node("Concat", parts, vec![AttributeProto::int("axis", 0)]),
        }
    }

    /// Name of a list with one size.
    fn size(&mut self, size: Size) -> String {
        match size {
            Size::Fixed(size) => self.integers(&[size as i64]),
            Size::PerImage(1) => self.batch(),
            Size::PerImage(times) => {
                let factors = vec![self.batch(), self.integers(&[times as i64])];
                self.node("Mul", factors, Vec::new())
            }
        }
    }

    fn batch(&mut self) -> String {
        if let Some(batch) = &self.batch {
            return batch.clone();
        }
        let first = vec![AttributeProto::int("start", 0), AttributeProto::int("end", 1)];
        let batch = self.node("Shape", vec![IMAGES.to_owned()], first);
        self.batch.insert(batch).clone()
    }
}

/// `value` as one value of type `dtype`.
pub(super) fn bytes(value: ScalarIr, dtype: DType) -> Option<Vec<u8>> {
    Some(match dtype {
        DType::F32 => value.elem::<f32>().to_le_bytes().to_vec(),
        DType::F64 => value.elem::<f64>().to_le_bytes().to_vec(),
        DType::I64 => value.elem::<i64>().to_le_bytes().to_vec(),
        DType::I32 => value.elem::<i32>().to_le_bytes().to_vec(),
        DType::Bool(_) => vec![u8::from(value.elem::<bool>())],
        _ => return None,
    })
}

/// The `DataType` of ONNX for `dtype`.
pub(super) fn data_type(dtype: DType) -> Option<i32> {
    match dtype {
        DType::F32 => Some(1),
        DType::F64 => Some(11),
        DType::I64 => Some(7),
        DType::I32 => Some(6),
        DType::Bool(_) => Some(9),
        _ => None,
    }
}
