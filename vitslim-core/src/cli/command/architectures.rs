use clap::Args;

use crate::cli::print::print;
use crate::cli::registry::Registry;
use crate::report::Architectures;

/// Lists the architectures that an experiment can name, with their presets and dimensions.
#[derive(Debug, Args)]
pub struct ArchitecturesArgs {
    /// Prints JSON instead of a list.
    #[arg(long)]
    json: bool,
}

/// Lists the architectures of `registry`.
pub fn architectures(registry: &Registry, args: &ArchitecturesArgs) -> miette::Result<()> {
    print(args.json, &Architectures { architectures: registry.listed() }, Architectures::list)
}
