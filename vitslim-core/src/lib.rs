//! vitslim searches the smaller Vision Transformer inside a trained one, and cuts it out.
//!
//! - [`slim`]: dimensions, masks, gating and slicing, for any Burn model with `#[derive(Slimmable)]`.
//! - [`nn`]: the layers that models are written with.
//! - [`models`]: the architectures that come with vitslim, and what a new one must do.
//! - [`graph`]: what is read off a model's forward pass.
//! - [`importance`]: what the units of a network are worth, without a search.
//! - [`export`]: networks for other programs.
//! - [`experiment`]: the RON language.
//! - [`check`]: an experiment and its architecture, before anything is trained.
//! - [`weights`]: trained networks from other programs, as the start of one of ours.
//! - [`selftest`]: what vitslim claims, checked on a device.
//! - `latency`: how long operations take.
//! - [`data`], [`train`], [`plan`], [`run`], [`mod@bench`], [`report`], [`page`], [`reference`], [`cli`]: what the runner does with it.

// The derive writes `::vitslim_core::...`, also inside this crate.
extern crate self as vitslim_core;

pub mod bench;
pub mod check;
pub mod cli;
pub mod data;
mod device;
pub mod experiment;
pub mod export;
pub mod graph;
pub mod importance;
mod input_file;
mod latency;
pub mod models;
pub mod nn;
pub mod page;
mod panics;
pub mod plan;
mod progress;
pub mod reference;
pub mod report;
pub mod run;
pub mod selftest;
pub mod slim;
mod terminal;
pub mod train;
pub mod values;
pub mod weights;
mod whole_file;

/// What the file of a model needs.
pub mod prelude {
    pub use burn::module::{Module, Param};
    pub use burn::tensor::{Device, Tensor};

    pub use crate::models::{Architecture, ConfigError, Features, Logits, Patches};
    pub use crate::nn::*;
    pub use crate::slim::Slimmable;
}

/// Compiles and runs the Rust of the documents.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../README.md")]
    struct Readme;
    #[doc = include_str!("../../docs/architectures.md")]
    struct Architectures;
    #[doc = include_str!("../../docs/recipes.md")]
    struct Recipes;
    #[doc = include_str!("../../docs/running.md")]
    struct Running;
}
