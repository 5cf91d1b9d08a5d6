//! `vitslim`, the runner.

use std::process::ExitCode;

use vitslim_core::cli::{Allocator, Registry, main as run};

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> ExitCode {
    run(Registry::builtin())
}
