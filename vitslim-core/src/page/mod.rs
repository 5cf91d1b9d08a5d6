//! The page of a run or of a sweep: `report.html`, one file that loads nothing from elsewhere.
//!
//! A page is made of what lies in the folder, so it can be made of every run, complete or not. Nothing in it is about one architecture:
//! figures follow from the paths, the groups and the kinds of the dimensions.

mod accuracy;
mod curves;
mod error;
mod figure;
mod files;
mod front;
mod masks;
mod network;
mod parallel;
mod record;
mod render;
mod run;
mod samples;
mod scale;
mod shape;
mod sweep;
mod tokens;

pub use error::PageError;
pub use run::run_page;
pub use sweep::{is_sweep, runs_page, sweep_page};
