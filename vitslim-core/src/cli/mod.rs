//! The runner: one file a command.

mod allocator;
mod device;
mod registry;
mod run;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use device::{DeviceChoice, DeviceError};
pub use registry::Registry;

/// Searches the smaller Vision Transformer inside a trained one, and cuts it out.
#[derive(Debug, Parser)]
#[command(name = "vitslim", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArgs),
}

/// The whole runner for the architectures in `registry`. An author's `main` is one line:
/// `vitslim_core::cli::main(Registry::builtin().with::<MyVit>("my_vit"))`.
///
/// Exit codes: 0 when all went well, 1 when a run failed or was refused, 2 when the command line is wrong.
pub fn main(registry: Registry) -> ExitCode {
    allocator::keep_freed_memory();
    let result = match Cli::parse().command {
        Command::Run(args) => run::run(&registry, &args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(report) => {
            eprintln!("{report:?}");
            ExitCode::FAILURE
        }
    }
}
