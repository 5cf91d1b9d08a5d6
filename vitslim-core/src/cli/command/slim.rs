use std::path::PathBuf;

use clap::Args;
use miette::{Diagnostic, IntoDiagnostic};
use thiserror::Error;

use super::export::{Destination, write_network};
use crate::cli::device::{DeviceList, open_list};
use crate::cli::interrupt::{CtrlC, stop_on_signals};
use crate::cli::print::print;
use crate::cli::registry::Registry;
use crate::cli::run_one::device_help;
use crate::experiment::Document;
use crate::export::Format;
use crate::report::{Summary, table};
use crate::run::{Setting, Target};
use crate::train::Interrupter;

/// Cuts a further sub-network out of a run whose search is finished, for each budget.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  vitslim slim runs/quickstart/seed=42 --budget 'Macs(0.4)'
  vitslim slim runs/quickstart/seed=42 --budget 'Macs(0.4)' --retrain
  vitslim slim runs/quickstart/seed=42 --budget 'Share({\"hidden\": 0.4})' --budget 'Params(\"150 k\")' --json
  vitslim slim runs/quickstart/seed=42 --budget 'Latency(most: \"200 us\", batch: 1)'
  vitslim slim runs/quickstart/seed=42 --budget 'Macs(0.4)' --export onnx --out small.onnx")]
pub struct SlimArgs {
    /// The folder of a run, or of a trial of a sweep.
    run: PathBuf,

    /// What the sub-network keeps, as an experiment writes it; repeat it for several sub-networks.
    #[arg(long = "budget", value_name = "BUDGET", required = true)]
    budgets: Vec<String>,

    /// Retrains the sub-network as the experiment of the run says. If it is stopped, the same command resumes it.
    #[arg(long)]
    retrain: bool,

    /// Writes the sub-network for another program as well, as `vitslim export` does.
    #[arg(long, value_name = "FORMAT", value_enum, requires = "out")]
    export: Option<Format>,

    /// The file that `--export` writes.
    #[arg(long, value_name = "FILE", requires = "export")]
    out: Option<PathBuf>,

    /// Replaces that file if it is there.
    #[arg(long, requires = "export")]
    force: bool,

    #[arg(long, value_name = "DEVICE[,DEVICE]", help = device_help())]
    device: Option<DeviceList>,

    /// Hides progress: shows only warnings, errors and the result.
    #[arg(long, short)]
    quiet: bool,

    /// Prints JSON, as in summary.json, instead of the table.
    #[arg(long)]
    json: bool,
}

/// Several networks that are to be one file.
#[derive(Debug, Error, Diagnostic)]
#[error("`--out` is one file, and {0} budgets leave as many networks")]
#[diagnostic(help("give one `--budget`, or export each network later with `vitslim export`"))]
struct SeveralError(usize);

/// Cuts the sub-networks in `args`.
pub fn slim(registry: &Registry, args: &SlimArgs) -> miette::Result<()> {
    let target = Target::find_run(&args.run)?;
    let to = args.export.zip(args.out.as_deref());
    let to = to.map(|(format, out)| Destination { format, out, force: args.force });
    if let Some(to) = to {
        if args.budgets.len() > 1 {
            return Err(SeveralError(args.budgets.len()).into());
        }
        to.format.files(to.out)?.iter().try_for_each(|path| to.check(path))?;
    }
    let document = Document::read(&target.experiment(), &[])?.with_budgets(&args.budgets)?;
    let trial = target.own(registry.trials(&document)?.only()?);
    let interrupter = Interrupter::new();
    stop_on_signals(&interrupter, CtrlC::Stops).into_diagnostic()?;
    let (devices, device_name) = open_list(args.device.as_ref(), &trial, args.quiet)?;
    let setting = Setting {
        out: &target.run,
        devices: &devices,
        device_name: &device_name,
        afresh: false,
        interrupter,
        loader_threads: None,
        quiet: args.quiet,
    };
    let slim = registry.commands(&trial)?.slim;
    let summary = slim(&trial, &target.run, &registry.teachers(), args.retrain, &setting)?;
    print(args.json, &summary, |summary: &Summary| {
        let paths = summary.subnets.iter().map(|subnet| target.run.join(&subnet.label));
        let paths: String = paths.map(|path| format!("\nresults: {}", path.display())).collect();
        format!("{}{paths}", table(summary))
    })?;
    if let (Some(to), [subnet]) = (to, &summary.subnets[..]) {
        let subnet = Target { label: Some(subnet.label.clone()), ..target.clone() };
        write_network(registry, &subnet, to, &[])?;
    }
    Ok(())
}
