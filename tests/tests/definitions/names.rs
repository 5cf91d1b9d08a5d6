//! Raw names, names that the derive writes itself, names from a macro, and fields behind a `cfg`. Nothing is imported:
//! the derive names everything in full.

use burn::module::Module;

use vitslim_core::nn::Linear;

/// Keywords.
#[derive(Module, Debug, vitslim_core::slim::Slimmable)]
pub struct Raw {
    #[slim(output = [r#match], gate)]
    r#type: Linear,
    #[slim(input = [r#match])]
    r#fn: Linear,
}

/// Fields with names that the derive writes, as far as Burn's own derive can bear them (it cannot bear `mapper`).
#[derive(Module, Debug, vitslim_core::slim::Slimmable)]
pub struct Clash {
    #[slim(output = [mapper], gate)]
    field: Linear,
    #[slim(input = [mapper])]
    self_: Linear,
    #[slim]
    vitslim_core: Raw,
    width: usize,
}

/// Some of it is not there.
#[derive(Module, Debug, vitslim_core::slim::Slimmable)]
pub struct Configured {
    #[cfg_attr(true, slim(output = [hidden], gate))]
    fc1: Linear,
    #[cfg(true)]
    #[slim(input = [hidden])]
    fc2: Linear,
    #[cfg(false)]
    #[slim(input = [hidden], unknown)]
    gone: Linear,
    #[cfg_attr(false, slim(unknown))]
    plain: Linear,
    #[cfg(true)]
    #[slim]
    raw: Raw,
}

macro_rules! mlp {
    ($name:ident, $hidden:ident, $count:literal, $layer:ty) => {
        /// From a macro.
        #[derive(Module, Debug, vitslim_core::slim::Slimmable)]
        pub struct $name {
            #[slim(output = [$count, $hidden], gate)]
            fc1: $layer,
            #[slim(input = [$hidden])]
            fc2: $layer,
        }
    };
}

mlp!(FromMacro, hidden, 2, Linear);
