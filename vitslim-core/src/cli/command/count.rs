use std::path::PathBuf;

use clap::Args;

use super::bench::sources;
use crate::bench::Source;
use crate::cli::print::print;
use crate::cli::registry::Registry;
use crate::experiment::Document;
use crate::report::Counted;

/// Counts the parameters and the multiply-adds of networks: in all, by block, by kind of layer, and layer by layer.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  vitslim count experiments/bench_deit_small.ron
  vitslim count runs/quickstart/seed=42
  vitslim count runs/quickstart/seed=42/share-0.5-0.5-0.7 --layers
  vitslim count runs/quickstart/seed=42 --json")]
pub struct CountArgs {
    /// An experiment file (random masks cut the sub-networks), the folder of a run, or a sub-network of a run, which is counted beside
    /// its dense network.
    #[arg(value_name = "TARGET", required = true)]
    targets: Vec<PathBuf>,

    /// Lists every layer instead of blocks and kinds.
    #[arg(long)]
    layers: bool,

    /// Sets a value in each experiment, as in `vitslim run`.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,

    /// Prints JSON instead of a table, with every layer.
    #[arg(long)]
    json: bool,
}

/// Counts the networks in `args`.
pub fn count(registry: &Registry, args: &CountArgs) -> miette::Result<()> {
    let mut networks = Vec::new();
    for (file, source) in sources(&args.targets)? {
        let trial = registry.trials(&Document::read(&file, &args.sets)?)?.only()?;
        let trial = match &source {
            Source::Experiment => trial,
            Source::Run(targets) => targets[0].own(trial),
        };
        networks.extend((registry.commands(&trial)?.count)(&trial, &source)?);
    }
    print(args.json, &Counted { networks }, |counted| counted.table(args.layers))
}
