//! What is told of a run, of its networks and of devices: as tables, and as JSON that tools read.

mod architectures;
mod benchmark;
mod check;
mod devices;
mod evaluation;
mod experiment_check;
mod listing;
mod plan;
mod reason;
mod run_state;
mod summary;
mod sweep;
mod table;

pub use architectures::{Architectures, ListedArchitecture, ListedDimension};
pub use benchmark::{BenchedExperiment, BenchedNetwork, Benchmark, Spread, Timing};
pub use check::{CheckReport, SelftestReport};
pub use devices::{Cpu, Cuda, CudaDevice, Devices};
pub use evaluation::{ClassEvaluation, Evaluation};
pub use experiment_check::{CheckedCarrier, CheckedData, CheckedDimension, ExperimentCheck};
pub use listing::{ListedRun, Listing};
pub use plan::{PlannedStage, PlannedSubnet, PlannedTrial, SweepPlan};
pub use reason::Reason;
pub use run_state::RunState;
pub use summary::{BudgetSummary, DenseSummary, SearchSummary, Seconds, SubnetSummary, Summary};
pub use sweep::{SweepReport, TrialReport};
pub use table::table;
