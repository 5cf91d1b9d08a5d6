//! Reports on runs, networks, checks and devices: as tables, and as JSON for tools.

mod architectures;
mod benchmark;
mod checked_parameters;
mod checked_teacher;
mod comparison;
mod counts;
mod devices;
mod differences;
mod evaluation;
mod experiment_check;
mod frontier;
mod listing;
mod loader;
mod pareto;
mod plan;
mod profile;
mod reason;
mod run_state;
mod scaled_rate;
mod selftest;
mod spare;
mod step_cost;
mod summary;
mod sweep;
mod table;
mod vit_slim;

pub use architectures::{Architectures, ListedArchitecture, ListedDimension};
pub use benchmark::{BenchedExperiment, BenchedNetwork, Benchmark, Spread, Timing};
pub use checked_parameters::{CheckedLayer, CheckedParameters, CheckedTensors};
pub use checked_teacher::{CheckedTeacher, CheckedTeacherNetwork};
pub use comparison::{ComparedNetwork, Comparison};
pub use counts::{Counted, CountedLayer, CountedNetwork};
pub use devices::{Cpu, Cuda, CudaDevice, Devices};
pub use differences::{Difference, differences, differences_of_known};
pub use evaluation::{ClassEvaluation, Evaluation};
pub use experiment_check::{
    CheckedCarrier, CheckedData, CheckedDimension, CheckedWeights, ExperimentCheck, Fingerprints,
};
pub use frontier::{Frontier, FrontierPoint};
pub use listing::{ListedRun, Listing};
pub use loader::{BenchedLoader, LoaderBenchmark};
pub use pareto::{Measured, pareto};
pub use plan::{PlannedLimit, PlannedMemory, PlannedStage, PlannedSubnet, PlannedTrial, SweepPlan};
pub use profile::{Profile, ProfiledNetwork, ProfiledOperation, ProfiledStep};
pub use reason::Reason;
pub use run_state::RunState;
pub use scaled_rate::ScaledRate;
pub use selftest::{CheckReport, SelftestReport};
pub use spare::{Spare, SpareFolder};
pub use step_cost::{CostlyNetwork, StepCost, StepCosts};
pub use summary::{
    BudgetSummary, DenseSummary, LatencySummary, SearchSummary, Seconds, SubnetSummary, Summary,
};
pub(crate) use sweep::written;
pub use sweep::{SweepReport, TrialReport};
pub(crate) use table::short;
pub use table::table;
pub use vit_slim::{VitSlimCounted, VitSlimNetwork, VitSlimPart};
