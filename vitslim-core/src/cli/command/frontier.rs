use std::path::PathBuf;

use clap::Args;
use clap::builder::RangedU64ValueParser;

use crate::cli::device::DeviceArgs;
use crate::cli::print::print;
use crate::cli::registry::Registry;
use crate::experiment::Document;
use crate::report::Frontier;
use crate::run::{FrontierPoints, Measure, Setting, SplitName, Target};
use crate::train::{Devices, Interrupter};

/// Evaluates networks of many sizes that the search of a run leaves, without retraining, and draws their accuracy.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  vitslim frontier runs/quickstart/seed=42
  vitslim frontier runs/quickstart/seed=42 --points 10 --split held_out
  vitslim frontier runs/quickstart/seed=42 --of Params --json")]
pub struct FrontierArgs {
    /// The folder of a run, or of a trial of a sweep.
    run: PathBuf,

    /// Number of networks. Their budgets are evenly spaced between the smallest network that can be cut and the dense one.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = RangedU64ValueParser::<usize>::new().range(2..=1000))]
    points: usize,

    /// What limits their sizes.
    #[arg(long, value_name = "MEASURE", value_enum, default_value_t)]
    of: Measure,

    /// The split to evaluate on.
    #[arg(long, value_name = "SPLIT", value_enum, default_value_t)]
    split: SplitName,

    #[command(flatten)]
    device: DeviceArgs,

    /// Prints JSON, as in frontier.json, instead of the table.
    #[arg(long)]
    json: bool,
}

/// Evaluates the networks in `args`.
pub fn frontier(registry: &Registry, args: &FrontierArgs) -> miette::Result<()> {
    let target = Target::find_run(&args.run)?;
    let document = Document::read(&target.experiment(), &[])?;
    let trial = target.own(registry.trials(&document)?.only()?);
    let device = args.device.open(false)?;
    let device_name = device.describe_with(device.precision(&trial)?);
    let setting = Setting {
        out: &target.run,
        devices: &Devices::one(&device.name, device.device.clone()),
        device_name: &device_name,
        afresh: false,
        interrupter: Interrupter::new(),
        loader_threads: None,
        quiet: false,
    };
    let FrontierArgs { points, of, split, .. } = *args;
    let wanted = FrontierPoints { points, of, split };
    let frontier = (registry.commands(&trial)?.frontier)(&trial, &target.run, wanted, &setting)?;
    print(args.json, &frontier, Frontier::table)
}
