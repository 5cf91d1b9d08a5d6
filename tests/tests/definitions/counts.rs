//! Numbers in an axis: literals, `usize` fields and const parameters.

use vitslim_core::prelude::*;
use vitslim_core::slim::describe;

/// The neighbours that Swin's patch merging stacks, counted by a field, and a raw name.
#[derive(Module, Debug, Slimmable)]
pub struct PatchMerging {
    #[slim(output = [hidden], gate)]
    before: Linear,
    #[slim(input = [neighbours, hidden, r#type, 2usize])]
    reduction: Linear,
    neighbours: usize,
    r#type: usize,
}

/// The same, counted by a const parameter with a default.
#[derive(Module, Debug, Slimmable)]
pub struct Merging<const NEIGHBOURS: usize = 4> {
    #[slim(axis(0) = [hidden], gate)]
    before: Param<Tensor<1>>,
    #[slim(axis(0) = [NEIGHBOURS, hidden])]
    reduction: Param<Tensor<2>>,
}

#[test]
fn a_const_parameter_counts() {
    let device = Device::flex();
    let merging = Merging::<3> {
        before: Param::from_tensor(Tensor::ones([5], &device)),
        reduction: Param::from_tensor(Tensor::ones([15, 2], &device)),
    };
    let dimensions = describe(&merging).expect("sizes that agree");
    assert_eq!(dimensions[0].carriers[1].features_per_unit, 3);
}
