use std::path::PathBuf;

use clap::Args;

use super::{DeviceChoice, Registry};
use crate::experiment::Document;
use crate::report::table;

/// Runs the experiment in a file: pretrains, searches, and cuts, slices and retrains a sub-network for each budget.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  vitslim run experiments/quickstart.ron
  vitslim run experiments/quickstart.ron --set seed=7
  vitslim run experiments/quickstart.ron --set search.dimensions.hidden.weight=1e-4 --out /tmp/runs
  vitslim run experiments/quickstart.ron --set 'budgets=[Share({\"hidden\": 0.3})]' --device cuda:1")]
pub struct RunArgs {
    /// The experiment, a RON file.
    file: PathBuf,

    /// Folder for results: they go to DIR/<name>/seed=<seed>/.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    out: PathBuf,

    /// Where to compute: cpu, cuda or cuda:N.
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    device: DeviceChoice,

    /// Sets one value of the experiment, as if it stood in the file; may be given again, the last wins. The value is RON,
    /// so that text needs quotes: 'name="mine"'.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
}

/// Runs `args`.
pub fn run(registry: &Registry, args: &RunArgs) -> miette::Result<()> {
    let document = Document::read(&args.file, &args.sets)?;
    let runner = registry.runner(&document)?;
    let device = args.device.open()?;
    let (folder, summary) = runner(&document, &args.out, &device, &args.device.describe())?;
    println!("{}\nresults: {}", table(&summary), folder.path().display());
    Ok(())
}
