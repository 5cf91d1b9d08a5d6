//! The layers that models are written with, and the two that know about slimming: [`HeadLayout`], which computes
//! attention over heads of any size, and [`TokenGate`], which scales and removes tokens.
//!
//! The other layers carry the names and the fields of Burn's own, so that checkpoints load into them alike. They differ
//! where slimming needs it: a [`LayerNorm`] remembers its original width, and the layers of a branch work at size 0.

mod conv;
pub(crate) mod draw;
mod drop_path;
mod dropout;
mod head_layout;
mod init;
mod layer_norm;
mod linear;
mod precision;
mod product;
mod token_gate;

pub use conv::{Conv2d, Conv2dConfig};
pub use drop_path::DropPath;
pub use dropout::Dropout;
pub use head_layout::HeadLayout;
pub use init::normal;
pub use layer_norm::{LayerNorm, LayerNormConfig};
pub use linear::{Gelu, Linear, LinearConfig};
pub use precision::Precision;
pub use token_gate::TokenGate;
