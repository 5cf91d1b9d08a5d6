use std::io::ErrorKind;
use std::path::PathBuf;

use clap::Args;
use miette::Diagnostic;
use thiserror::Error;

use crate::cli::registry::Registry;
use crate::experiment::{RunName, did_you_mean};
use crate::terminal::say;
use crate::whole_file::write_whole;

/// Writes NAME.ron, an experiment to start from, with comments on what you can change.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  vitslim new mine
  vitslim new windows --architecture swin")]
pub struct NewArgs {
    /// Name of the experiment and of its file.
    #[arg(value_parser = |name: &str| RunName::try_from(name.to_owned()))]
    name: RunName,

    /// The architecture; `vitslim architectures` lists them.
    #[arg(long, short, value_name = "A", default_value = "vit")]
    architecture: String,
}

/// A file that cannot be created.
#[derive(Debug, Error, Diagnostic)]
enum NewError {
    #[error("there is no architecture `{name}`{hint}")]
    #[diagnostic(help("architectures: {known}"))]
    Architecture { name: String, hint: String, known: String },
    #[error("there is a `{}` already", .0.display())]
    #[diagnostic(help("give another name, or move the file away"))]
    Exists(PathBuf),
    #[error("cannot write `{}`", .path.display())]
    #[diagnostic(help("it goes into the current folder: change to one that you can write to"))]
    Write { path: PathBuf, source: std::io::Error },
}

/// Writes the experiment that `args` describe.
pub fn new(registry: &Registry, args: &NewArgs) -> miette::Result<()> {
    let Some(text) = registry.starter(args.name.as_str(), &args.architecture) else {
        let name = args.architecture.clone();
        let hint = did_you_mean(&name, registry.names());
        let known = registry.names().collect::<Vec<_>>().join(", ");
        return Err(NewError::Architecture { name, hint, known }.into());
    };
    let path = PathBuf::from(format!("{}.ron", args.name.as_str()));
    let written = match path.symlink_metadata() {
        Ok(_) => Err(ErrorKind::AlreadyExists.into()),
        Err(_) => write_whole(&path, text.as_bytes()),
    };
    match written {
        Ok(()) => {
            say(format_args!("wrote `{}`; next: `vitslim check {}`", path.display(), path.display()));
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(NewError::Exists(path).into()),
        Err(source) => Err(NewError::Write { path, source }.into()),
    }
}
