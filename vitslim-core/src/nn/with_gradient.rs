//! A value with a gradient that is said beside it. The gradient is an operation in burn's graph, added through burn's extension point.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, Backend, BackendTensor, Dispatch, DispatchKindConversion, DispatchTensor, Flex,
    backend_extension,
};
use burn::tensor::Tensor;

/// `output`, whose value is taken as it is, as if it were computed from `inputs`: `gradient` makes their gradients from that of the
/// output. All gradients are without autodiff. It is called once at most, on the thread of the backward pass.
pub(super) fn with_gradient<const D: usize>(
    output: Tensor<D>,
    input_1: DispatchTensor,
    input_2: DispatchTensor,
    gradient: impl FnOnce(DispatchTensor) -> [Option<DispatchTensor>; 2] + Send + 'static,
) -> Tensor<D> {
    let gradient = Gradient(Arc::new(Mutex::new(Some(Box::new(gradient)))));
    Tensor::from_dispatch(Dispatch::with_gradient(output.into_dispatch(), input_1, input_2, gradient))
}

type Rule = Box<dyn FnOnce(DispatchTensor) -> [Option<DispatchTensor>; 2] + Send>;

/// The rule of a gradient. burn asks that it can be cloned.
#[derive(Clone)]
struct Gradient(Arc<Mutex<Option<Rule>>>);

impl Debug for Gradient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gradient")
    }
}

#[backend_extension(Flex, Cube: cfg(any(feature = "cuda", feature = "native")), Autodiff)]
trait WithGradient: Backend {
    fn with_gradient(
        output: FloatTensor<Self>,
        _input_1: FloatTensor<Self>,
        _input_2: FloatTensor<Self>,
        _gradient: Gradient,
    ) -> FloatTensor<Self> {
        output
    }
}

impl WithGradient for Flex {}

#[cfg(any(feature = "cuda", feature = "native"))]
impl WithGradient for burn::backend::Cube {}

#[derive(Debug)]
struct Operation;

impl<B: Backend> Backward<B, 2> for Operation
where
    DispatchTensor: DispatchKindConversion<B>,
{
    type State = Gradient;

    fn backward(self, ops: Ops<Gradient, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let Some(rule) = ops.state.0.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let of_inputs = rule(DispatchTensor::from_backend(BackendTensor::<B>::Float(gradient)));
        for (parent, gradient) in ops.parents.into_iter().zip(of_inputs) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                gradients.register::<B>(parent.id, on_device(gradient));
            }
        }
    }
}

/// The tensor of a device's backend `B`.
fn on_device<B: Backend>(tensor: DispatchTensor) -> FloatTensor<B>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    let tensor = <DispatchTensor as DispatchKindConversion<B>>::try_into_backend(tensor);
    tensor.expect("gradients are on the device of the output").float()
}

impl<B: Backend, C: CheckpointStrategy> WithGradient for Autodiff<B, C>
where
    DispatchTensor: DispatchKindConversion<B>,
{
    fn with_gradient(
        output: FloatTensor<Self>,
        input_1: FloatTensor<Self>,
        input_2: FloatTensor<Self>,
        gradient: Gradient,
    ) -> FloatTensor<Self> {
        let output = output.into_primitive();
        let operation = Backward::<B, 2>::prepare::<C>(Operation, [input_1.node(), input_2.node()]);
        match operation.compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(gradient, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}
