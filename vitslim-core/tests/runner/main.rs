//! The real binary, on real data, in a temporary folder.

mod data;
mod refusals;
mod results;
mod resume;
mod terminal;
mod trouble;
mod workspace;
