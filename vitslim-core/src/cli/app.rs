//! The command line as a whole.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::command::{
    architectures, bench, check, compare, count, devices, eval, export, frontier, gc, ls, new, plan, report,
    run, schema, selftest, slim,
};
use super::interrupt::exit_code;
use super::registry::Registry;
use super::run_one::RunArgs;
use super::sweep::SweepError;
use super::{allocator, process, reports};
use crate::run::RunError;
use crate::terminal::{say, show};
use crate::train::hush_out_of_memory;

/// Searches the smaller Vision Transformer inside a trained one, and cuts it out.
#[derive(Debug, Parser)]
#[command(
    name = "vitslim",
    version,
    propagate_version = true,
    after_help = "Examples:
  vitslim new mine --architecture vit
  vitslim check experiments/quickstart.ron
  vitslim plan experiments/quickstart.ron
  vitslim run experiments/quickstart.ron
  vitslim report runs/quickstart/seed=42 --open
  vitslim ls runs
  vitslim compare runs/quickstart/seed=42 runs/mine/seed=42
  vitslim gc runs
  vitslim eval runs/quickstart/seed=42
  vitslim bench runs/quickstart/seed=42
  vitslim count runs/quickstart/seed=42
  vitslim frontier runs/quickstart/seed=42
  vitslim slim runs/quickstart/seed=42 --budget 'Macs(0.4)' --retrain
  vitslim export runs/quickstart/seed=42/share-0.5-0.5-0.7 --to onnx --out small.onnx
  vitslim architectures
  vitslim schema
  vitslim devices
  vitslim selftest

Exit codes: 0 all went well, 1 a run or a check failed or was refused, 2 the command line is wrong, 130 stopped by Ctrl-C;
128 and the number of the signal where SIGTERM (143), SIGUSR1 (138) or SIGHUP (129) stopped it"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    New(new::NewArgs),
    Check(check::CheckArgs),
    Plan(plan::PlanArgs),
    Run(RunArgs),
    Report(report::ReportArgs),
    Ls(ls::LsArgs),
    Compare(compare::CompareArgs),
    Gc(gc::GcArgs),
    Eval(eval::EvalArgs),
    Bench(bench::BenchArgs),
    Count(count::CountArgs),
    Frontier(frontier::FrontierArgs),
    Slim(slim::SlimArgs),
    Export(export::ExportArgs),
    Architectures(architectures::ArchitecturesArgs),
    Schema(schema::SchemaArgs),
    Devices(devices::DevicesArgs),
    Selftest(selftest::SelftestArgs),
}

impl Command {
    fn execute(self, registry: &Registry) -> miette::Result<()> {
        match self {
            Self::New(args) => new::new(registry, &args),
            Self::Check(args) => check::check(registry, &args),
            Self::Plan(args) => plan::plan(registry, &args),
            Self::Run(args) => run::run(registry, &args),
            Self::Report(args) => report::report(&args),
            Self::Ls(args) => ls::ls(&args),
            Self::Compare(args) => compare::compare(&args),
            Self::Gc(args) => gc::gc(&args),
            Self::Eval(args) => eval::eval(registry, &args),
            Self::Bench(args) => bench::bench(registry, &args),
            Self::Count(args) => count::count(registry, &args),
            Self::Frontier(args) => frontier::frontier(registry, &args),
            Self::Slim(args) => slim::slim(registry, &args),
            Self::Export(args) => export::export(registry, &args),
            Self::Architectures(args) => architectures::architectures(registry, &args),
            Self::Schema(args) => schema::schema(registry, &args),
            Self::Devices(args) => devices::devices(&args),
            Self::Selftest(args) => selftest::selftest(&args),
        }
    }
}

/// The whole runner, for the architectures in `registry`. The `main` of your own program is one line,
/// `vitslim_core::cli::main(Registry::builtin().with::<MyVit>("my_vit"))`, beside the [`Allocator`].
///
/// Exit codes: 0 for success, 1 for a failed or refused run or check, 2 for a wrong command line, 130 for a run stopped by
/// Ctrl-C, and 128 and the number of the signal for one stopped by SIGTERM, SIGUSR1 or SIGHUP.
pub fn main(registry: Registry) -> ExitCode {
    process::default_to_the_cpu();
    allocator::keep_freed_memory();
    process::report_files_over_the_limit();
    reports::prepare();
    hush_out_of_memory();
    #[cfg(feature = "cuda")]
    super::device::keep_kernels();
    let command = Cli::parse().command;
    match process::start_threads().map_err(Into::into).and_then(|()| command.execute(&registry)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(report) => match report.downcast_ref() {
            Some(stopped) if RunError::is_interruption(stopped) => {
                say(stopped);
                ExitCode::from(exit_code())
            }
            _ if let Some(stopped @ SweepError::Interrupted { .. }) = report.downcast_ref() => {
                say(stopped);
                ExitCode::from(exit_code())
            }
            _ => {
                show(format_args!("{report:?}"));
                ExitCode::FAILURE
            }
        },
    }
}
