//! Lists of nested fields, one in another.

use vitslim_core::prelude::*;

use crate::mlp::Mlp;

/// A list of each kind.
#[derive(Module, Debug, Slimmable)]
pub struct Lists {
    #[slim]
    many: Vec<Mlp>,
    #[slim]
    maybe: Option<Mlp>,
    #[slim]
    two: [Mlp; 2],
    #[slim]
    stages: [Vec<Option<Mlp>>; 4],
}

/// An array of any length of anything slimmable.
#[derive(Module, Debug, Slimmable)]
pub struct Stages<B: Module, const DEPTH: usize> {
    #[slim]
    stages: [B; DEPTH],
}

fn slimmable<T: Slimmable>() {}

#[test]
fn of_any_length() {
    slimmable::<Stages<Lists, 3>>();
}
