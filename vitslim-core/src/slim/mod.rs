//! The idea itself: dimensions of a model, masks on them, gating by the masks, and slicing by a plan. Knows no
//! architecture.
//!
//! | what | file |
//! | --- | --- |
//! | what a layer must be able to do | `layer` |
//! | the heads of an attention, the tokens and the branches of a block | `head_layout`, `token_gate`, `branch_gate` |
//! | the traversal of a model | `mapper`, `scope`, `bounds`, `several` |
//! | what is in a branch | `branches` |
//! | which feature of a layer belongs to which unit | `axis`, `resolve`, `kept` |
//! | the dimensions that a model has | `dimension`, `describe` |
//! | a learnable mask for each searched dimension | `mask` |
//! | weights multiplied by masks | `gate` |
//! | trained masks and shares make a plan | `rank`, `order`, `plan` |
//! | trained masks and a limit on the network make one | `fit` |
//! | kept counts rounded to multiples of 8 | `round` |
//! | the sub-network that a plan leaves | `slice` |
//! | the order of its heads, in files and in computing | `head_order` |
//! | what a model can do with all that | `slimmable`, `masked_model` |
//! | how training treats the parameters of a field | `treatment` |
//! | what a unit costs | `count` |

mod axis;
mod bounds;
mod branch_gate;
mod branches;
mod count;
mod describe;
mod dimension;
mod fit;
mod gate;
mod head_layout;
mod head_order;
mod kept;
mod layer;
mod mapper;
mod mask;
mod masked_model;
mod order;
mod plan;
mod rank;
mod rank_error;
mod resolve;
mod round;
mod scope;
mod several;
mod slice;
mod slimmable;
mod token_gate;
mod treatment;

pub(crate) use axis::Features;
pub use axis::{AxisDimension, DimensionAxis};
#[doc(hidden)]
pub use bounds::{HasAxis, Is, IsModule};
pub use branch_gate::BranchGate;
pub use count::parameters_per_unit;
pub use describe::DimensionError;
pub use dimension::{Carrier, Dimension, DimensionKind};
pub use fit::{Fitting, RankingRule, Usage};
pub use head_layout::{HeadLayout, LaidOut};
pub use head_order::{heads_as_planned, heads_by_size};
pub(crate) use kept::Kept;
pub(crate) use layer::index_tensor;
pub use layer::{Axis, Input, Output, Side, SlimLayer, scale_param, select_param};
pub use mapper::{DimensionMapper, End};
pub use mask::{Activation, Granularity, Mask, MaskSet, MaskSpec};
pub use masked_model::Slim;
pub use order::{Floor, Floors};
pub(crate) use plan::settle;
pub use plan::{Cut, CutTokens, NormStatistics, Plan, PlanError, Sizes};
pub use rank::{Ranking, kept_count, rank, rank_sparing, thin_tokens};
pub(crate) use rank::{can_leave_tokens, keep_a_token, leaves_tokens, spared};
pub use rank_error::RankError;
pub use resolve::Factor;
pub use round::round;
#[doc(hidden)]
pub use scope::Lent;
pub use scope::Scope;
#[doc(hidden)]
pub use several::Several;
pub use slimmable::{Slimmable, describe};
pub(crate) use slimmable::{mapped, scaled_everywhere};
pub use token_gate::TokenGate;
pub use treatment::Treatment;
pub use vitslim_macros::Slimmable;
