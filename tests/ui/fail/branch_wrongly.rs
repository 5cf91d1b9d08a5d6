use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
#[slim(none)]
struct Mlp {
    fc: Linear,
}

#[derive(Module, Debug, Slimmable)]
struct Lists {
    norm: LayerNorm,
    #[slim]
    mlp: Mlp,
    #[slim(tokens)]
    tokens: TokenGate,
    #[slim(branch = [nrm, mlp])]
    misspelt: BranchGate,
    #[slim(branch = [norm, mlp, norm])]
    twice: BranchGate,
    #[slim(branch = [mlp, itself])]
    itself: BranchGate,
    #[slim(branch = [mlp, tokens])]
    has_tokens: BranchGate,
    #[slim(branch = [mlp, twice])]
    has_a_branch: BranchGate,
}

#[derive(Module, Debug, Slimmable)]
struct Reads {
    #[slim]
    mlp: Mlp,
    #[slim(branch)]
    nothing: BranchGate,
    #[slim(branch = [])]
    empty: BranchGate,
    #[slim(branch = mlp)]
    no_list: BranchGate,
    #[slim(branch = [mlp.fc])]
    path: BranchGate,
    #[slim(branch = [2, mlp])]
    count: BranchGate,
}

#[derive(Module, Debug, Slimmable)]
struct Types {
    #[slim]
    mlp: Mlp,
    #[slim(branch = [mlp])]
    gate: Linear,
    #[slim(branch = [mlp])]
    several: Vec<BranchGate>,
    #[slim]
    bare: BranchGate,
    #[slim(branch = [mlp], no_decay)]
    treated: BranchGate,
}

#[derive(Module, Debug, Slimmable)]
struct Endless {
    #[slim(output = [hidden])]
    fc1: Linear,
    #[slim(input = [hidden], gate)]
    fc2: Linear,
    #[slim(branch = [fc1, fc2])]
    branch: BranchGate,
}

#[derive(Module, Debug, Slimmable)]
struct Named {
    #[slim(output = [hidden])]
    fc1: Linear,
    #[slim(input = [hidden], gate, end)]
    fc2: Linear,
    #[slim(branch = [fc1, fc2])]
    hidden: BranchGate,
}

fn main() {}
