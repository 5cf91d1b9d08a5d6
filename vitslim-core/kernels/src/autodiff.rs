//! The operations with autodiff: each calls the operation of the inner backend and says what its gradients are.

use std::fmt::Debug;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, TensorMetadata};

use super::{Attention, Backwards, DepthwiseShapes, Kernels, Optional};

/// The gradients of the `N` inputs from the state of an operation and the gradient of its output. Gradients that are not needed
/// may be left out.
type Gradient<B, S, const N: usize> = fn(S, FloatTensor<B>, [bool; N]) -> [Option<FloatTensor<B>>; N];

struct Operation<B: Backend, S, const N: usize>(Gradient<B, S, N>);

impl<B: Backend, S, const N: usize> Debug for Operation<B, S, N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Operation")
    }
}

impl<B: Backend, S: Clone + Debug + Send + 'static, const N: usize> Backward<B, N> for Operation<B, S, N> {
    type State = S;

    fn backward(self, ops: Ops<S, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let needed = ops.parents.each_ref().map(Option::is_some);
        let gradient = gradients.consume::<B>(&ops.node);
        for (parent, gradient) in ops.parents.into_iter().zip((self.0)(ops.state, gradient, needed)) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                gradients.register::<B>(parent.id, gradient);
            }
        }
    }
}

/// The value of an operation as a node of the graph.
macro_rules! operation {
    ($backend:ident, $strategy:ident, [$($input:expr),+], $state:expr, $output:expr, $gradient:expr) => {
        match Operation::<$backend, _, _>($gradient)
            .prepare::<$strategy>([$($input.node()),+])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prepared) => prepared.finish($state, $output),
            OpsKind::UnTracked(prepared) => prepared.finish($output),
        }
    };
}

impl<B: Kernels + Backwards, C: CheckpointStrategy> Kernels for Autodiff<B, C> {
    fn fused_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let value = x.primitive().clone();
        operation!(B, C, [x], value.clone(), B::fused_gelu(value), |x, gradient, _: [bool; 1]| {
            [Some(B::fused_gelu_backward(x, gradient))]
        })
    }

    fn fused_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let (xv, wv, bv) = (x.primitive().clone(), weight.primitive().clone(), bias.primitive().clone());
        // Keep only what a gradient needs until the backward pass.
        let for_weight = weight.is_tracked().then(|| xv.clone());
        let for_x = x.is_tracked().then(|| wv.clone());
        operation!(
            B,
            C,
            [x, weight, bias],
            (for_weight, for_x),
            B::fused_linear(xv, wv, bv),
            |(x, weight), gradient, [_, _, of_bias]: [bool; 3]| {
                B::fused_linear_backward(x, weight, gradient, of_bias)
            }
        )
    }

    fn fused_layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
        width: usize,
    ) -> FloatTensor<Self> {
        let (xv, gv, bv) = (x.primitive().clone(), gamma.primitive().clone(), beta.primitive().clone());
        operation!(
            B,
            C,
            [x, gamma, beta],
            (xv.clone(), gv.clone(), bv.clone(), epsilon, width),
            B::fused_layer_norm(xv, gv, bv, epsilon, width),
            |(x, gamma, beta, epsilon, width), gradient, _: [bool; 3]| {
                let [x, gamma, beta, _] =
                    B::fused_layer_norm_backward(x, gamma, beta, None, gradient, epsilon, width);
                [x, gamma, beta]
            }
        )
    }

    fn fused_gated_layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        factors: FloatTensor<Self>,
        epsilon: f64,
        width: usize,
    ) -> FloatTensor<Self> {
        let (xv, gv, bv) = (x.primitive().clone(), gamma.primitive().clone(), beta.primitive().clone());
        let fv = factors.primitive().clone();
        operation!(
            B,
            C,
            [x, gamma, beta, factors],
            (xv.clone(), gv.clone(), bv.clone(), fv.clone(), epsilon, width),
            B::fused_gated_layer_norm(xv, gv, bv, fv, epsilon, width),
            |(x, gamma, beta, factors, epsilon, width), gradient, _: [bool; 4]| {
                B::fused_layer_norm_backward(x, gamma, beta, Some(factors), gradient, epsilon, width)
            }
        )
    }

    fn fused_attention(
        qkv: FloatTensor<Self>,
        bias: Optional<Self>,
        mask: Optional<Self>,
        sizes: Optional<Self>,
        attention: Attention,
    ) -> FloatTensor<Self> {
        let (value, others) = (qkv.primitive().clone(), [&bias, &mask, &sizes].map(without_graph));
        let [of_bias, mask, sizes] = others.clone();
        let output = B::fused_attention(value.clone(), of_bias, mask, sizes, attention.clone());
        let state = (value, others, attention);
        match bias {
            Optional::Missing => {
                operation!(B, C, [qkv], state, output, |(qkv, others, attention), gradient, _: [bool; 1]| {
                    let [of_qkv, _] = B::fused_attention_backward(qkv, others, gradient, attention, false);
                    [of_qkv]
                })
            }
            Optional::Given(bias) => operation!(
                B,
                C,
                [qkv, bias],
                state,
                output,
                |(qkv, others, attention), gradient, [_, of_bias]: [bool; 2]| {
                    B::fused_attention_backward(qkv, others, gradient, attention, of_bias)
                }
            ),
        }
    }

    fn fused_depthwise(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        stride: [usize; 2],
        padding: [usize; 2],
    ) -> FloatTensor<Self> {
        let (xv, wv, bv) = (x.primitive().clone(), weight.primitive().clone(), bias.primitive().clone());
        let [input, kernel] = [(&xv, 1), (&wv, 2)].map(|(tensor, axis)| {
            let shape = tensor.shape();
            [shape[axis], shape[axis + 1]]
        });
        let shapes = DepthwiseShapes { input, kernel, stride, padding };
        let for_parameters = (weight.is_tracked() || bias.is_tracked()).then(|| xv.clone());
        let for_x = x.is_tracked().then(|| wv.clone());
        operation!(
            B,
            C,
            [x, weight, bias],
            (for_parameters, for_x, shapes),
            B::fused_depthwise(xv, wv, bv, stride, padding),
            |(x, weight, shapes), gradient, _: [bool; 3]| {
                B::fused_depthwise_backward(x, weight, gradient, shapes)
            }
        )
    }

    fn fused_residual(
        x: FloatTensor<Self>,
        branch: FloatTensor<Self>,
        scale: Optional<Self>,
        keep: Optional<Self>,
    ) -> FloatTensor<Self> {
        let (xv, bv) = (x.primitive().clone(), branch.primitive().clone());
        let factors = [&scale, &keep].map(without_graph);
        let [scale_value, keep_value] = factors.clone();
        let output = B::fused_residual(xv, bv.clone(), scale_value, keep_value);
        match scale {
            Optional::Missing => {
                operation!(B, C, [x, branch], factors, output, |factors, gradient, _: [bool; 2]| {
                    let [of_branch, _] = B::fused_residual_backward(None, factors, gradient.clone());
                    [Some(gradient), of_branch]
                })
            }
            Optional::Given(scale) => {
                let for_scale = scale.is_tracked().then_some(bv);
                operation!(
                    B,
                    C,
                    [x, branch, scale],
                    (for_scale, factors),
                    output,
                    |(branch, factors), gradient, _: [bool; 3]| {
                        let [of_branch, of_scale] =
                            B::fused_residual_backward(branch, factors, gradient.clone());
                        [Some(gradient), of_branch, of_scale]
                    }
                )
            }
        }
    }
}

fn without_graph<B: Backend, C: CheckpointStrategy>(tensor: &Optional<Autodiff<B, C>>) -> Optional<B> {
    match tensor {
        Optional::Missing => Optional::Missing,
        Optional::Given(tensor) => Optional::Given(tensor.primitive().clone()),
    }
}
