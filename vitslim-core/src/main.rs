//! `vitslim`, the runner.

use std::process::ExitCode;

use vitslim_core::cli::{Registry, main as run};

fn main() -> ExitCode {
    run(Registry::builtin())
}
