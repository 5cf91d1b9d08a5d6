//! Several layers in one field, and parts of a tuple.

use vitslim_core::prelude::*;
use vitslim_core::slim::describe;

/// A list of each kind, of layers that all have the same axes.
#[derive(Module, Debug, Slimmable)]
pub struct Lists {
    #[slim(output = [hidden], gate)]
    many: Vec<Linear>,
    #[slim(input = [hidden], output = [copies, inner], gate)]
    maybe: Option<Linear>,
    #[slim(axis(0) = [inner])]
    scales: [Param<Tensor<1>>; 2],
    #[slim(input = [inner])]
    pair: (Linear, Option<Linear>),
    #[slim(input = [hidden])]
    nested: [Vec<Option<Linear>>; 2],
    copies: usize,
}

/// Parts of a tuple with axes of their own, and one without, in a list; the layers are of any type that has these axes.
#[derive(Module, Debug, Slimmable)]
pub struct Parts<N: Module, const COUNT: usize> {
    #[slim(0(output = [hidden], gate), 2(output = [hidden], gate))]
    write: (Linear, Gelu, N),
    #[slim(1(input = [hidden]))]
    #[slim(0(input = [hidden]))]
    read: Vec<Option<(Linear, Linear)>>,
    #[slim(output = [hidden])]
    norms: [N; COUNT],
}

/// Fields with names that the derive might write, in a list and a tuple.
#[derive(Module, Debug, Slimmable)]
pub struct Clash {
    #[slim(output = [index, part0], gate)]
    part1: (Vec<Linear>, Linear),
    #[slim(input = [part0, index])]
    layer: Vec<Linear>,
    index: usize,
}

#[test]
fn each_layer_has_the_path_that_burn_gives_it() {
    let device = Device::flex();
    let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(&device);
    let scale = || Param::from_tensor(Tensor::ones([4], &device));
    let lists = Lists {
        many: vec![linear(3, 5), linear(3, 5)],
        maybe: Some(linear(5, 8)),
        scales: [scale(), scale()],
        pair: (linear(4, 1), Some(linear(4, 1))),
        nested: [vec![None, Some(linear(5, 1))], vec![]],
        copies: 2,
    };
    let found: Vec<_> = describe(&lists)
        .expect("sizes that agree")
        .into_iter()
        .map(|dimension| {
            let carriers = dimension.carriers.into_iter().map(|carrier| carrier.layer);
            (dimension.path, carriers.collect::<Vec<_>>().join(" "))
        })
        .collect();
    let expected =
        [("hidden", "many.0 many.1 maybe nested.0.1"), ("inner", "maybe scales.0 scales.1 pair.0 pair.1")];
    assert_eq!(found, expected.map(|(path, carriers)| (path.to_owned(), carriers.to_owned())));
}
