//! The idea itself: dimensions of a model, masks on them, gating by the masks, and slicing by a plan. Knows no
//! architecture.
//!
//! | step | file |
//! | --- | --- |
//! | what a layer can do | `layer` |
//! | the traversal that the derive writes | `dimension`, `asked` |
//! | which dimensions a model has | `describe` |
//! | a learnable mask for each searched dimension | `mask` |
//! | weights multiplied by masks | `gate` |
//! | trained masks and a budget make a plan | `rank`, `plan` |
//! | what is left is a multiple of 8 | `round` |
//! | the sub-network that a plan leaves | `slice` |
//! | what a unit costs | `count` |

mod asked;
mod count;
mod describe;
mod dimension;
mod gate;
mod layer;
mod mask;
mod plan;
mod rank;
mod round;
mod slice;

#[doc(hidden)]
pub use asked::{HasAxis, Is, IsModule};
pub use count::parameters_per_unit;
pub use describe::{Carrier, Dimension, DimensionError, DimensionKind, describe};
pub use dimension::{DimensionAxis, DimensionMapper, Factor, Scope, Slimmable};
pub use gate::Slim;
pub use layer::{Axis, Input, Output, Side, SlimLayer, scale_param, select_param};
pub(crate) use mask::index_tensor;
pub use mask::{Activation, Granularity, Mask, MaskSet, MaskSpec};
pub use plan::{Cut, Plan, PlanError};
pub use rank::{RankError, Ranking, kept_count, rank};
pub(crate) use rank::{can_leave_tokens, drop_cut_tokens, keep_a_token, leaves_tokens};
pub use round::round;
pub use vitslim_macros::Slimmable;
