use burn::module::{Module, Param};
use burn::tensor::Tensor;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Positions {
    #[slim(axis = [width], gate)]
    missing: Param<Tensor<3>>,
    #[slim(axis() = [width])]
    empty: Param<Tensor<3>>,
    #[slim(axis(last) = [width])]
    name: Param<Tensor<3>>,
    #[slim(axis(-1) = [width])]
    negative: Param<Tensor<3>>,
}

fn main() {}
