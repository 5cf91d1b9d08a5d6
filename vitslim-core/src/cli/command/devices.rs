use clap::Args;
use sysinfo::System;

use crate::cli::device::{CudaDriver, look};
use crate::cli::print::print;
use crate::device::{instructions, memory, processor};
use crate::report::{Cpu, Cuda, Devices};

/// Lists the devices that can compute: the CPU, and the CUDA devices or why there are none.
#[derive(Debug, Args)]
pub struct DevicesArgs {
    /// Prints JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// Lists the devices.
pub fn devices(args: &DevicesArgs) -> miette::Result<()> {
    print(args.json, &Devices { cpu: cpu(), native: cfg!(feature = "native"), cuda: cuda() }, Devices::table)
}

fn cpu() -> Cpu {
    Cpu {
        name: processor(),
        cores: System::physical_core_count(),
        threads: rayon::current_num_threads(),
        instructions: instructions(),
        memory: memory(),
    }
}

fn cuda() -> Cuda {
    match look() {
        Ok(CudaDriver { driver, version, devices, usable }) => Cuda {
            driver,
            version: Some(version.to_string()),
            devices,
            trouble: usable.err().map(|trouble| trouble.with_remedy()),
        },
        Err(trouble) => Cuda { trouble: Some(trouble.with_remedy()), ..Cuda::default() },
    }
}
