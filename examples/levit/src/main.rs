//! `vitslim` with LeViT (Graham et al. 2021).

mod attention;
mod block;
mod config;
mod net;
mod norm;

use std::process::ExitCode;

use vitslim_core::cli::{self, Allocator, Registry};

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> ExitCode {
    cli::main(Registry::builtin().with::<net::Levit>("levit"))
}
