//! Who reads the units of a network, and what.

use burn::module::{ParamId, list_param_ids};
use burn::tensor::{Tensor, TensorData};

use super::error::ImportanceError;
use super::units::device_of;
use crate::data::Batch;
use crate::models::Architecture;
use crate::nn::{Heard, Precision, Reader, TokenGate, listening};
use crate::slim::{DimensionAxis, DimensionMapper, Input, Scope, Side, SlimLayer, mapped};
use crate::train::{EvaluateError, computed};

/// The units of a dimension that a layer or a token gate reads.
pub(super) struct Reads {
    /// Who reads.
    pub(super) reader: Reader,
    /// The bias of the layer, if it has one.
    pub(super) bias: Option<ParamId>,
    /// Path of the dimension.
    pub(super) dimension: String,
    /// The unit that each feature of the layer belongs to, or each token at the gate.
    pub(super) units: Vec<Option<usize>>,
}

/// A network whose readers are known.
pub(super) struct Told<A> {
    /// The network, whose token gates have numbers.
    model: A,
    /// What is read, in the order of the traversal.
    pub(super) reads: Vec<Reads>,
}

impl<A: Architecture> Told<A> {
    pub(super) fn of(model: &A) -> Self {
        let (model, Readers { reads, .. }) = mapped(model, Readers::new);
        Self { model, reads }
    }

    /// What is read in a forward pass on `batch`, in order: by whom, how many samples, and what `reduce` makes of them.
    pub(super) fn heard(
        &self,
        batch: Batch,
        reduce: fn(Tensor<2>) -> Tensor<2>,
        precision: Precision,
    ) -> Result<Vec<(Reader, usize, TensorData)>, ImportanceError> {
        let (device, images, model) = (device_of(&self.model), batch.len(), self.model.clone());
        let readers: Vec<Reader> = self.reads.iter().map(|reads| reads.reader).collect();
        let heard = computed(&device, images, move || {
            let forward = || precision.within(|| model.forward(batch.images));
            let (_, heard) = listening(readers, reduce, forward);
            let read = |Heard { reader, samples, reduced }: Heard| {
                reduced.try_into_data().map(|reduced| (reader, samples, reduced))
            };
            heard.into_iter().map(read).collect::<Result<Vec<_>, _>>()
        });
        heard.map_err(|error: EvaluateError| error.into())
    }
}

/// Finds who reads each dimension, and numbers the token gates.
struct Readers {
    scope: Scope,
    reads: Vec<Reads>,
    gates: usize,
}

impl Readers {
    fn new(scope: Scope) -> Self {
        Self { scope, reads: Vec::new(), gates: 0 }
    }
}

impl DimensionMapper for Readers {
    fn scope(&mut self) -> &mut Scope {
        &mut self.scope
    }

    fn map_tokens(&mut self, dimension: &str, mut gate: TokenGate) -> TokenGate {
        gate.number = Some(self.gates);
        let prunable = (0..gate.tokens.saturating_sub(gate.prefix)).map(Some);
        let units = vec![None; gate.prefix].into_iter().chain(prunable).collect();
        let reader = Reader::Gate(self.gates);
        self.reads.push(Reads { reader, bias: None, dimension: dimension.to_owned(), units });
        self.gates += 1;
        gate
    }

    fn map_axis<S: Side, L: SlimLayer<S>>(&mut self, axis: DimensionAxis, layer: L, side: S) -> L {
        if side.name() != Input.name() {
            return layer;
        }
        // Those of ours that tell have a weight, by which they go, and perhaps a bias.
        let parameters = list_param_ids(&layer);
        let Some(&weight) = parameters.first() else { return layer };
        let (reader, bias, owners) = (Reader::Layer(weight), parameters.get(1).copied(), axis.owners());
        for (index, dimension) in axis.dimensions.iter().enumerate() {
            let here = owners.iter().map(|owner| owner.filter(|owner| owner.dimension == index));
            let units = here.map(|owner| owner.map(|owner| owner.unit)).collect();
            self.reads.push(Reads { reader, bias, dimension: dimension.path.clone(), units });
        }
        layer
    }
}
