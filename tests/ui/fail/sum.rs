use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Mlp {
    #[slim(output = [a], gate)]
    fc1: Linear,
    #[slim(output = [b], gate)]
    fc2: Linear,
    #[slim(input = [a + ])]
    empty_term: Linear,
    #[slim(input = [+ a])]
    no_first_term: Linear,
    #[slim(input = [a + ()])]
    parentheses: Linear,
    #[slim(input = [a + (2 b)])]
    missing_comma: Linear,
    #[slim(input = [a - b])]
    other_sign: Linear,
    #[slim(input = [a + 2 * b])]
    product: Linear,
    #[slim(input = [a + [b]])]
    brackets: Linear,
    #[slim(input = [a + 0 + "b"])]
    terms: Linear,
}

fn main() {}
