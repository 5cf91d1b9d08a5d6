//! Architectures. Each is a file written as a researcher would write it, with the layers of [`crate::nn`] and
//! `#[derive(Slimmable)]`.

mod architecture;
mod vit;

pub use architecture::{Architecture, ConfigError, Logits};
pub use vit::{Attention, Block, Mlp, PatchEmbed, Vit, VitConfig};
