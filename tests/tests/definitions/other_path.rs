//! Vitslim found where the struct says.

use burn::module::Module;

/// A crate that passes vitslim on under another name.
pub mod facade {
    pub use vitslim_core as slimming;
}

/// Writes the derive for its user, who need not know where vitslim is.
macro_rules! mlp {
    ($name:ident) => {
        /// An MLP.
        #[derive(Module, Debug, $crate::other_path::facade::slimming::slim::Slimmable)]
        #[slim(crate = $crate::other_path::facade::slimming)]
        pub struct $name {
            #[slim(output = [hidden])]
            fc1: $crate::other_path::facade::slimming::nn::Linear,
            #[slim(input = [hidden], gate)]
            fc2: $crate::other_path::facade::slimming::nn::Linear,
        }
    };
}

mlp!(Mlp);

/// A generic struct, whose bounds have a path too.
#[derive(Module, Debug, facade::slimming::slim::Slimmable)]
#[slim(crate = facade::slimming, outer = [width])]
pub struct Block<N: Module> {
    #[slim(output = [width], gate)]
    norm: N,
    #[slim]
    mlp: Mlp,
}
