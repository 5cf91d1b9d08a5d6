//! The layers that models are written with.
//!
//! They have the names and fields of Burn's own layers, so that the same checkpoints load into them, and differ where
//! slimming needs it: [`LayerNorm`], [`RmsNorm`] and [`GroupNorm`] remember their original width, a [`BatchNorm`] shares its
//! running statistics only with its gated copy, and every layer of a branch works at size 0. Burn's own linear layer,
//! convolutions and embedding can be annotated too, but its convolutions need at least one channel: where a budget may cut
//! all of them, use ours.
//!
//! Four more belong to slimming itself: [`HeadLayout`] computes attention over heads of any size, [`TokenGate`] scales tokens, and
//! removes or merges them, [`TokenSizes`] says how many are in one, and [`BranchGate`] adds a residual branch that may be cut.
//! [`checkpoint`] computes a block without keeping its activations.

mod as_trained;
mod attention;
mod batch_norm;
mod checkpointing;
mod conv1d;
mod conv2d;
mod conv_groups;
pub(crate) mod draw;
mod drop_path;
mod dropout;
mod embedding;
mod evaluating;
mod fused;
mod group_norm;
mod heads;
mod init;
mod layer_norm;
mod linear;
mod listening;
mod own_gradient;
mod precision;
pub(crate) mod product;
mod residual;
mod rms_norm;
mod running_state;
mod shared_by_heads;
mod token_gate;
mod token_sizes;
mod windows;
mod with_gradient;

pub(crate) use as_trained::{RecordedBlock, as_trained};
pub use batch_norm::{BatchNorm, BatchNormConfig};
pub use checkpointing::checkpoint;
pub(crate) use checkpointing::{checkpointing, has_checkpoints};
pub use conv1d::{Conv1d, Conv1dConfig};
pub use conv2d::{Conv2d, Conv2dConfig};
pub use drop_path::DropPath;
pub use dropout::Dropout;
pub use embedding::{Embedding, EmbeddingConfig};
pub(crate) use evaluating::evaluating;
pub(crate) use fused::as_fused;
pub use group_norm::{GroupNorm, GroupNormConfig};
pub(crate) use init::NORMAL;
pub use init::normal;
pub use layer_norm::{LayerNorm, LayerNormConfig};
pub(crate) use linear::fused_mlp;
pub use linear::{Gelu, Linear, LinearConfig};
pub(crate) use listening::{Heard, Reader, Reduce, Use, listening};
pub use precision::Precision;
pub use rms_norm::{RmsNorm, RmsNormConfig};
pub use running_state::RunningState;
pub(crate) use running_state::is_running_state;
pub use token_sizes::TokenSizes;
pub use windows::Windows;
pub(crate) use windows::positions;

pub use crate::slim::{BranchGate, HeadLayout, TokenGate};
pub use burn::nn::Initializer;
