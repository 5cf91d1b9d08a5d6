use std::path::{Path, PathBuf};

use clap::Args;
use miette::Diagnostic;
use thiserror::Error;

use crate::page::{is_sweep, run_page, runs_page, sweep_page};
use crate::run::{REPORT, Target};
use crate::terminal::say;
use crate::whole_file::write_whole;

/// Writes the page of a run, of a sweep, or of several side by side: one HTML file that loads nothing from elsewhere.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  vitslim report runs/quickstart/seed=42
  vitslim report runs/sweep --open
  vitslim report runs/quickstart/seed=42 runs/quickstart/seed=7 --out seeds.html")]
pub struct ReportArgs {
    /// Folders of runs or of sweeps. The page of one lies in its folder, as report.html.
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,

    /// Writes the page to this file [default: report.html in the folder of the run or of the sweep; here, if there are several].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Opens the page in the browser.
    #[arg(long)]
    open: bool,
}

/// A page that was made and does not get any further.
#[derive(Debug, Error, Diagnostic)]
enum ReportError {
    #[error("cannot write `{}`", .path.display())]
    #[diagnostic(help("choose a file that you can write with `--out`, on a disk with space"))]
    Write { path: PathBuf, source: std::io::Error },
    #[error("cannot open `{}`", .path.display())]
    #[diagnostic(help("the page is written: open the file in a browser"))]
    Open { path: PathBuf, source: std::io::Error },
}

/// Writes the page of the runs in `args`.
pub fn report(args: &ReportArgs) -> miette::Result<()> {
    let (html, path) = match args.runs.as_slice() {
        [sweep] if is_sweep(sweep) => (sweep_page(sweep)?, sweep.join(REPORT)),
        [run] => {
            let run = Target::find(run)?.run;
            (run_page(&run)?, run.join(REPORT))
        }
        several => (runs_page(several)?, PathBuf::from(REPORT)),
    };
    let path = args.out.clone().unwrap_or(path);
    write_whole(&path, html.as_bytes())
        .map_err(|source| ReportError::Write { path: path.clone(), source })?;
    say(format_args!("wrote `{}`", path.display()));
    if args.open { Ok(open(&path)?) } else { Ok(()) }
}

fn open(path: &Path) -> Result<(), ReportError> {
    open::that_detached(path).map_err(|source| ReportError::Open { path: path.to_owned(), source })
}
