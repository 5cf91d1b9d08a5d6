//! Architectures. Each is a file or a folder, written as a researcher would write it, with the layers of [`crate::nn`] and
//! `#[derive(Slimmable)]`.

mod architecture;
pub mod convnext;
mod deit;
mod limits;
mod parameter;
mod random;
pub mod swin;
pub mod vit;

pub use architecture::{Architecture, ConfigError, Features, Logits, Patches};
pub use convnext::{ConvNext, ConvNextConfig};
pub use deit::DistilledVit;
pub use parameter::{Parameter, SharedParameterError};
pub use random::random_model;
pub use swin::{Swin, SwinConfig};
pub use vit::{Attention, Block, Mlp, MlpConfig, PatchEmbed, Vit, VitConfig};
