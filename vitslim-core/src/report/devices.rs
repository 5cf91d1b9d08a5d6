//! The report of `vitslim devices`.

use comfy_table::CellAlignment;
use serde::Serialize;

use super::table::{lines, plain, push};
use crate::terminal::counted;

/// The devices of a machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Devices {
    /// The processor.
    pub cpu: Cpu,
    /// Whether it can also run the GPU code.
    pub native: bool,
    /// The CUDA driver and devices.
    pub cuda: Cuda,
}

/// A processor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cpu {
    /// The model.
    pub name: String,
    /// Number of cores, if the system says.
    pub cores: Option<usize>,
    /// Number of compute threads.
    pub threads: usize,
    /// The vector instructions in use.
    pub instructions: &'static str,
    /// Bytes of memory that this process may use.
    pub memory: u64,
}

/// The NVIDIA driver and its devices.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cuda {
    /// Version of the driver, if it says.
    pub driver: Option<String>,
    /// The newest CUDA version that the driver supports.
    pub version: Option<String>,
    /// The devices, by index.
    pub devices: Vec<CudaDevice>,
    /// Why no device can be used, and what to do.
    pub trouble: Option<String>,
}

/// A GPU.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CudaDevice {
    /// The value for `--device`.
    pub device: String,
    /// Its model.
    pub name: String,
    /// Bytes of its memory.
    pub memory: u64,
    /// Its compute capability.
    pub compute_capability: String,
}

impl Devices {
    /// One line per device, and below it the state of CUDA, in at most 80 columns as long as names are short.
    pub fn table(&self) -> String {
        let mut table = plain();
        table.set_header(["device", "name", "memory", ""]);
        let Cpu { name, cores, threads, instructions, memory } = &self.cpu;
        let cores = cores.map_or_else(String::new, |cores| counted(cores, "core, ", "cores, "));
        let cpu = format!("{cores}{}, {instructions}", counted(*threads, "thread", "threads"));
        table.add_row(["cpu".to_owned(), name.clone(), gibibytes(*memory), cpu]);
        if self.native {
            table.add_row(["native", name, &gibibytes(*memory), "runs the GPU code"]);
        }
        for CudaDevice { device, name, memory, compute_capability } in &self.cuda.devices {
            let capability = format!("compute capability {compute_capability}");
            table.add_row([device.clone(), name.clone(), gibibytes(*memory), capability]);
        }
        if let Some(column) = table.column_mut(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let mut text = lines(&mut table) + "\n";
        if let Some(version) = &self.cuda.version {
            let driver = self.cuda.driver.as_ref().map_or_else(String::new, |driver| format!(" {driver}"));
            push(&mut text, &format!("NVIDIA driver{driver}, for CUDA up to {version}"));
        }
        if let Some(trouble) = &self.cuda.trouble {
            push(&mut text, &format!("CUDA cannot be used: {trouble}"));
        }
        text
    }
}

fn gibibytes(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devices(cuda: Cuda) -> Devices {
        let cpu = Cpu {
            name: "AMD EPYC 9654".to_owned(),
            cores: Some(16),
            threads: 32,
            instructions: "AVX-512",
            memory: 24 << 30,
        };
        Devices { cpu, native: false, cuda }
    }

    #[test]
    fn the_processor_is_listed_twice_if_it_computes_in_two_ways() {
        let table = Devices { native: true, ..devices(Cuda::default()) }.table();
        let line = "native  AMD EPYC 9654  24.0 GiB  runs the GPU code";
        assert!(table.lines().any(|told| told == line), "{table}");
    }

    #[test]
    fn a_line_a_device() {
        let device = CudaDevice {
            device: "cuda:0".to_owned(),
            name: "NVIDIA H100 80GB HBM3".to_owned(),
            memory: 85_520_809_984,
            compute_capability: "9.0".to_owned(),
        };
        let cuda = Cuda {
            driver: Some("570.86.10".to_owned()),
            version: Some("12.8".to_owned()),
            devices: vec![device],
            trouble: None,
        };
        let table = devices(cuda).table();
        assert!(table.lines().all(|line| line.len() <= 80), "{table}");
        for line in [
            "cpu     AMD EPYC 9654          24.0 GiB  16 cores, 32 threads, AVX-512",
            "cuda:0  NVIDIA H100 80GB HBM3  79.6 GiB  compute capability 9.0",
            "NVIDIA driver 570.86.10, for CUDA up to 12.8",
        ] {
            assert!(table.lines().any(|told| told == line), "{table}");
        }
        assert!(!table.contains("cannot"), "{table}");
    }

    #[test]
    fn what_is_missing_is_reported() {
        let trouble = Some("it is not there; get it".to_owned());
        let table = devices(Cuda { trouble, ..Cuda::default() }).table();
        assert!(table.ends_with("\nCUDA cannot be used: it is not there; get it\n"), "{table}");
        assert!(!table.contains("driver"), "{table}");
    }
}
