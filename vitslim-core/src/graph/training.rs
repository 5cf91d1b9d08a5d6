use std::collections::{HashMap, HashSet};
use std::ops::Range;

use burn::module::{Module as _, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;
use burn_capture::TensorId;
use burn_ir::{
    BaseOperationIr as Base, ModuleOperationIr as Module, NumericOperationIr, OperationIr, TensorIr,
};

use super::capture::{GraphError, tensor_id};
use super::counts::{Weightless, recorded_after};
use super::kept::{Kept, bytes};
use super::simplify::simplified;
use crate::data::ImageShape;
use crate::models::Architecture;
use crate::nn::{Precision, RecordedBlock, as_fused, as_trained};
use crate::slim::Slim;

/// How the forward pass of a network is recorded as it is in training.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TrainingSetting<'a> {
    pub image: ImageShape,
    pub precision: Precision,
    /// Parameters that are not trained.
    pub frozen: &'a HashSet<ParamId>,
    /// Whether operations are fused, as on the CPU.
    pub fused: bool,
}

/// The forward pass of a network on one image, and what its operations keep for the backward pass.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recording {
    /// In the order of the forward pass.
    pub(super) operations: Vec<Operation>,
    pub(super) memories: Vec<Memory>,
    /// Operations of each block that [`checkpoint`](crate::nn::checkpoint) was given, and the memory of its input.
    pub(super) blocks: Vec<(Range<usize>, usize)>,
    /// The memory of the logits.
    pub(super) logits: Option<usize>,
    /// Bytes of each parameter and mask, and whether it is trained.
    pub(super) parameters: Vec<(u64, bool)>,
}

/// What an operation does with memory, each by its place in [`Recording::memories`].
#[derive(Clone, Debug, Default)]
pub(super) struct Operation {
    pub reads: Vec<usize>,
    /// Memory of results that lie in no other.
    pub makes: Vec<usize>,
    /// Read again in the backward pass.
    pub keeps: Vec<usize>,
}

/// The values of a tensor, which views of it share.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Memory {
    /// For one image.
    pub bytes: u64,
    /// Whether more images have more of it.
    pub grows: bool,
    /// Whether it has a gradient.
    pub is_tracked: bool,
    /// Whether it is there before the forward pass, and stays: parameters, masks, images, constants.
    pub is_given: bool,
}

/// Records the forward pass of `slim`, gated if it has masks.
///
/// # Errors
///
/// When it cannot be recorded.
pub(crate) fn record_training<M: Architecture>(
    slim: &Slim<M>,
    setting: TrainingSetting,
) -> Result<Recording, GraphError> {
    let mut parameters = Parameters { frozen: setting.frozen, found: Vec::new() };
    let mut forward = || {
        recorded_after(&slim.model, setting.image, 1, |model, device| {
            let masks = slim.masks.clone().to_device(device);
            model.visit(&mut parameters);
            masks.visit(&mut parameters);
            Ok::<_, GraphError>(Slim { model, masks }.gated())
        })
    };
    let forward = || if setting.fused { as_fused(forward) } else { forward() };
    let (recorded, blocks) = as_trained(|| setting.precision.within(forward));
    let Weightless { graph, image, logits, .. } = recorded?;
    let mut recorder = Recorder { fused: setting.fused, ..Recorder::default() };
    for &(tensor, bytes, is_tracked) in &parameters.found {
        recorder.give(tensor, Memory { bytes, grows: false, is_tracked, is_given: true });
        recorder.recording.parameters.push((bytes, is_tracked));
    }
    simplified(graph.graph.operations, logits).iter().for_each(|operation| recorder.add(operation, image));
    Ok(recorder.end(&blocks, logits))
}

/// The tensor of each parameter, its bytes, and whether it is trained.
struct Parameters<'a> {
    frozen: &'a HashSet<ParamId>,
    found: Vec<(TensorId, u64, bool)>,
}

impl ModuleVisitor for Parameters<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        let bytes = (value.shape().num_elements() * value.dtype().size()) as u64;
        if let Ok(tensor) = tensor_id(&value) {
            self.found.push((tensor, bytes, !self.frozen.contains(&param.id)));
        }
    }
}

#[derive(Default)]
struct Recorder {
    recording: Recording,
    fused: bool,
    values: HashMap<TensorId, Value>,
    /// The operation that made each tensor.
    made_by: HashMap<TensorId, usize>,
    /// Outputs of fused norms.
    norms: HashSet<TensorId>,
    /// Whether the network is made, and the forward pass has begun.
    has_begun: bool,
}

/// Where the values of a tensor are.
#[derive(Clone, Copy)]
struct Value {
    memory: usize,
    /// The tensor whose values were moved here, copied or not.
    origin: TensorId,
    /// Whether they do not lie in order, so that a reshape copies them.
    is_strided: bool,
}

impl Recorder {
    fn give(&mut self, tensor: TensorId, memory: Memory) {
        let place = self.recording.memories.len();
        self.recording.memories.push(memory);
        self.values.insert(tensor, Value { memory: place, origin: tensor, is_strided: false });
    }

    fn add(&mut self, operation: &OperationIr, image: TensorId) {
        for input in operation.inputs() {
            // A constant.
            if !self.values.contains_key(&input.id) {
                self.give(input.id, Memory { bytes: bytes(input), is_given: true, ..Memory::default() });
            }
        }
        let reads: Vec<usize> = operation.inputs().map(|input| self.values[&input.id].memory).collect();
        let any = |is: fn(&Memory) -> bool| reads.iter().any(|&read| is(&self.recording.memories[read]));
        let (grows, tracked) = (any(|memory| memory.grows), any(|memory| memory.is_tracked));
        let created = reads.is_empty() && self.has_begun;
        let keeps = if tracked { self.kept(operation) } else { Vec::new() };
        let mut makes = Vec::new();
        let outputs: Vec<&TensorIr> =
            operation.outputs().filter(|output| !self.is_parameter(output.id)).collect();
        for output in outputs {
            self.made_by.insert(output.id, self.recording.operations.len());
            let viewed = view(operation).map(|(input, strides)| (self.values[&input.id], strides));
            let origin = viewed.map_or(output.id, |(value, _)| value.origin);
            if let Some((value, strides)) = viewed
                && (strides || !value.is_strided)
            {
                let value = Value { is_strided: value.is_strided || strides, ..value };
                self.values.insert(output.id, value);
                continue;
            }
            let memory = Memory {
                bytes: bytes(output),
                grows: grows || created || output.id == image,
                is_tracked: tracked && output.dtype.is_float(),
                is_given: output.id == image,
            };
            makes.push(self.recording.memories.len());
            self.give(output.id, memory);
            self.values.entry(output.id).and_modify(|value| value.origin = origin);
            self.has_begun |= output.id == image;
        }
        if let OperationIr::Module(Module::LayerNorm(of)) = operation {
            self.norms.insert(of.out.id);
        }
        self.recording.operations.push(Operation { reads, makes, keeps });
    }

    /// Whether it is the tensor of a parameter, which is there before the operation that stands for it is recorded.
    fn is_parameter(&self, tensor: TensorId) -> bool {
        self.values.contains_key(&tensor)
    }

    /// What `operation` keeps, as memory, which is new if it is inside of it.
    fn kept(&mut self, operation: &OperationIr) -> Vec<usize> {
        if self.fused
            && let Some(mut kept) = self.kept_by_fused(operation)
        {
            kept.retain(|&place| !self.recording.memories[place].is_given);
            return kept;
        }
        let is_tracked =
            |tensor: &TensorIr| self.recording.memories[self.values[&tensor.id].memory].is_tracked;
        let kept = Kept::by(operation, self.fused, is_tracked);
        let mut places: Vec<usize> =
            kept.tensors.iter().map(|tensor| self.values[&tensor.id].memory).collect();
        let grows =
            operation.inputs().any(|input| self.recording.memories[self.values[&input.id].memory].grows);
        for bytes in kept.inside {
            places.push(self.recording.memories.len());
            self.recording.memories.push(Memory { bytes, grows, ..Memory::default() });
        }
        places.retain(|&place| !self.recording.memories[place].is_given);
        places
    }

    /// What it keeps, if the CPU computes it together with what moves its inputs, or as part of the norm before.
    fn kept_by_fused(&self, operation: &OperationIr) -> Option<Vec<usize>> {
        match operation {
            OperationIr::Module(Module::Attention(of)) if of.mask.is_none() => {
                let origin = |tensor: &TensorIr| self.values[&tensor.id].origin;
                let joint = origin(&of.query);
                let is_joint = origin(&of.key) == joint && origin(&of.value) == joint;
                let inputs = match is_joint {
                    true => vec![joint],
                    // Put together first, which takes as much.
                    false => vec![of.query.id, of.key.id, of.value.id],
                };
                // Several queries for a key are recorded as more rows.
                let [queries, keys] = [&of.query, &of.key].map(|tensor| tensor.shape.as_slice()[2]);
                let kept = inputs.into_iter().chain(of.attn_bias.as_ref().map(|bias| bias.id));
                let is_fused = queries.is_multiple_of(keys);
                is_fused.then(|| kept.map(|value| self.values[&value].memory).collect())
            }
            // The factors of tokens.
            OperationIr::NumericFloat(_, NumericOperationIr::Mul(of)) if self.norms.contains(&of.lhs.id) => {
                matches!(of.rhs.shape.as_slice(), [1, _, 1]).then(Vec::new)
            }
            _ => None,
        }
    }

    fn end(self, blocks: &[RecordedBlock], logits: TensorId) -> Recording {
        let Self { mut recording, values, made_by, .. } = self;
        let of_block = |block: &RecordedBlock| {
            let (first, last) = (made_by.get(&block.input)? + 1, *made_by.get(&block.output)?);
            Some((first..last + 1, values.get(&block.input)?.memory))
        };
        recording.blocks = blocks.iter().filter_map(of_block).collect();
        recording.logits = values.get(&logits).map(|value| value.memory);
        recording
    }
}

/// The tensor that `operation` makes a view of, and whether that leaves its values in another order than they lie in. A reshape copies
/// what is out of order.
fn view(operation: &OperationIr) -> Option<(&TensorIr, bool)> {
    let (OperationIr::BaseFloat(base) | OperationIr::BaseInt(base) | OperationIr::BaseBool(base)) = operation
    else {
        return None;
    };
    match base {
        Base::Reshape(of) => Some((&of.input, false)),
        Base::Expand(of) => Some((&of.input, true)),
        Base::SwapDims(of) => Some((&of.input, true)),
        Base::Permute(of) => Some((&of.input, true)),
        Base::Flip(of) => Some((&of.input, true)),
        Base::Slice(of) => Some((&of.tensor, true)),
        Base::Cast(of) if of.input.dtype == of.out.dtype => Some((&of.input, false)),
        _ => None,
    }
}
