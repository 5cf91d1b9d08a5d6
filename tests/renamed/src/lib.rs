//! A crate that calls vitslim-core by a name of its own, which the derive must find in its `Cargo.toml`.

#![deny(warnings, missing_docs)]

use vs::prelude::*;

/// An MLP.
#[derive(Module, Debug, Slimmable)]
pub struct Mlp {
    /// To the hidden units.
    #[slim(output = [hidden])]
    pub fc1: Linear,
    /// Back from them.
    #[slim(input = [hidden], gate)]
    pub fc2: Linear,
}

/// A block around any branch.
#[derive(Module, Debug, Slimmable)]
pub struct Block<B: Module> {
    /// The branch.
    #[slim]
    pub branch: B,
}

#[cfg(test)]
mod tests {
    use vs::slim::describe;

    use super::*;

    #[test]
    fn the_derive_finds_vitslim_by_its_new_name() {
        let device = Device::flex();
        let mlp =
            Mlp { fc1: LinearConfig::new(2, 6).init(&device), fc2: LinearConfig::new(6, 2).init(&device) };
        let dimensions = describe(&Block { branch: mlp }).unwrap();
        assert_eq!((dimensions[0].path.as_str(), dimensions[0].units()), ("branch.hidden", 6));
    }
}
