use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
#[slim(contracted = [qk, qk], outer = [width], contracted = [width])]
struct Twice {
    #[slim(input = [width], output = [qk], gate)]
    q: Linear,
    #[slim(output = [qk])]
    k: Linear,
}

#[derive(Module, Debug, Slimmable)]
#[slim(contracted = [qk, keys])]
struct Other {
    #[slim(output = [qk], gate)]
    q: Linear,
    #[slim(output = [qk])]
    k: Linear,
}

#[derive(Module, Debug, Slimmable)]
#[slim(contracted = [qk, 3])]
struct Number {
    #[slim(output = [qk], gate)]
    q: Linear,
}

#[derive(Module, Debug, Slimmable)]
#[slim(contracted = [qk])]
struct Ungated {
    #[slim(output = [qk])]
    q: Linear,
    #[slim(output = [qk])]
    k: Linear,
}

#[derive(Module, Debug, Slimmable)]
#[slim(contracted = [qk])]
struct InLayout {
    #[slim(output = [heads, qk + qk + v], gate)]
    qkv: Linear,
    #[slim(layout = [heads, qk, v])]
    heads: HeadLayout,
    #[slim(input = [heads, v])]
    proj: Linear,
}

#[derive(Module, Debug, Slimmable)]
struct ValuesUnread {
    #[slim(output = [heads, qk + qk + v], gate)]
    qkv: Linear,
    #[slim(layout = [heads, qk, v])]
    heads: HeadLayout,
}

#[derive(Module, Debug, Slimmable)]
struct Borrowing {
    #[slim(contracted = [qk])]
    q: Linear,
}

fn main() {}
