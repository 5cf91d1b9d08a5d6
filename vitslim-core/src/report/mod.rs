//! What is told of a run: its summary, and the table that it ends with.

mod summary;
mod table;

pub use summary::{BudgetSummary, DenseSummary, SearchSummary, Seconds, SubnetSummary, Summary};
pub use table::table;
