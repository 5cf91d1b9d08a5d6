use clap::{Args, ValueEnum};

use crate::cli::print::print;
use crate::cli::registry::Registry;
use crate::reference::{Reference, json_schema};

/// Prints the reference of the experiment language: each field with its type, unit, default, range and purpose.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  vitslim schema
  vitslim schema --format markdown
  vitslim schema --format json")]
pub struct SchemaArgs {
    /// Text for a terminal, Markdown, or JSON Schema for editors.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Markdown,
    Json,
}

/// Prints the reference in the format of `args`.
pub fn schema(registry: &Registry, args: &SchemaArgs) -> miette::Result<()> {
    let schema = json_schema();
    let reference = || Reference::new(&schema, registry.config_schemas());
    match args.format {
        Format::Text => print(false, &schema, |_| reference().text()),
        Format::Markdown => print(false, &schema, |_| reference().markdown()),
        Format::Json => print(true, &schema, |_| String::new()),
    }
}
