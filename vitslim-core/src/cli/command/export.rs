use std::path::{Path, PathBuf};

use clap::Args;
use miette::Diagnostic;
use thiserror::Error;

use crate::cli::registry::Registry;
use crate::experiment::Document;
use crate::export::Format;
use crate::run::Target;
use crate::terminal::say;
use crate::whole_file::{remove, write_whole};

/// Writes a network of a run for another program: ONNX, safetensors, or PyTorch.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  vitslim export runs/quickstart/seed=42/share-0.5-0.5-0.7 --to onnx --out small.onnx
  vitslim export runs/quickstart/seed=42/share-0.5-0.5-0.7 --to safetensors --out small.safetensors
  vitslim export runs/quickstart/seed=42/share-0.5-0.5-0.7 --to pytorch --out slim_vit.py
  vitslim export runs/quickstart/seed=42 --to onnx --out dense.onnx
  vitslim export runs/quickstart/seed=42 --to onnx --features blocks.2,blocks.5,norm --out features.onnx")]
pub struct ExportArgs {
    /// The folder of a run for its dense network after pretraining; for a sub-network, append its label.
    #[arg(value_name = "RUN[/SUBNET]")]
    network: PathBuf,

    /// The format.
    #[arg(long, value_name = "FORMAT", value_enum)]
    to: Format,

    /// The file to write. PyTorch gets a `.py`, and its weights beside it.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Paths of modules whose outputs are outputs too, with commas between.
    #[arg(long, value_name = "MODULES", value_delimiter = ',')]
    features: Vec<String>,

    /// Replaces files that are there.
    #[arg(long)]
    force: bool,
}

/// A file that cannot be written.
#[derive(Debug, Error, Diagnostic)]
enum WriteError {
    #[error("there is a `{}` already", .0.display())]
    #[diagnostic(help("give another name, or replace it with `--force`"))]
    Exists(PathBuf),
    #[error("cannot write `{}`", .path.display())]
    #[diagnostic(help("choose a folder that you can write to, on a disk with space"))]
    Write { path: PathBuf, source: std::io::Error },
    #[error("cannot remove `{}`, which belongs to the network that was replaced", .path.display())]
    #[diagnostic(help("remove it yourself"))]
    Remove { path: PathBuf, source: std::io::Error },
}

/// Exports the network in `args`.
pub fn export(registry: &Registry, args: &ExportArgs) -> miette::Result<()> {
    let target = Target::find(&args.network)?;
    let to = Destination { format: args.to, out: &args.out, force: args.force };
    write_network(registry, &target, to, &args.features)
}

/// How and where a network is written.
#[derive(Clone, Copy)]
pub(super) struct Destination<'a> {
    pub(super) format: Format,
    pub(super) out: &'a Path,
    /// Whether files that are there are replaced.
    pub(super) force: bool,
}

impl Destination<'_> {
    /// Checks that `path` may be written.
    ///
    /// # Errors
    ///
    /// When it is there, and is not to be replaced.
    pub(super) fn check(&self, path: &Path) -> miette::Result<()> {
        match !self.force && path.symlink_metadata().is_ok() {
            true => Err(WriteError::Exists(path.to_owned()).into()),
            false => Ok(()),
        }
    }
}

/// Writes the network that `target` names. What comes out of the modules at the paths `features` are outputs too.
///
/// # Errors
///
/// When the network cannot be read, the format cannot have it, or a file is there or cannot be written.
pub(super) fn write_network(
    registry: &Registry,
    target: &Target,
    to: Destination,
    features: &[String],
) -> miette::Result<()> {
    let Destination { format, out, .. } = to;
    let trials = registry.trials(&Document::read(&target.experiment(), &[])?)?;
    let trial = target.own(trials.only()?);
    let export = registry.commands(&trial)?.export;
    let (files, notes) = export(&trial, target, format, features, out)?;
    notes.iter().for_each(say);
    files.iter().try_for_each(|(path, _)| to.check(path))?;
    let replaces = out.symlink_metadata().is_ok();
    files.iter().try_for_each(|(path, bytes)| write(path, bytes))?;
    // Of the network that was replaced. Without one, the file is somebody else's.
    let beside = format.beside(out).filter(|beside| replaces && files.iter().all(|(path, _)| path != beside));
    if let Some(path) = beside {
        remove(&path).map_err(|source| WriteError::Remove { path: path.clone(), source })?;
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    write_whole(path, bytes).map_err(|source| WriteError::Write { path: path.to_owned(), source })?;
    say(format_args!("wrote `{}`, {:.1} MB", path.display(), bytes.len() as f64 / 1e6));
    Ok(())
}
