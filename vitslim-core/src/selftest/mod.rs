//! `vitslim selftest`: checks vitslim's claims on a device. These are checks of vitslim's own tests, in the binary, so that
//! they run on any machine.
//!
//! A check is a function of the device under test. It returns what it measured, or what is wrong. The values that it
//! compares with come with the binary or are computed on the CPU.

mod against_stock;
mod check;
mod comparison;
mod configs;
mod draw;
mod failure;
mod group;
mod layers;
mod macs;
mod parameter_values;
pub mod parity;
mod pipeline;
pub mod slicing;
mod tolerance;

pub use check::{Check, Checked};
pub use comparison::Comparison;
pub use failure::Failure;
pub use group::{Group, selftest};
