//! Branches that can be cut, and what is none.

use burn::tensor::activation::{gelu, sigmoid};
use vitslim_core::prelude::*;

use super::features::HIDDEN;
use super::net::{Part, Planted, WIDTH, checked_part, linear};

/// The mistakes of this file.
pub const PLANTED: &[Planted] = &[
    (
        "a branch that is read elsewhere",
        checked_part::<Branch<READ_ELSEWHERE>>,
        &[
            "`blocks.0.branch` (and 1 like it): with some of `blocks.*.branch` cut, the forward pass fails",
            "`BranchGate::add`",
        ],
    ),
    (
        "a sigmoid behind the end",
        checked_part::<Branch<SIGMOID_BEHIND>>,
        &[
            "`blocks.0.branch`",
            "the one with `blocks.0.fc2` multiplied by 0 differ",
            "nothing behind it that adds to it",
        ],
    ),
    (
        "a branch that is added by hand",
        checked_part::<Branch<ADDED_BY_HAND>>,
        &["`blocks.0.branch`", "the forward pass fails", "self.attn_branch.add(x, |x|"],
    ),
    (
        "an end before the last layer",
        checked_part::<EndsEarly>,
        &["`blocks.0.branch`", "multiplied by 0 differ", "does `blocks.0.fc2` compute all"],
    ),
    (
        "a field that the other branch uses too",
        checked_part::<Shared>,
        &["`blocks.0.branch`", "multiplied by 0 differ", "list only fields that nothing else uses"],
    ),
];

pub const SOUND: usize = 0;
pub const READ_ELSEWHERE: usize = 1;
pub const SIGMOID_BEHIND: usize = 2;
pub const ADDED_BY_HAND: usize = 3;

/// An MLP in a branch, by which some are no branch.
#[derive(Module, Debug, Slimmable)]
pub struct Branch<const HOW: usize> {
    norm: LayerNorm,
    #[slim(output = [hidden])]
    fc1: Linear,
    #[slim(input = [hidden], gate, end)]
    fc2: Linear,
    #[slim(branch = [norm, fc1, fc2])]
    branch: BranchGate,
}

impl<const HOW: usize> Branch<HOW> {
    fn mlp(&self, x: Tensor<3>) -> Tensor<3> {
        self.fc2.forward(gelu(self.fc1.forward(self.norm.forward(x))))
    }
}

impl<const HOW: usize> Part for Branch<HOW> {
    fn new(device: &Device) -> Self {
        Self {
            norm: LayerNormConfig::new(WIDTH).init(device),
            fc1: linear(WIDTH, HIDDEN, device),
            fc2: linear(HIDDEN, WIDTH, device),
            branch: BranchGate::new(),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        match HOW {
            READ_ELSEWHERE => self.branch.add(x.clone(), |x| self.mlp(x)) * (self.mlp(x) + 1.0),
            SIGMOID_BEHIND => self.branch.add(x, |x| sigmoid(self.mlp(x))),
            ADDED_BY_HAND => x.clone() + self.mlp(x),
            _ => self.branch.add(x, |x| self.mlp(x)),
        }
    }
}

/// Marks a layer that is not the last.
#[derive(Module, Debug, Slimmable)]
pub struct EndsEarly {
    #[slim(output = [hidden])]
    fc1: Linear,
    #[slim(input = [hidden], gate, end)]
    fc2: Linear,
    fc3: Linear,
    #[slim(branch = [fc1, fc2, fc3])]
    branch: BranchGate,
}

impl Part for EndsEarly {
    fn new(device: &Device) -> Self {
        Self {
            fc1: linear(WIDTH, HIDDEN, device),
            fc2: linear(HIDDEN, WIDTH, device),
            fc3: linear(WIDTH, WIDTH, device),
            branch: BranchGate::new(),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.branch.add(x, |x| self.fc3.forward(self.fc2.forward(gelu(self.fc1.forward(x)))))
    }
}

/// Two MLPs side by side behind one norm, each a branch, and both one; with a factor and a path of its own to add to.
#[derive(Module, Debug, Slimmable)]
pub struct Parallel {
    norm: LayerNorm,
    #[slim(output = [wide])]
    fc1: Linear,
    #[slim(input = [wide], gate, end)]
    fc2: Linear,
    #[slim(output = [narrow], gate)]
    fc3: Linear,
    #[slim(input = [narrow], end)]
    fc4: Option<Linear>,
    #[slim(end)]
    token: Param<Tensor<3>>,
    scale: Param<Tensor<1>>,
    shortcut: Linear,
    #[slim(branch = [fc1, fc2, scale])]
    wide_branch: BranchGate,
    #[slim(branch = [fc3, fc4, token])]
    narrow_branch: BranchGate,
    #[slim(branch = [norm, fc1, fc2, scale, fc3, fc4, token])]
    both: BranchGate,
}

impl Part for Parallel {
    fn new(device: &Device) -> Self {
        Self {
            norm: LayerNormConfig::new(WIDTH).init(device),
            fc1: linear(WIDTH, HIDDEN, device),
            fc2: linear(HIDDEN, WIDTH, device),
            fc3: linear(WIDTH, 3, device),
            fc4: Some(linear(3, WIDTH, device)),
            token: normal([1, 1, WIDTH], 0.5, device),
            scale: normal([WIDTH], 0.5, device),
            shortcut: linear(WIDTH, WIDTH, device),
            wide_branch: BranchGate::new(),
            narrow_branch: BranchGate::new(),
            both: BranchGate::new(),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let short = self.shortcut.forward(x.clone());
        if self.both.is_cut() {
            return short;
        }
        let read = self.norm.forward(x);
        let wide = |read| self.fc2.forward(gelu(self.fc1.forward(read))) * self.scale.val().unsqueeze();
        let narrow = |read| {
            let hidden = gelu(self.fc3.forward(read));
            self.fc4.as_ref().map_or_else(|| hidden.clone(), |fc4| fc4.forward(hidden.clone()))
                + self.token.val()
        };
        let x = self.wide_branch.add(short, |_| wide(read.clone()));
        self.narrow_branch.add(x, |_| narrow(read))
    }
}

/// Lists a norm that the other branch reads too.
#[derive(Module, Debug, Slimmable)]
pub struct Shared {
    norm: LayerNorm,
    #[slim(output = [hidden])]
    fc1: Linear,
    #[slim(input = [hidden], gate, end)]
    fc2: Linear,
    fc3: Linear,
    #[slim(branch = [norm, fc1, fc2])]
    branch: BranchGate,
}

impl Part for Shared {
    fn new(device: &Device) -> Self {
        Self {
            norm: LayerNormConfig::new(WIDTH).init(device),
            fc1: linear(WIDTH, HIDDEN, device),
            fc2: linear(HIDDEN, WIDTH, device),
            fc3: linear(WIDTH, WIDTH, device),
            branch: BranchGate::new(),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = self.branch.add(x, |x| self.fc2.forward(gelu(self.fc1.forward(self.norm.forward(x)))));
        x.clone() + self.fc3.forward(self.norm.forward(x))
    }
}
