//! What is told of a run and of its networks: as tables, and as JSON that tools read.

mod benchmark;
mod check;
mod evaluation;
mod summary;
mod table;

pub use benchmark::{BenchedExperiment, BenchedNetwork, Benchmark, Spread, Timing};
pub use check::{CheckReport, SelftestReport};
pub use evaluation::{ClassEvaluation, Evaluation};
pub use summary::{BudgetSummary, DenseSummary, SearchSummary, Seconds, SubnetSummary, Summary};
pub use table::table;
