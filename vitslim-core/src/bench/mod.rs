//! The speed of networks: a training step, a search step and inference, of dense networks and of sub-networks; and of loaders.

mod loader;
mod measure;
mod networks;
mod work;

pub use loader::{LoaderSetting, loaders};
pub use measure::{Limit, benchmark};
pub use networks::{BenchSetting, Source, networks};
pub use work::{Benched, Network, Work, WorkKind};
