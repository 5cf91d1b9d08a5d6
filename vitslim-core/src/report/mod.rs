//! What is told of a run: its summary, the table that it ends with, and event files for TensorBoard.

mod summary;
mod table;
mod tensorboard;

pub use summary::{BudgetSummary, DenseSummary, SearchSummary, Seconds, SubnetSummary, Summary};
pub use table::table;
pub use tensorboard::{Point, PointValue, write_events};
