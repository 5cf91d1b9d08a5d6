//! The real binary, on real data, in a temporary folder.

mod data;
mod refusals;
mod results;
mod resume;
mod training;
mod workspace;
