use std::path::PathBuf;

use clap::Args;

use crate::cli::device::DeviceArgs;
use crate::cli::print::print;
use crate::cli::registry::Registry;
use crate::experiment::Document;
use crate::export::SubnetFile;
use crate::run::{EvaluationSetting, SplitName, Target};

/// Reports the accuracy of a network of a run: top-1 and top-5, and top-1 per class.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  vitslim eval runs/quickstart/seed=42
  vitslim eval runs/quickstart/seed=42/share-0.5-0.5-0.7
  vitslim eval runs/quickstart/seed=42/subnets/share-0.5-0.5-0.7 --split held_out --json
  vitslim eval small.safetensors --data photos")]
pub struct EvalArgs {
    /// The folder of a run for its dense network after pretraining; for a sub-network, append its label. Or a file of `vitslim export
    /// --to safetensors`.
    #[arg(value_name = "RUN[/SUBNET]|FILE")]
    network: PathBuf,

    /// Evaluates on data of the same kind in this folder, with the same classes, normalised like the run's training data, which
    /// need not be there any more.
    #[arg(long, value_name = "FOLDER")]
    data: Option<String>,

    /// The split to evaluate on.
    #[arg(long, alias = "part", value_name = "SPLIT", value_enum, default_value_t)]
    split: SplitName,

    #[command(flatten)]
    device: DeviceArgs,

    /// Prints JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// Where a network is.
enum Network {
    /// In the folder of its run.
    OfRun(Target),
    /// In a file by itself.
    Alone(SubnetFile),
}

/// Evaluates the network in `args`.
pub fn eval(registry: &Registry, args: &EvalArgs) -> miette::Result<()> {
    let network = match args.network.is_file() {
        true => Network::Alone(SubnetFile::read(&args.network)?),
        false => Network::OfRun(Target::find(&args.network)?),
    };
    let trial = match &network {
        Network::Alone(file) => {
            let name = args.network.display().to_string();
            registry.trials(&Document::parse(&name, &file.experiment()?, &[])?)?.only()?
        }
        Network::OfRun(target) => {
            let trials = registry.trials(&Document::read(&target.experiment(), &[])?)?;
            target.own(trials.only()?)
        }
    };
    let device = args.device.open(false)?;
    let precision = device.precision(&trial)?;
    let setting = EvaluationSetting {
        data: args.data.as_deref(),
        split: args.split,
        device: &device.device,
        device_name: &device.describe_with(precision),
    };
    let commands = registry.commands(&trial)?;
    let evaluation = match network {
        Network::Alone(file) => (commands.eval_file)(&trial, file, &setting)?,
        Network::OfRun(target) => (commands.eval)(&trial, &target, &setting)?,
    };
    print(args.json, &evaluation, |evaluation| evaluation.table())
}
