//! What is told of a run, of its networks and of devices: as tables, and as JSON that tools read.

mod benchmark;
mod check;
mod devices;
mod evaluation;
mod summary;
mod table;

pub use benchmark::{BenchedExperiment, BenchedNetwork, Benchmark, Spread, Timing};
pub use check::{CheckReport, SelftestReport};
pub use devices::{Cpu, Cuda, CudaDevice, Devices};
pub use evaluation::{ClassEvaluation, Evaluation};
pub use summary::{BudgetSummary, DenseSummary, SearchSummary, Seconds, SubnetSummary, Summary};
pub use table::table;
