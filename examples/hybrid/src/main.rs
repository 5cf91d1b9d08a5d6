//! `vitslim` with one more architecture.

mod attention;
mod config;
mod mbconv;
mod net;

use std::process::ExitCode;

use vitslim_core::cli::{self, Allocator, Registry};

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> ExitCode {
    cli::main(Registry::builtin().with::<net::CoAtNet>("coatnet"))
}
