//! What the three stages of a run have in common: epochs, batches, optimizer, schedule.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::number::{Count, Fraction, LayerDecay, NonNegative, Positive, Rate};
use crate::data::Augment;

/// The settings of a stage: those that every stage has, and its own. Serde cannot deny unknown fields of a flattened struct, so the
/// macro writes the common fields into each.
macro_rules! stage {
    ($(#[$doc:meta])* pub struct $name:ident { $($own:tt)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// Passes over the training images.
            #[schemars(extend("unit" = "epochs"))]
            pub epochs: Count,
            /// Images of a step.
            #[serde(default = "super::training::default_batch")]
            #[schemars(extend("unit" = "images"))]
            pub batch: Count,
            /// Parts in which a batch is computed, one after the other, to need less memory; at most `batch`. The gradients are
            /// those of the whole batch, except for what dropout and stochastic depth draw.
            #[serde(default = "super::training::one_part")]
            #[schemars(extend("unit" = "parts"))]
            pub accumulate: Count,
            /// Whether the activations of each block are computed once more in the backward pass, instead of being kept: that needs less
            /// memory and more time. The gradients are the same.
            #[serde(default, skip_serializing_if = "std::ops::Not::not")]
            #[schemars(extend("default" = false))]
            pub checkpointing: bool,
            /// Augmentation of this stage's training images, in place of all that `data` says. Left out, that of `data`.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub augment: Option<Augment>,
            /// What updates the weights, with its learning rate. Masks are updated in the same way.
            pub optimizer: Optimizer,
            /// Images of a step that `lr` is written for, that of the optimizer and that of the masks: the stage trains at `lr * batch /
            /// lr_of_batch`. Other rates of the schedule stay as they are written. DeiT's is 512. Left out, `lr` is for this `batch`.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(extend("unit" = "images"))]
            pub lr_of_batch: Option<Count>,
            /// The learning rate over the epochs.
            #[serde(default)]
            pub schedule: Schedule,
            /// Factor on the learning rate from each layer to the one before it: the last layer trains at the optimizer's rate,
            /// the patch embedding at the lowest. Left out, all layers train at the same rate.
            #[serde(default)]
            pub layer_decay: Option<LayerDecay>,
            /// Largest norm of all gradients together; larger ones are scaled down to it. Left out, `Lamb` clips to 1, and the others
            /// not at all.
            #[serde(default)]
            pub clip: Option<Positive>,
            /// What is minimised.
            #[serde(default, skip_serializing_if = "Loss::is_default")]
            #[schemars(extend("default" = Loss::default()))]
            pub loss: Loss,
            /// Fraction of the target that is spread over all classes; the default is that of timm and DeiT.
            #[serde(default = "super::training::tenth")]
            pub label_smoothing: Fraction,
            /// A network that teaches this one, beside the labels: `Dense`, or another. Left out, only the labels do.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub teacher: Option<super::teacher::Teacher>,
            /// Decay of a running average of the weights, which is evaluated beside them. The stage ends with the better of the two
            /// by validation top-1. Left out, there is no average.
            #[serde(default)]
            pub ema: Option<Fraction>,
            /// Epochs without a better validation top-1 after which the stage stops, with the weights of its best epoch. Left out,
            /// it trains all epochs and ends with the last.
            #[serde(default)]
            #[schemars(extend("unit" = "epochs"))]
            pub early_stop: Option<Count>,
            $($own)*
        }
    };
}
pub(super) use stage;

stage! {
    /// A stage of training: before the search, or of a sub-network after it.
    pub struct Training {}
}

impl Training {
    /// The highest learning rate of the weights.
    pub fn lr(&self) -> f64 {
        self.scaled(self.optimizer.lr())
    }

    /// The learning rate that `lr` stands for at this batch: linear scaling (Goyal et al. 2017), as DeiT's `main.py` does it.
    pub fn scaled(&self, lr: Rate) -> f64 {
        scaled(lr, self.batch, self.lr_of_batch)
    }

    /// Largest norm of all gradients together; `None` if they are not clipped.
    pub fn largest_norm(&self) -> Option<f64> {
        match (self.clip, &self.optimizer) {
            (Some(clip), _) => Some(clip.get()),
            (None, Optimizer::Lamb { .. }) => Some(LAMB_CLIP),
            (None, _) => None,
        }
    }
}

/// `lr`, which is written for steps of `lr_of_batch` images, for steps of `batch` images.
pub(in crate::experiment) fn scaled(lr: Rate, batch: Count, lr_of_batch: Option<Count>) -> f64 {
    lr_of_batch.map_or(lr.get(), |written| lr.get() * batch.get() as f64 / written.get() as f64)
}

/// The `max_grad_norm` of timm's `Lamb` and of NVIDIA's `FusedLAMB`.
const LAMB_CLIP: f64 = 1.0;

/// How the weights are updated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Optimizer {
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
    AdamW {
        /// Highest learning rate of the schedule.
        lr: Rate,
        /// Decay of the weights, times the learning rate at each step; the default is DeiT's.
        #[serde(default = "weight_decay")]
        weight_decay: NonNegative,
        /// Decay of the running mean of the gradients.
        #[serde(default = "beta1")]
        beta1: Fraction,
        /// Decay of the running mean of their squares.
        #[serde(default = "beta2")]
        beta2: Fraction,
        /// Added to the divisor, which may be 0.
        #[serde(default = "epsilon")]
        epsilon: Positive,
    },
    /// Stochastic gradient descent with momentum, as PyTorch's `SGD`.
    Sgd {
        /// Highest learning rate of the schedule.
        lr: Rate,
        /// Decay of the running sum of the gradients.
        #[serde(default = "momentum")]
        momentum: Fraction,
        /// Whether a step looks ahead by the momentum, as timm's `sgd` does.
        #[serde(default = "yes")]
        nesterov: bool,
        /// Times the weights, is added to their gradients; the default is that of timm's `train.py`.
        #[serde(default = "weight_decay_of_sgd")]
        weight_decay: NonNegative,
    },
    /// Adam whose step of each parameter that decays has the norm of the parameter, times the learning rate (You et al. 2020), as timm's
    /// `lamb`. DeiT III trains with it.
    Lamb {
        /// Highest learning rate of the schedule.
        lr: Rate,
        /// Times the weights, is added to their step, before that gets its norm; the default is DeiT III's.
        #[serde(default = "weight_decay")]
        weight_decay: NonNegative,
        /// Decay of the running mean of the gradients.
        #[serde(default = "beta1")]
        beta1: Fraction,
        /// Decay of the running mean of their squares.
        #[serde(default = "beta2")]
        beta2: Fraction,
        /// Added to the divisor, which may be 0.
        #[serde(default = "epsilon_of_lamb")]
        epsilon: Positive,
    },
}

impl Optimizer {
    /// The highest learning rate of the schedule, as it is written.
    pub fn lr(&self) -> Rate {
        match self {
            Self::AdamW { lr, .. } | Self::Sgd { lr, .. } | Self::Lamb { lr, .. } => *lr,
        }
    }

    /// The weight decay of what decays.
    pub fn weight_decay(&self) -> NonNegative {
        match self {
            Self::AdamW { weight_decay, .. }
            | Self::Sgd { weight_decay, .. }
            | Self::Lamb { weight_decay, .. } => *weight_decay,
        }
    }

    /// Values that are kept for each one that is trained: running means of its gradient and of the square, or a running sum.
    pub fn moments(&self) -> u64 {
        match self {
            Self::AdamW { .. } | Self::Lamb { .. } => 2,
            Self::Sgd { momentum, .. } => u64::from(momentum.get() > 0.0),
        }
    }
}

/// The learning rate over the epochs of a stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Schedule {
    /// Rises linearly, then falls along half a cosine.
    Cosine {
        /// Epochs of the rise, at most those of the stage; a part of one is fine. With neither this nor `warmup_steps`, a
        /// twentieth of the stage, but at most 5 epochs.
        #[serde(default)]
        #[schemars(extend("unit" = "epochs"))]
        warmup_epochs: Option<NonNegative>,
        /// Steps of the rise, instead of its epochs.
        #[serde(default)]
        #[schemars(extend("unit" = "steps"))]
        warmup_steps: Option<u32>,
        /// Learning rate of the first step of the rise, at most that of the optimizer; DeiT's is 1e-6. Left out, the first step has its
        /// part of the rise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        warmup_lr: Option<Positive>,
        /// Learning rate at the end, at most that of the optimizer.
        #[serde(default = "no_rate")]
        final_lr: NonNegative,
    },
    /// Rises linearly, then stays.
    Constant {
        /// Epochs of the rise, at most those of the stage; a part of one is fine. With neither this nor `warmup_steps`, there is
        /// no rise.
        #[serde(default)]
        #[schemars(extend("unit" = "epochs"))]
        warmup_epochs: Option<NonNegative>,
        /// Steps of the rise, instead of its epochs.
        #[serde(default)]
        #[schemars(extend("unit" = "steps"))]
        warmup_steps: Option<u32>,
        /// Learning rate of the first step of the rise, at most that of the optimizer; DeiT's is 1e-6. Left out, the first step has its
        /// part of the rise.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        warmup_lr: Option<Positive>,
    },
}

/// Most epochs of a warm-up that is not written: what timm and DeiT take, whose trainings have 300.
const WARMUP_EPOCHS: usize = 5;

impl Schedule {
    /// Steps in which the learning rate rises, of a stage of `epochs` epochs of `steps` steps.
    pub fn warmup(&self, epochs: usize, steps: usize) -> usize {
        let (Self::Cosine { warmup_epochs, warmup_steps, .. }
        | Self::Constant { warmup_epochs, warmup_steps, .. }) = self;
        match (warmup_epochs, warmup_steps, self) {
            (_, Some(written), _) => *written as usize,
            (Some(written), ..) => (written.get() * steps as f64).round() as usize,
            (.., Self::Cosine { .. }) => (epochs * steps / 20).min(WARMUP_EPOCHS * steps),
            (.., Self::Constant { .. }) => 0,
        }
    }

    /// Learning rate of the first step of the rise, if it is written.
    pub fn warmup_lr(&self) -> Option<f64> {
        let (Self::Cosine { warmup_lr, .. } | Self::Constant { warmup_lr, .. }) = self;
        warmup_lr.map(Positive::get)
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self::Cosine { warmup_epochs: None, warmup_steps: None, warmup_lr: None, final_lr: no_rate() }
    }
}

/// What training minimises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Loss {
    /// Cross entropy of all classes together.
    #[default]
    CrossEntropy,
    /// Binary cross entropy of each class by itself, in the mean over images and classes: timm's `BinaryCrossEntropy`.
    BinaryCrossEntropy {
        /// Share of a mixed image above which a class counts as all there; below it, as not there at all. Labels are smoothed
        /// after that. DeiT III takes 0. Left out, a class counts by its share.
        #[serde(default)]
        threshold: Option<Fraction>,
    },
}

impl Loss {
    // The names of runs are made of what is written, and those of earlier versions have no loss in them.
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

pub(in crate::experiment) const fn default_batch() -> Count {
    Count::known(64)
}

pub(super) const fn one_part() -> Count {
    Count::known(1)
}

pub(super) const fn tenth() -> Fraction {
    Fraction::known(0.1)
}

const fn weight_decay() -> NonNegative {
    NonNegative::known(0.05)
}

const fn beta1() -> Fraction {
    Fraction::known(0.9)
}

const fn beta2() -> Fraction {
    Fraction::known(0.999)
}

const fn epsilon() -> Positive {
    Positive::known(1e-8)
}

const fn epsilon_of_lamb() -> Positive {
    Positive::known(1e-6)
}

const fn momentum() -> Fraction {
    Fraction::known(0.9)
}

const fn yes() -> bool {
    true
}

const fn weight_decay_of_sgd() -> NonNegative {
    NonNegative::known(2e-5)
}

const fn no_rate() -> NonNegative {
    NonNegative::known(0.0)
}
