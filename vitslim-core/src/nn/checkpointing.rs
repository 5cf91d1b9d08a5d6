//! Activation checkpointing (Chen et al. 2016): the backward pass computes the activations of a block again, instead of the forward
//! pass keeping them.
//!
//! Burn's own strategy computes only cheap operations again, one by one. It would keep nearly all that a block keeps: what products,
//! norms and attention read.

use std::cell::Cell;
use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::DispatchTensor;
use burn::module::{ModuleMapper, Param};
use burn::tensor::{Gradients, Tensor};

use super::as_trained::as_block;
use super::draw::Draws;
use super::precision::Precision;
use super::running_state;
use super::with_gradient::with_gradient;
use crate::slim::{DimensionMapper, Scope, Slimmable, TokenGate};

thread_local! {
    static IS_ON: Cell<bool> = const { Cell::new(false) };
    static IS_CALLED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `forward`, usually a forward pass in training. If `on`, the blocks that it hands to [`checkpoint`] on this thread keep no
/// activations.
pub(crate) fn checkpointing<T>(on: bool, forward: impl FnOnce() -> T) -> T {
    let _before = Restore(IS_ON.replace(on));
    forward()
}

/// Runs `forward` as [`checkpointing`] does, and answers whether it hands any block to [`checkpoint`].
pub(crate) fn has_checkpoints(forward: impl FnOnce()) -> bool {
    IS_CALLED.set(false);
    checkpointing(true, forward);
    IS_CALLED.get()
}

/// Restores the previous setting, also when a forward pass panics.
struct Restore(bool);

impl Drop for Restore {
    fn drop(&mut self) {
        IS_ON.set(self.0);
    }
}

/// `forward(block, x)`. In a stage with `checkpointing: true`, only `x` is kept of it: the backward pass computes the block once more.
/// Call it for each block of an architecture, as the built-in ones do:
///
/// ```
/// use vitslim_core::prelude::*;
///
/// #[derive(Module, Debug, Slimmable)]
/// pub struct Block {
///     #[slim(output = [hidden])]
///     fc1: Linear,
///     act: Gelu,
///     #[slim(input = [hidden], gate)]
///     fc2: Linear,
/// }
///
/// impl Block {
///     pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
///         x.clone() + self.fc2.forward(self.act.forward(self.fc1.forward(x)))
///     }
/// }
///
/// pub fn trunk(blocks: &[Block], x: Tensor<3>) -> Tensor<3> {
///     blocks.iter().fold(x, |x, block| checkpoint(block, x, Block::forward))
/// }
/// ```
///
/// The gradients are the same. [`Dropout`](super::Dropout) and [`DropPath`](super::DropPath) draw the same again, which Burn's own
/// dropout does not, and a [`BatchNorm`](super::BatchNorm) takes a batch in only once.
///
/// # Panics
///
/// When `forward` reads a tensor with a gradient that is neither `x`, nor a parameter of `block`, nor a mask of its tokens: what it
/// captures, for one. Such a tensor would be left without that gradient.
pub fn checkpoint<M: Slimmable + 'static, const D: usize, const E: usize>(
    block: &M,
    x: Tensor<D>,
    forward: impl Fn(&M, Tensor<D>) -> Tensor<E> + Send + 'static,
) -> Tensor<E> {
    IS_CALLED.set(true);
    if !IS_ON.get() || !x.is_autodiff() || x.shape().num_elements() == 0 {
        return as_block(x, |x| forward(block, x));
    }
    let (precision, draws, device) = (Precision::current(), Draws::current(), x.device());
    let mut first = First::default();
    let x = first.input(x);
    let block = running_state::shared(|| mapped(block.clone(), &mut first));
    let output = checkpointing(false, || forward(&block, x.clone()));
    assert!(
        !output.is_tracked(),
        "activation checkpointing: the block reads a tensor with a gradient that is neither its input, nor a parameter of it, nor a \
         mask of its tokens"
    );
    let First { kinds, tracked } = first;
    let mut tracked = tracked.into_iter();
    let Some(input) = tracked.next() else { return output };

    let again = move |gradient: DispatchTensor| {
        let mut second = Second { kinds: kinds.into_iter(), gradients: Vec::new() };
        let x = second.input(x);
        let block = mapped(block, &mut second);
        let forward = || checkpointing(false, || forward(&block, x));
        let output = precision.within(|| draws.again(forward));
        // The gradient of this sum by the output is `gradient` itself.
        let gradient = Tensor::<E>::from_dispatch(gradient).autodiff();
        let mut gradients = (output * gradient).sum().backward();
        second.gradients.into_iter().map(|of_input| of_input(&mut gradients)).collect::<Vec<_>>()
    };
    // An operation of burn has a fixed number of inputs. The first input is that of the block. Each other one is an input of an
    // operation of its own, which fetches the gradient that the block has left for it. These hang together by an output without
    // meaning, so that all come after the block in the backward pass.
    let nothing = Tensor::<1>::zeros([1], &device);
    let left = Arc::new(Mutex::new(Vec::new()));
    let others = tracked.enumerate().fold(nothing.clone(), |others, (index, input)| {
        let left = left.clone();
        with_gradient(nothing.clone(), others.into_dispatch(), input, move |gradient| {
            let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
            [Some(gradient), left.get_mut(index).and_then(Option::take)]
        })
    });
    with_gradient(output, others.into_dispatch(), input, move |gradient| {
        let mut gradients = again(gradient).into_iter();
        let of_input = gradients.next().flatten();
        *left.lock().unwrap_or_else(PoisonError::into_inner) = gradients.collect();
        [Some(nothing.inner().into_dispatch()), of_input]
    })
}

/// How a tensor that a block reads is a part of the graph.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Not at all.
    Constant,
    /// As one of its leaves: a parameter that is trained.
    Leaf,
    /// As the output of an operation: a parameter that was gated, or what the block before has left.
    Computed,
}

impl Kind {
    fn of<const D: usize>(tensor: &Tensor<D>) -> Self {
        match (tensor.is_tracked(), tensor.is_require_grad()) {
            (false, _) => Self::Constant,
            (true, true) => Self::Leaf,
            (true, false) => Self::Computed,
        }
    }
}

/// One of the two forward passes of a block, and what the tensors that the block reads are in it. Both meet them in the same order.
trait Pass {
    fn input<const D: usize>(&mut self, tensor: Tensor<D>) -> Tensor<D>;
}

/// The pass that keeps nothing: all are constants.
#[derive(Default)]
struct First {
    kinds: Vec<Kind>,
    /// Those that are in the graph.
    tracked: Vec<DispatchTensor>,
}

impl Pass for First {
    fn input<const D: usize>(&mut self, tensor: Tensor<D>) -> Tensor<D> {
        let kind = Kind::of(&tensor);
        self.kinds.push(kind);
        if kind == Kind::Constant {
            return tensor;
        }
        let constant = Tensor::from_inner(tensor.clone().inner());
        self.tracked.push(tensor.into_dispatch());
        constant
    }
}

/// Takes the gradient of an input.
type OfInput = Box<dyn FnOnce(&mut Gradients) -> Option<DispatchTensor>>;

/// The pass of which the gradients are taken: those in the graph are leaves of a graph of its own.
struct Second {
    kinds: std::vec::IntoIter<Kind>,
    gradients: Vec<OfInput>,
}

impl Pass for Second {
    fn input<const D: usize>(&mut self, tensor: Tensor<D>) -> Tensor<D> {
        let kind = self.kinds.next().unwrap_or(Kind::Constant);
        if kind == Kind::Constant {
            return tensor;
        }
        let leaf = Tensor::from_inner(tensor.inner()).require_grad();
        let of_leaf = leaf.clone();
        self.gradients.push(Box::new(move |gradients| {
            let gradient = of_leaf.grad_remove(gradients);
            // An operation has to be given a gradient. A parameter that the block does not read has none.
            let gradient =
                gradient.or_else(|| (kind == Kind::Computed).then(|| of_leaf.inner().zeros_like()));
            gradient.map(Tensor::into_dispatch)
        }));
        leaf
    }
}

/// `block` with all tensors that it reads as they are in `pass`: its parameters, and the masks of its tokens, which are no parameters.
fn mapped<M: Slimmable, P: Pass>(block: M, pass: &mut P) -> M {
    let block = block.map(&mut Parameters(pass));
    block.map_dimensions(&mut TokenMasks { scope: Scope::default(), pass })
}

struct Parameters<'a, P>(&'a mut P);

impl<P: Pass> ModuleMapper for Parameters<'_, P> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| self.0.input(tensor))
    }
}

struct TokenMasks<'a, P> {
    scope: Scope,
    pass: &'a mut P,
}

impl<P: Pass> DimensionMapper for TokenMasks<'_, P> {
    fn scope(&mut self) -> &mut Scope {
        &mut self.scope
    }

    fn map_tokens(&mut self, _: &str, mut gate: TokenGate) -> TokenGate {
        gate.factors = gate.factors.map(|factors| self.pass.input(factors));
        gate
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Module;
    use burn::tensor::{Device, Distribution};

    use super::super::{Linear, LinearConfig};
    use super::*;

    #[derive(Module, Debug, Slimmable)]
    struct Block {
        #[slim(output = [hidden])]
        fc1: Linear,
        #[slim(input = [hidden], gate)]
        fc2: Linear,
    }

    impl Block {
        fn new(device: &Device) -> Self {
            Self { fc1: LinearConfig::new(4, 6).init(device), fc2: LinearConfig::new(6, 4).init(device) }
        }

        fn forward(&self, x: Tensor<2>) -> Tensor<2> {
            x.clone() + self.fc2.forward(self.fc1.forward(x).tanh())
        }
    }

    fn bits<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_into_vec().unwrap()
    }

    /// Output and gradients of two blocks after one another, of which the second is frozen, or the input has a gradient.
    fn gradients(on: bool, blocks: &[Block; 2], x: &Tensor<2>) -> (Vec<f32>, Vec<Option<Vec<f32>>>) {
        let run = |x, block| checkpoint(block, x, Block::forward);
        let output = checkpointing(on, || blocks.iter().fold(x.clone().powi_scalar(2), run));
        let gradients = output.clone().powi_scalar(2).sum().backward();
        let mut found = vec![x.grad(&gradients).map(bits)];
        for block in blocks {
            for linear in [&block.fc1, &block.fc2] {
                found.push(linear.weight.grad(&gradients).map(bits));
                found.push(linear.bias.as_ref().and_then(|bias| bias.grad(&gradients)).map(bits));
            }
        }
        (bits(output), found)
    }

    #[test]
    fn what_is_frozen_has_no_gradient_and_the_rest_has_its_own() {
        let device = Device::flex().autodiff();
        let blocks = || [Block::new(&device), Block::new(&device)];
        let x = Tensor::random([3, 4], Distribution::Normal(0.0, 1.0), &device);
        let [first, second] = blocks();
        let frozen = [first.clone(), second.clone().no_grad()];
        let half = Block { fc2: first.fc2.clone().no_grad(), ..first.clone() };
        for blocks in [[first, second], frozen, [half.clone(), half], blocks().map(Module::no_grad)] {
            for x in [x.clone(), x.clone().require_grad()] {
                if !x.is_require_grad() && blocks.iter().all(|block| !block.fc1.weight.is_require_grad()) {
                    continue;
                }
                let expected = gradients(false, &blocks, &x);
                assert_eq!(gradients(true, &blocks, &x), expected);
                assert_eq!(expected.1[0].is_some(), x.is_require_grad());
            }
        }
    }

    #[test]
    fn without_anything_to_train_the_output_is_a_constant() {
        let device = Device::flex().autodiff();
        let block = Block::new(&device).no_grad();
        let x = Tensor::random([3, 4], Distribution::Normal(0.0, 1.0), &device);
        let output = checkpointing(true, || checkpoint(&block, x.clone(), Block::forward));
        assert!(!output.is_tracked());
        assert_eq!(bits(output), bits(block.forward(x)));
    }

    #[test]
    #[should_panic(expected = "neither its input, nor a parameter of it")]
    fn a_block_that_captures_what_is_trained_is_refused() {
        let device = Device::flex().autodiff();
        let scale = Tensor::<2>::ones([1, 4], &device).require_grad();
        let scaled = move |block: &Block, x: Tensor<2>| block.forward(x) * scale.clone();
        checkpointing(true, || checkpoint(&Block::new(&device), Tensor::ones([3, 4], &device), scaled));
    }
}
