use std::path::{Path, PathBuf};

use clap::builder::RangedU64ValueParser;
use clap::{Args, value_parser};
use miette::Diagnostic;
use thiserror::Error;

#[cfg(any(feature = "cuda", feature = "native"))]
use crate::bench::costs;
use crate::bench::{BenchSetting, Limit, LoaderSetting, Source, benchmark, loaders, profile};
use crate::cli::device::DeviceArgs;
use crate::cli::print::print;
use crate::cli::registry::Registry;
use crate::cli::run_one::MOST_LOADER_THREADS;
use crate::device::is_cpu;
use crate::experiment::{Document, Trial};
use crate::run::{RunError, Target};
use crate::train::EvaluateError;

/// Measures the speed of networks: a training step, a search step and inference, sub-networks against their dense network. Or, with
/// `--profile`, where the time of their steps goes; with `--loader`, how fast their images are read; with `--kernels`, what their steps ask of a
/// GPU.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  vitslim bench experiments/bench_deit_tiny.ron
  vitslim bench runs/quickstart/seed=42 --batch 64 --seconds 10
  vitslim bench runs/quickstart/seed=42/share-0.5-0.5-0.7 --json
  vitslim bench mine.ron --profile
  vitslim bench mine.ron --loader
  vitslim bench mine.ron --device cuda --kernels")]
pub struct BenchArgs {
    /// An experiment file (nothing is trained, and random masks cut the sub-networks), the folder of a run, or a sub-network of
    /// a run. Several targets are measured side by side.
    #[arg(value_name = "TARGET", required = true)]
    targets: Vec<PathBuf>,

    /// Images per batch.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = value_parser!(u32).range(1..))]
    batch: u32,

    /// Measures this number of rounds, however long they take.
    #[arg(long, value_name = "N", conflicts_with = "seconds", value_parser = value_parser!(u32).range(1..))]
    rounds: Option<u32>,

    /// Measures for this number of seconds, but at least three rounds.
    #[arg(long, value_name = "S", default_value_t = 30)]
    seconds: u32,

    /// Measures, instead of networks, how fast batches are read, augmented and normalised. A training whose steps are faster waits for
    /// its images.
    #[arg(long, conflicts_with = "device")]
    loader: bool,

    /// Threads that prepare batches ahead, as in `vitslim run`.
    #[arg(long, value_name = "N", requires = "loader", value_parser = RangedU64ValueParser::<usize>::new().range(..=MOST_LOADER_THREADS))]
    loader_threads: Option<usize>,

    /// Counts, instead of times, what a step asks of a GPU: operations, kernels, copies to it and memory.
    #[arg(long, conflicts_with_all = ["loader", "rounds", "seconds"])]
    kernels: bool,

    /// Tells where the time of training and inference goes: how long each operation of the networks takes by itself, and how near that is
    /// to what the device can do.
    #[arg(long, conflicts_with_all = ["loader", "kernels"])]
    profile: bool,

    #[command(flatten)]
    device: DeviceArgs,

    /// Sets a value in each experiment, as in `vitslim run`: --set precision=Bf16.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,

    /// Prints JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// Measures the targets in `args`.
pub fn bench(registry: &Registry, args: &BenchArgs) -> miette::Result<()> {
    let batch = args.batch as usize;
    let limit = match args.rounds {
        Some(rounds) => Limit::Rounds(rounds as usize),
        None => Limit::Seconds(args.seconds.into()),
    };
    let trial = |file: &Path| -> miette::Result<Trial> {
        Ok(registry.trials(&Document::read(file, &args.sets)?)?.only()?)
    };
    if args.loader {
        let files = sources(&args.targets)?.into_iter().map(|(file, _)| file);
        let trials: Vec<Trial> = files.map(|file| trial(&file)).collect::<Result<_, _>>()?;
        let measured = loaders(&trials, LoaderSetting { batch, threads: args.loader_threads, limit })?;
        return print(args.json, &measured, |measured| measured.table());
    }
    let device = args.device.open(false)?;
    if args.kernels && is_cpu(&device.device) {
        return Err(KernelsError { device: device.name }.into());
    }
    let teachers = registry.teachers();
    let mut experiments = Vec::new();
    for (file, source) in sources(&args.targets)? {
        let trial = trial(&file)?;
        let trial = match &source {
            Source::Experiment => trial,
            Source::Run(targets) => targets[0].own(trial),
        };
        let commands = registry.commands(&trial)?;
        let precision_name = device.precision_name(device.precision(&trial)?);
        let setting = BenchSetting {
            batch,
            device: &device.device,
            device_name: &device.name,
            precision_name,
            operations: args.profile,
            teachers: &teachers,
        };
        experiments.push((commands.bench)(&trial, &source, &setting)?);
    }
    let failed = |error| match error {
        EvaluateError::OutOfMemory(_) => BatchError { batch, half: batch.div_ceil(2) }.into(),
        error => miette::Report::from(RunError::from(error)),
    };
    if args.profile {
        let profiled = profile(experiments, limit, batch, (&device.device, &device.name)).map_err(failed)?;
        return print(args.json, &profiled, |profiled| profiled.table());
    }
    #[cfg(any(feature = "cuda", feature = "native"))]
    if args.kernels {
        let counted = costs(experiments, batch, &device.device, &device.name).map_err(failed)?;
        return print(args.json, &counted, |counted| counted.table());
    }
    let measured = benchmark(experiments, limit, batch, &device.name).map_err(failed)?;
    print(args.json, &measured, |measured| measured.table())
}

/// A batch that does not fit into the device's memory.
#[derive(Debug, Error, Diagnostic)]
#[error("the device ran out of memory, at a batch of {batch} images")]
#[diagnostic(help(
    "make it smaller, for example with `--batch {half}`, or choose another device with `--device`"
))]
struct BatchError {
    batch: usize,
    half: usize,
}

/// A device without kernels to count.
#[derive(Debug, Error, Diagnostic)]
#[error("`--kernels` counts what steps ask of a GPU, and this is {device}")]
#[diagnostic(help(
    "choose `--device cuda`; or, without a GPU, build with `--features native` and choose `--device native`"
))]
struct KernelsError {
    device: String,
}

/// The experiment files of `targets`, each with the networks to measure. Targets of the same run are merged and share its dense
/// network.
pub(super) fn sources(targets: &[PathBuf]) -> miette::Result<Vec<(PathBuf, Source)>> {
    let mut sources: Vec<(PathBuf, Source)> = Vec::new();
    for path in targets {
        if is_experiment(path) {
            sources.push((path.clone(), Source::Experiment));
            continue;
        }
        let target = Target::find(path)?;
        let file = target.experiment();
        let wanted = if target.label.is_none() { target.whole_run() } else { vec![target.dense(), target] };
        match sources.iter_mut().find(|(known, source)| *known == file && matches!(source, Source::Run(_))) {
            Some((_, Source::Run(found))) => {
                found.extend(wanted.into_iter().filter(|target| !found.contains(target)).collect::<Vec<_>>());
            }
            _ => sources.push((file, Source::Run(wanted))),
        }
    }
    Ok(sources)
}

fn is_experiment(path: &Path) -> bool {
    path.is_file() || path.extension().is_some_and(|extension| extension == "ron")
}
