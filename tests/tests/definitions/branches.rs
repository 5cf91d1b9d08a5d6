//! Branches that nested structs have, and what they may not have.

use burn::tensor::Device;
use vitslim_core::prelude::*;
use vitslim_core::slim::{DimensionError, Plan, PlanError, describe};

#[derive(Module, Debug, Slimmable)]
struct Endless {
    #[slim(output = [hidden])]
    fc1: Linear,
    #[slim(input = [hidden], gate)]
    fc2: Linear,
}

#[derive(Module, Debug, Slimmable)]
struct Tokens {
    #[slim(tokens)]
    tokens: TokenGate,
    #[slim(end)]
    fc: Linear,
}

#[derive(Module, Debug, Slimmable)]
struct Mlp {
    #[slim(output = [hidden])]
    fc1: Linear,
    #[slim(input = [hidden], gate, end)]
    fc2: Linear,
}

/// One branch, and all of it.
#[derive(Module, Debug, Slimmable)]
struct Block<M: Module> {
    norm: Option<LayerNorm>,
    #[slim]
    inner: Option<M>,
    #[slim(branch = [norm, inner])]
    branch: BranchGate,
}

impl<M: Module> Block<M> {
    fn of(inner: Option<M>) -> Self {
        let norm = inner.is_some().then(|| LayerNormConfig::new(2).init(&Device::flex()));
        Self { norm, inner, branch: BranchGate::new() }
    }
}

fn linear(inputs: usize, outputs: usize) -> Linear {
    LinearConfig::new(inputs, outputs).init(&Device::flex())
}

fn mlp() -> Mlp {
    Mlp { fc1: linear(2, 3), fc2: linear(3, 2) }
}

#[test]
fn a_branch_has_a_layer_at_its_end_and_no_token_gate() {
    let endless = Block::of(Some(Endless { fc1: linear(2, 3), fc2: linear(3, 2) }));
    assert_eq!(describe(&endless).unwrap_err(), DimensionError::Endless { path: "branch".to_owned() });
    let tokens = Block::of(Some(Tokens { tokens: TokenGate::new(4, 1), fc: linear(2, 2) }));
    let inside =
        DimensionError::TokensInside { gate: "inner.tokens".to_owned(), branch: "branch".to_owned() };
    assert_eq!(describe(&tokens).unwrap_err(), inside);
    // A configuration may leave all its layers out.
    let empty = describe(&Block::<Mlp>::of(None)).unwrap();
    assert_eq!(empty.iter().map(|of| (of.path.as_str(), of.units())).collect::<Vec<_>>(), [("branch", 0)]);
}

#[test]
fn a_plan_keeps_nothing_of_a_branch_that_it_cuts_and_an_old_one_names_none() {
    let block = Block::of(Some(mlp()));
    let dimensions = describe(&block).unwrap();
    let mut plan = Plan::whole(&dimensions);
    plan.get_mut("branch").unwrap().keep.clear();
    let inside = PlanError::Inside { dimension: "inner.hidden".to_owned(), branch: "branch".to_owned() };
    assert_eq!(block.slim(&plan).unwrap_err(), inside);
    plan.get_mut("inner.hidden").unwrap().keep.clear();
    assert_eq!(block.slim(&plan).unwrap().num_params(), 0);

    let mut old = Plan::whole(&dimensions);
    old.cuts.retain(|cut| cut.dimension != "branch");
    let kept = block.slim(&old).unwrap();
    assert_eq!((kept.num_params(), kept.branch.is_cut()), (block.num_params(), false));
    old.cuts.clear();
    assert_eq!(block.slim(&old).unwrap_err(), PlanError::MissingDimension("inner.hidden".to_owned()));
}
