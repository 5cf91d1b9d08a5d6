//! The layers that models are written with, and the two that know about slimming: [`HeadLayout`], which computes
//! attention over heads of any size, and [`TokenGate`], which scales and removes tokens.
//!
//! The other layers carry the names and the fields of Burn's own, so that checkpoints load into them alike. They differ
//! where slimming needs it: a [`LayerNorm`], [`RmsNorm`] or [`GroupNorm`] remembers its original width, a [`BatchNorm`] shares its
//! running statistics with its gated copy only, and the layers of a branch work at size 0. Burn's own linear layer,
//! convolutions and embedding can be annotated too; its convolutions need at least one channel, so take ours where a budget may
//! cut all.

mod batch_norm;
mod conv1d;
mod conv2d;
mod conv_groups;
pub(crate) mod draw;
mod drop_path;
mod dropout;
mod embedding;
mod group_norm;
mod head_layout;
mod init;
mod layer_norm;
mod linear;
mod precision;
mod product;
mod rms_norm;
mod running_state;
mod token_gate;

pub use batch_norm::{BatchNorm, BatchNormConfig};
pub use conv1d::{Conv1d, Conv1dConfig};
pub use conv2d::{Conv2d, Conv2dConfig};
pub use drop_path::DropPath;
pub use dropout::Dropout;
pub use embedding::{Embedding, EmbeddingConfig};
pub use group_norm::{GroupNorm, GroupNormConfig};
pub use head_layout::HeadLayout;
pub use init::normal;
pub use layer_norm::{LayerNorm, LayerNormConfig};
pub use linear::{Gelu, Linear, LinearConfig};
pub use precision::Precision;
pub use rms_norm::{RmsNorm, RmsNormConfig};
pub use running_state::RunningState;
pub use token_gate::TokenGate;
