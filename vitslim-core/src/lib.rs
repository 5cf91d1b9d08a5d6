//! vitslim searches the smaller Vision Transformer inside a trained one, and cuts it out.
//!
//! - [`slim`]: dimensions, masks, gating and slicing, for any Burn model with `#[derive(Slimmable)]`.
//! - [`nn`]: the layers that models are written with.
//! - [`models`]: the architectures that come with it.

// The derive writes `::vitslim_core::...`, also inside this crate.
extern crate self as vitslim_core;

pub mod data;
pub mod graph;
pub mod models;
pub mod nn;
pub mod slim;

/// What a model file needs.
pub mod prelude {
    pub use crate::models::{Architecture, ConfigError, Logits};
    pub use crate::nn::*;
    pub use crate::slim::Slimmable;
}
