//! Structs without dimensions, which say so, in the place of others that have some.

use vitslim_core::prelude::*;
use vitslim_core::slim::describe;

use crate::mlp::Mlp;

/// Has parameters, and no dimensions.
#[derive(Module, Debug, Slimmable)]
#[slim(none)]
pub struct Fixed {
    fc: Linear,
}

/// Has no parameters either.
#[derive(Module, Debug, Slimmable)]
#[slim(none)]
pub struct Pooling {
    size: usize,
}

/// A block with a mixer of any kind.
#[derive(Module, Debug, Slimmable)]
pub struct Block<M: Module> {
    #[slim]
    mixer: M,
    norm: LayerNorm,
}

fn slimmable<T: Slimmable>() {}

#[test]
fn nothing_is_slimmable_too() {
    slimmable::<Block<Mlp>>();
    slimmable::<Block<Fixed>>();
    let norm = LayerNormConfig::new(2).init(&Device::flex());
    let block = Block { mixer: Pooling { size: 3 }, norm };
    assert_eq!(describe(&block), Ok(Vec::new()));
    assert_eq!(block.mixer.size, 3);
}
