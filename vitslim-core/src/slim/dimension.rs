//! The dimensions of a model.

/// A dimension of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dimension {
    /// Where it lives: `blocks.3.attn.head_dim`.
    pub path: String,
    /// What its units are.
    pub kind: DimensionKind,
    /// Units of each group (of each head, say); one group for a dimension that is not grouped.
    pub groups: Vec<usize>,
    /// The layers that carry it, in the order of the traversal.
    pub carriers: Vec<Carrier>,
}

/// What the units of a dimension are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DimensionKind {
    /// Features of layers.
    Features,
    /// Token positions at a [`TokenGate`], without its prefix tokens.
    Tokens {
        /// Number of prefix tokens that stand before the units.
        prefix: usize,
        /// Whether tokens were cut here before.
        sliced: bool,
    },
}

/// A layer's axis along which a dimension lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carrier {
    /// Path of the layer: `blocks.3.attn.qkv`.
    pub layer: String,
    /// Which side: `input`, `output`, `axis(2)`.
    pub side: String,
    /// Features of that side that belong to one unit.
    pub features_per_unit: usize,
    /// Whether the dimension's mask multiplies here.
    pub gated: bool,
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

    /// The last part of the path, by which experiments name the dimension: `head_dim`.
    pub fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or(&self.path)
    }
}
