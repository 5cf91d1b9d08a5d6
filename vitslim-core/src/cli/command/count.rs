use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::bench::sources;
use crate::bench::Source;
use crate::cli::print::print;
use crate::cli::registry::Registry;
use crate::experiment::Document;
use crate::report::{Counted, VitSlimCounted};

/// Counts the parameters and the multiply-adds of networks: in all, by block, by kind of layer, and layer by layer.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  vitslim count experiments/bench_deit_small.ron
  vitslim count runs/quickstart/seed=42
  vitslim count runs/quickstart/seed=42/share-0.5-0.5-0.7 --layers
  vitslim count runs/quickstart/seed=42/share-0.5-0.5-0.7 --convention vit-slim
  vitslim count runs/quickstart/seed=42 --json")]
pub struct CountArgs {
    /// An experiment file (random masks cut the sub-networks), the folder of a run, or a sub-network of a run, which is counted beside
    /// its dense network.
    #[arg(value_name = "TARGET", required = true)]
    targets: Vec<PathBuf>,

    /// Lists every layer instead of blocks and kinds.
    #[arg(long)]
    layers: bool,

    /// Whose way of counting.
    #[arg(long, value_enum, default_value_t)]
    convention: Convention,

    /// Sets a value in each experiment, as in `vitslim run`.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,

    /// Prints JSON instead of a table, with every layer.
    #[arg(long)]
    json: bool,
}

/// A way of counting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Convention {
    /// Multiply-adds of matrix products, convolutions and attention, as fvcore counts them.
    #[default]
    Fvcore,
    /// The flops of the code of ViT-Slim, for `vit` and `deit_distilled`: with biases, softmax and norms, and tokens counted a block late.
    VitSlim,
}

/// Counts the networks in `args`.
pub fn count(registry: &Registry, args: &CountArgs) -> miette::Result<()> {
    let (mut networks, mut of_vit_slim) = (Vec::new(), Vec::new());
    for (file, source) in sources(&args.targets)? {
        let trial = registry.trials(&Document::read(&file, &args.sets)?)?.only()?;
        let trial = match &source {
            Source::Experiment => trial,
            Source::Run(targets) => targets[0].own(trial),
        };
        let commands = registry.commands(&trial)?;
        match args.convention {
            Convention::Fvcore => networks.extend((commands.count)(&trial, &source)?),
            Convention::VitSlim => of_vit_slim.extend((commands.count_as_vit_slim)(&trial, &source)?),
        }
    }
    match args.convention {
        Convention::Fvcore => print(args.json, &Counted { networks }, |counted| counted.table(args.layers)),
        Convention::VitSlim => {
            print(args.json, &VitSlimCounted::new(of_vit_slim), |counted| counted.table(args.layers))
        }
    }
}
