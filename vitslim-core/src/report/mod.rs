//! What is told of a run and of its networks: as tables, as JSON that tools read, and as event files for TensorBoard.

mod benchmark;
mod evaluation;
mod summary;
mod table;
mod tensorboard;

pub use benchmark::{BenchedExperiment, BenchedNetwork, Benchmark, Spread, Timing};
pub use evaluation::{ClassEvaluation, Evaluation};
pub use summary::{BudgetSummary, DenseSummary, SearchSummary, Seconds, SubnetSummary, Summary};
pub use table::table;
pub use tensorboard::{Point, PointValue, write_events};
