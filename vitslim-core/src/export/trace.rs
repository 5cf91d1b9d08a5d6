//! The forward pass for any number of images, out of recordings with two numbers of images.

use std::collections::{HashMap, HashSet};

use burn::store::{BurnToPyTorchAdapter, ModuleSnapshot};
use burn::tensor::{Slice, TensorData};
use burn_capture::TensorId;
use burn_ir::{BaseOperationIr, IrVisitorMut, OperationIr, TensorIr, TensorStatus};

use super::error::ExportError;
use super::names::Names;
use crate::data::ImageShape;
use crate::graph::{record, simplified};
use crate::models::Architecture;

/// Name of the input.
pub(super) const IMAGES: &str = "images";

/// Name of the output.
pub(super) const LOGITS: &str = "logits";

/// Numbers of images of the two recordings.
const BATCHES: [usize; 2] = [2, 3];

/// One dim of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// The same for any number of images.
    Fixed(usize),
    /// So many for each image.
    PerImage(usize),
}

/// An operation of the forward pass.
#[derive(Debug)]
pub(super) struct Operation {
    /// What it computes, recorded with the first of [`BATCHES`].
    pub ir: OperationIr,
    /// Path of the module that it belongs to, as far as the parameters around it tell: `blocks.0.attn`.
    pub place: String,
}

/// A tensor that is known beforehand.
#[derive(Debug)]
pub(super) struct Known {
    /// Path of the parameter, in the names of timm; of a constant, a name at the place where it is used first.
    pub name: String,
    /// The values, in the layout of Burn.
    pub data: TensorData,
    /// Whether it is a parameter.
    pub is_parameter: bool,
}

/// A recorded forward pass, without what does not reach the logits.
#[derive(Debug)]
pub(super) struct Trace {
    /// The operations, each after those whose results it reads.
    pub operations: Vec<Operation>,
    /// Paths of all parameters, in the names of timm, even of those that nothing reads.
    pub parameters: Vec<String>,
    /// Parameters and constants.
    pub known: HashMap<TensorId, Known>,
    /// The images, `[batch, channels, height, width]`.
    pub images: TensorId,
    /// The logits, `[batch, classes]`.
    pub logits: TensorId,
    /// Number of classes.
    pub classes: usize,
    sizes: HashMap<TensorId, Vec<Size>>,
}

impl Trace {
    /// Records the forward pass of `model`.
    ///
    /// # Errors
    ///
    /// When it cannot be recorded, or does something else for another number of images.
    pub fn new<A: Architecture>(model: &A, image: ImageShape) -> Result<Self, ExportError> {
        let recorded = record(model, image, BATCHES[0])?;
        let larger = record(model, image, BATCHES[1])?;
        let (images, logits) = (recorded.graph.graph.inputs[0], recorded.graph.graph.outputs[0]);
        let collected = model.collect(None, Some(Box::new(BurnToPyTorchAdapter)), false);
        let paths: HashMap<u64, &str> = collected
            .iter()
            .filter_map(|parameter| Some((parameter.param_id?, parameter.name.as_str())))
            .collect();
        let parameters: HashMap<TensorId, &str> = recorded
            .parameters
            .iter()
            .filter_map(|(parameter, tensor)| Some((*tensor, *paths.get(&parameter.val())?)))
            .collect();

        let reaching = |logits, operations| simplified(reaching(logits, operations), logits);
        let operations = reaching(logits, recorded.graph.graph.operations);
        let others = reaching(larger.graph.graph.outputs[0], larger.graph.graph.operations);
        let places = places(&operations, &parameters);
        let operations: Vec<_> =
            operations.into_iter().zip(places).map(|(ir, place)| Operation { ir, place }).collect();
        let (mut sizes, mut known, mut names) = (HashMap::new(), HashMap::new(), Names::default());
        let mut values = recorded.graph.values;
        values.remove(&images);
        let mut others = others.iter();
        for operation in &operations {
            let fails = || ExportError::Batch { name: operation.name(), place: operation.place.clone() };
            let same =
                |other: &&OperationIr| regardless_of_batch(&operation.ir) == regardless_of_batch(other);
            let other = others.next().filter(same).ok_or_else(fails)?;
            for (tensor, other) in operation.ir.nodes().into_iter().zip(other.nodes()) {
                sizes.insert(tensor.id, sizes_of(tensor, other).ok_or_else(fails)?);
            }
            for (input, other) in operation.ir.inputs().zip(other.inputs()) {
                let Some(data) = values.remove(&input.id) else { continue };
                let parameter = parameters.get(&input.id);
                if parameter.is_none() && larger.graph.values.get(&other.id) != Some(&data) {
                    return Err(fails());
                }
                let constant = || join(&operation.place, "constant");
                let wanted = parameter.map_or_else(constant, |path| (*path).to_owned());
                let (name, is_parameter) = (names.unique(&wanted), parameter.is_some());
                known.insert(input.id, Known { name, data, is_parameter });
            }
        }
        let parameters = collected.iter().map(|parameter| parameter.name.clone()).collect();
        Ok(Self { operations, parameters, known, images, logits, classes: recorded.classes, sizes })
    }

    /// The sizes of `tensor`.
    pub fn sizes(&self, tensor: &TensorIr) -> Vec<Size> {
        let fixed = || tensor.shape.as_slice().iter().map(|&size| Size::Fixed(size)).collect();
        self.sizes.get(&tensor.id).cloned().unwrap_or_else(fixed)
    }
}

impl Operation {
    /// Name of the operation: `MatMul`, or the name that a custom operation has.
    pub fn name(&self) -> String {
        if let OperationIr::Custom(custom) = &self.ir {
            return custom.id.clone();
        }
        // `NumericFloat(F32, Add(BinaryOpIr { ... }))`
        let described = format!("{:?}", self.ir);
        let kind = described.split(" {").next().unwrap_or_default();
        let name = kind.rsplit('(').nth(1).unwrap_or(kind);
        name.rsplit(' ').next().unwrap_or(name).to_owned()
    }

    /// The error that it has no form in `format`.
    pub fn unwritten(&self, format: &'static str) -> ExportError {
        ExportError::Operation { format, name: self.name(), place: self.place.clone() }
    }

    /// The ranges that `ranges` takes along each axis of `tensor`; `None` where it takes all.
    pub fn parts(ranges: &[Slice], tensor: &TensorIr) -> Vec<Option<Slice>> {
        let sizes = tensor.shape.as_slice().iter();
        let part = |(range, &size): (&Slice, &usize)| {
            let whole = range.step() == 1 && range.range(size) == (0..size);
            (!whole).then_some(*range)
        };
        ranges.iter().zip(sizes).map(part).collect()
    }
}

/// `path` and `name` with a dot between, if there is a path.
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// The sizes of a tensor that is `tensor` with one number of images and `other` with another; `None` if they are not in proportion.
fn sizes_of(tensor: &TensorIr, other: &TensorIr) -> Option<Vec<Size>> {
    let sizes = tensor.shape.as_slice().iter().zip(other.shape.as_slice());
    let size = |(&one, &two): (&usize, &usize)| match one == two {
        true => Some(Size::Fixed(one)),
        false => (one * BATCHES[1] == two * BATCHES[0]).then_some(Size::PerImage(one / BATCHES[0])),
    };
    sizes.map(size).collect()
}

/// `operation` without what may differ from one number of images to another.
fn regardless_of_batch(operation: &OperationIr) -> OperationIr {
    let mut operation = operation.clone();
    if let OperationIr::BaseFloat(base) | OperationIr::BaseInt(base) | OperationIr::BaseBool(base) =
        &mut operation
    {
        match base {
            BaseOperationIr::Slice(slice) => {
                let parts = Operation::parts(&slice.ranges, &slice.tensor);
                slice.ranges = parts.into_iter().map(|part| part.unwrap_or_else(Slice::full)).collect();
            }
            // The sizes of its output tell them.
            BaseOperationIr::RepeatDim(repeat) => repeat.times = 0,
            _ => {}
        }
    }
    operation.visit_mut(&mut Unnamed);
    operation
}

/// Takes the names and sizes of tensors away.
struct Unnamed;

impl IrVisitorMut for Unnamed {
    fn visit_tensor_mut(&mut self, tensor: &mut TensorIr) {
        tensor.id = TensorId::new(0);
        tensor.status = TensorStatus::ReadOnly;
        tensor.shape = vec![0; tensor.shape.as_slice().len()].into();
    }
}

/// The `operations` that `output` depends on.
fn reaching(output: TensorId, operations: Vec<OperationIr>) -> Vec<OperationIr> {
    let mut needed = HashSet::from([output]);
    let mut kept = Vec::with_capacity(operations.len());
    for operation in operations.into_iter().rev() {
        let is_known = matches!(operation, OperationIr::Init(_) | OperationIr::Drop(_));
        if !is_known && operation.outputs().any(|output| needed.contains(&output.id)) {
            needed.extend(operation.inputs().map(|input| input.id));
            kept.push(operation);
        }
    }
    kept.reverse();
    kept
}

/// The module of each operation. One that reads a parameter belongs to the parameter's module, any other to the innermost module that
/// has both the parameters read before and those read after.
fn places(operations: &[OperationIr], parameters: &HashMap<TensorId, &str>) -> Vec<String> {
    let module = |operation: &OperationIr| {
        let path = operation.inputs().find_map(|input| parameters.get(&input.id))?;
        Some(path.rsplit_once('.').map_or("", |(module, _)| module))
    };
    let own: Vec<Option<&str>> = operations.iter().map(module).collect();
    let mut after: Vec<Option<&str>> = own.clone();
    for index in (0..after.len().saturating_sub(1)).rev() {
        after[index] = after[index].or(after[index + 1]);
    }
    let mut before = None;
    let mut places = Vec::with_capacity(own.len());
    for (own, after) in own.into_iter().zip(after) {
        before = own.or(before).or(after);
        let between = || common(before.unwrap_or_default(), after.unwrap_or_default());
        places.push(own.unwrap_or_else(between).to_owned());
    }
    places
}

/// The innermost module that has `a` and `b`.
fn common<'a>(a: &'a str, b: &str) -> &'a str {
    let parts = a.split('.').zip(b.split('.')).take_while(|(a, b)| a == b);
    let length: usize = parts.map(|(part, _)| part.len() + 1).sum();
    &a[..length.saturating_sub(1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_between_two_modules_belongs_to_the_one_around_both() {
        assert_eq!(common("blocks.0.attn.qkv", "blocks.0.attn.proj"), "blocks.0.attn");
        assert_eq!(common("blocks.1", "blocks.10"), "blocks");
        assert_eq!(common("head", "head"), "head");
        assert_eq!(common("head", "norm"), "");
        assert_eq!(common("", "norm"), "");
    }
}
