//! A network of several widths, which borrows and lends them by every form that the derive has, with lists and tuples of layers.

use burn::tensor::activation::gelu;
use vitslim_core::prelude::*;

/// Tokens of an image, which is as many pixels high; its rows are the tokens.
pub const TOKENS: usize = 3;

/// The sizes of a [`Hybrid`].
pub type Sizes = (Vec<(usize, usize)>, usize, [usize; 2]);

/// An embedding width, stages of a width each, and attention with the width of the last.
#[derive(Module, Debug, Slimmable)]
pub struct Hybrid {
    #[slim(output = [width], gate)]
    embed: (Linear, LayerNorm),
    #[slim(dim = width)]
    before: Block<Pooling>,
    #[slim(former = before.width or width)]
    stages: Vec<Stage>,
    #[slim(output = [stages.last.width], gate)]
    norm: LayerNorm,
    #[slim(layout = [heads, head_dim])]
    layout: HeadLayout,
    #[slim(input = [stages.last.width], output = [heads, head_dim], gate)]
    qkv: [Linear; 3],
    #[slim(dim = stages.last.width, parts = heads, size = head_dim)]
    attention: Outer,
    #[slim(dim = stages.first.width)]
    side: Side,
    #[slim(input = [stages.last.width])]
    head: Linear,
}

/// Maps the width of the stage before to its own, which its blocks call `dim`.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [former], own = [width])]
pub struct Stage {
    #[slim(0(output = [former], gate), 1(input = [former], output = [width], gate))]
    step: (LayerNorm, Linear),
    #[slim(dim = width)]
    blocks: Vec<Block<Pooling>>,
}

/// Some mixing of tokens, and an MLP whose hidden units several layers write and read.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [dim])]
pub struct Block<M: Module> {
    #[slim(output = [dim], gate)]
    norm: LayerNorm,
    #[slim]
    mixer: M,
    #[slim(input = [dim], output = [hidden], gate)]
    write: Vec<Linear>,
    #[slim(input = [hidden], output = [dim], gate)]
    read: (Linear, Option<Linear>),
}

/// Mixes tokens without a weight.
#[derive(Module, Debug, Slimmable)]
#[slim(none)]
pub struct Pooling {
    tokens: usize,
}

/// Lends on what it is lent.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [dim, parts, size])]
pub struct Outer {
    #[slim(width = dim, groups = parts, units = size)]
    inner: Inner,
}

/// Has a bias of each head, `[heads, tokens, tokens]`.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width, groups, units])]
pub struct Inner {
    #[slim(axis(0) = [groups])]
    bias: Param<Tensor<3>>,
    #[slim(input = [groups, units], output = [width], gate)]
    proj: Linear,
}

/// Reads the first stage directly.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [dim])]
pub struct Side {
    #[slim(input = [dim])]
    fc: Option<Linear>,
}

fn linear(inputs: usize, outputs: usize, device: &Device) -> Linear {
    LinearConfig::new(inputs, outputs).init(device)
}

fn norm(width: usize, device: &Device) -> LayerNorm {
    LayerNormConfig::new(width).init(device)
}

impl Block<Pooling> {
    fn new(dim: usize, writers: usize, device: &Device) -> Self {
        let back = || linear(3, dim, device);
        Self {
            norm: norm(dim, device),
            mixer: Pooling { tokens: TOKENS },
            write: (0..writers).map(|_| linear(dim, 3, device)).collect(),
            read: (back(), (writers > 1).then(back)),
        }
    }

    /// `[batch, tokens, dim]` to the same.
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let read = self.norm.forward(x.clone());
        let mean = read.clone().sum_dim(1) / self.mixer.tokens as f64;
        let read = read - mean;
        let written = self.write.iter().map(|layer| gelu(layer.forward(read.clone())));
        let hidden = written.reduce(|a, b| a + b).expect("a layer that writes");
        let branch = self.read.0.forward(hidden.clone());
        match &self.read.1 {
            Some(other) => x + branch + other.forward(hidden),
            None => x + branch,
        }
    }
}

impl Architecture for Hybrid {
    type Config = Sizes;

    fn presets() -> Vec<(&'static str, Sizes)> {
        Vec::new()
    }

    fn init((stages, width, [heads, head_dim]): &Sizes, device: &Device) -> Result<Self, ConfigError> {
        let (mut former, width, dim) = (*width, *width, heads * head_dim);
        let mut stage = |&(width, blocks): &(usize, usize)| {
            let step = (norm(former, device), linear(former, width, device));
            former = width;
            Stage { step, blocks: (0..blocks).map(|_| Block::new(width, blocks, device)).collect() }
        };
        let built: Vec<Stage> = stages.iter().map(&mut stage).collect();
        let (first, last) = (stages[0].0, stages[stages.len() - 1].0);
        Ok(Self {
            embed: (linear(TOKENS, width, device), norm(width, device)),
            before: Block::new(width, 2, device),
            stages: built,
            norm: norm(last, device),
            layout: HeadLayout::new(*heads, *head_dim),
            qkv: [(); 3].map(|()| linear(last, dim, device)),
            attention: Outer {
                inner: Inner {
                    bias: normal([*heads, TOKENS, TOKENS], 0.02, device),
                    proj: linear(dim, last, device),
                },
            },
            side: Side { fc: (stages.len() > 1).then(|| linear(first, 3, device)) },
            head: linear(last, 3, device),
        })
    }

    fn forward(&self, images: Tensor<4>) -> Logits {
        let mean = |x: Tensor<3>| x.mean_dim(1).squeeze_dim::<2>(1);
        let x = self.embed.1.forward(self.embed.0.forward(images.squeeze_dim::<3>(1)));
        let mut x = self.before.forward(x);
        let mut side = None;
        for stage in &self.stages {
            x = stage.step.1.forward(stage.step.0.forward(x));
            x = stage.blocks.iter().fold(x, |x, block| block.forward(x));
            side.get_or_insert_with(|| x.clone());
        }
        let read = self.norm.forward(x.clone());
        let qkv = Tensor::cat(self.qkv.iter().map(|layer| layer.forward(read.clone())).collect(), 2);
        let inner = &self.attention.inner;
        // Burn does not reshape tensors of size 0, as the bias of no heads is.
        let attended = match self.layout.sizes.is_empty() {
            true => self.layout.attend(qkv),
            false => self.layout.attend_with_bias(qkv, inner.bias.val().unsqueeze()),
        };
        let logits = self.head.forward(mean(x + inner.proj.forward(attended)));
        match (&self.side.fc, side) {
            (Some(fc), Some(side)) => (logits + fc.forward(mean(side))).into(),
            _ => logits.into(),
        }
    }
}
