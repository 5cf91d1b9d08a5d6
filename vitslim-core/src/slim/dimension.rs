//! The dimensions of a model.

/// A dimension of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dimension {
    /// Path in the model: `blocks.3.attn.head_dim`.
    pub path: String,
    /// What its units are.
    pub kind: DimensionKind,
    /// Units of each group, of each head for instance; a dimension that is not grouped has one group.
    pub groups: Vec<usize>,
    /// The layers that carry it, in the order of the traversal; of a branch, those at its end.
    pub carriers: Vec<Carrier>,
}

/// What the units of a dimension are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DimensionKind {
    /// Features of layers.
    Features,
    /// Token positions at a [`TokenGate`](super::TokenGate), without its prefix tokens.
    Tokens {
        /// Number of prefix tokens before the units.
        prefix: usize,
        /// For each unit, its number among the prunable tokens of the dense network: its own, unless tokens have been cut.
        numbers: Vec<usize>,
    },
    /// One unit: a residual branch, with all that only this branch uses.
    Branch,
}

/// A layer's side that a dimension runs along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carrier {
    /// Path of the layer: `blocks.3.attn.qkv`.
    pub layer: String,
    /// `input`, `output` or `axis(2)`.
    pub side: String,
    /// Features of the side that belong to one unit.
    pub features_per_unit: usize,
    /// Whether the dimension's mask multiplies here.
    pub gated: bool,
    /// Paths of the branches that have the layer: it goes with any of them.
    pub branches: Vec<String>,
}

impl Dimension {
    /// Number of prunable units.
    pub fn units(&self) -> usize {
        self.groups.iter().sum()
    }

    /// Whether its units are token positions.
    pub fn is_tokens(&self) -> bool {
        matches!(self.kind, DimensionKind::Tokens { .. })
    }

    /// Whether it is a residual branch.
    pub fn is_branch(&self) -> bool {
        self.kind == DimensionKind::Branch
    }

    /// The numbers of its units among the prunable tokens of the dense network, ascending; `None` if they are no tokens.
    pub fn tokens(&self) -> Option<&[usize]> {
        match &self.kind {
            DimensionKind::Tokens { numbers, .. } => Some(numbers),
            DimensionKind::Features | DimensionKind::Branch => None,
        }
    }

    /// The last part of the path, which experiments name the dimension by: `head_dim`.
    pub fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or(&self.path)
    }
}
