//! The speed of networks: a training step, a search step and inference, of dense networks and of sub-networks.

mod measure;
mod networks;
mod work;

pub use measure::{Limit, benchmark};
pub use networks::{BenchSetting, Source, networks};
pub use work::{Benched, Network, Work, WorkKind};
