//! What vitslim claims, checked on a device: the same checks as in vitslim's own tests, in the binary itself, so that it can
//! be carried to any machine.
//!
//! A check is a function of the device under test. It tells what it measured, or what is wrong; what it compares with
//! comes with the binary or is computed on the CPU.

mod check;
mod comparison;
mod configs;
mod draw;
mod failure;
mod group;
mod layers;
mod macs;
pub mod parity;
mod pipeline;
pub mod slicing;

pub use check::{Check, Checked};
pub use comparison::Comparison;
pub use failure::Failure;
pub use group::{Group, selftest};
