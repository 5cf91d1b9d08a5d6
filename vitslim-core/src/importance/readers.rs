//! Who reads the units of a network, and what.

use burn::module::list_param_ids;
use burn::tensor::TensorData;

use super::units::device_of;
use crate::data::Batch;
use crate::models::Architecture;
use crate::nn::{Heard, Precision, Reader, Reduce, TokenGate, Use, listening};
use crate::slim::{DimensionAxis, DimensionMapper, Input, Scope, Side, SlimLayer, mapped};
use crate::train::{EvaluateError, computed};

/// The units of a dimension that a layer or a token gate reads.
pub(super) struct Reads {
    /// Who reads.
    pub(super) reader: Reader,
    /// Path of the layer; that of the dimension for a gate.
    pub(super) layer: String,
    /// Path of the dimension.
    pub(super) dimension: String,
    /// The unit that each feature of the layer belongs to, or each token at the gate.
    pub(super) units: Vec<Option<usize>>,
}

/// What was read at once, and what was made of it.
pub(super) struct Told {
    /// Who reads.
    pub(super) reader: Reader,
    /// What for.
    pub(super) used: Use,
    /// Number of samples.
    pub(super) samples: usize,
    /// What was made of them.
    pub(super) values: Vec<f64>,
}

/// A network whose readers are known.
pub(super) struct Readable<A> {
    /// The network, whose token gates have numbers.
    model: A,
    /// What is read, in the order of the traversal.
    pub(super) reads: Vec<Reads>,
}

impl<A: Architecture> Readable<A> {
    pub(super) fn of(model: &A) -> Self {
        let (model, Readers { reads, .. }) = mapped(model, Readers::new);
        Self { model, reads }
    }

    /// What is read in a forward pass on `batch`, in order, and what `reduce` makes of it.
    pub(super) fn heard(
        &self,
        batch: Batch,
        reduce: Reduce,
        precision: Precision,
    ) -> Result<Vec<Told>, EvaluateError> {
        let (device, images, model) = (device_of(&self.model), batch.len(), self.model.clone());
        let readers: Vec<Reader> = self.reads.iter().map(|reads| reads.reader).collect();
        computed(&device, images, move || {
            let forward = || precision.within(|| model.forward(batch.images));
            let (_, heard) = listening(readers, reduce, forward);
            let read = |Heard { reader, used, samples, reduced }: Heard| {
                let values = |values: TensorData| values.iter::<f64>().collect();
                reduced.try_into_data().map(|reduced| Told { reader, used, samples, values: values(reduced) })
            };
            heard.into_iter().map(read).collect::<Result<Vec<_>, _>>()
        })
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
        let dimension = dimension.to_owned();
        self.reads.push(Reads { reader, layer: dimension.clone(), dimension, units });
        self.gates += 1;
        gate
    }

    fn map_axis<S: Side, L: SlimLayer<S>>(&mut self, axis: DimensionAxis, layer: L, side: S) -> L {
        if side.name() != Input.name() {
            return layer;
        }
        // Those of ours that tell have a weight, by which they go.
        let Some(&weight) = list_param_ids(&layer).first() else { return layer };
        let (reader, owners) = (Reader::Layer(weight), axis.owners());
        for (index, dimension) in axis.dimensions.iter().enumerate() {
            let here = owners.iter().map(|owner| owner.filter(|owner| owner.dimension == index));
            let units = here.map(|owner| owner.map(|owner| owner.unit)).collect();
            let (layer, dimension) = (axis.layer.clone(), dimension.path.clone());
            self.reads.push(Reads { reader, layer, dimension, units });
        }
        layer
    }
}
