//! Measures of dense networks and of sub-networks: the speed of a training step, a search step and inference, and the size of each layer;
//! where the time of a step goes; what it asks of a GPU; and the speed of loaders.

#[cfg(any(feature = "cuda", feature = "native"))]
mod cost;
mod count;
mod loader;
mod measure;
mod networks;
mod profile;
mod work;

#[cfg(any(feature = "cuda", feature = "native"))]
pub use cost::costs;
pub use count::{count, count_as_vit_slim};
pub use loader::{LoaderSetting, loaders};
pub use measure::{Limit, benchmark};
pub use networks::{BenchSetting, Source, networks};
pub use profile::profile;
pub use work::{Benched, Network, Work, WorkKind};
