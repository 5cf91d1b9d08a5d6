//! What a step asks of a device, as a table and as JSON.

use comfy_table::CellAlignment;
use serde::Serialize;

use super::table::{lines, plain};
use crate::terminal::counted;

/// What the steps of networks ask of a device.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepCosts {
    /// The device.
    pub device: String,
    /// Images per batch.
    pub batch: usize,
    /// The networks of all experiments.
    pub networks: Vec<CostlyNetwork>,
}

/// A network, and what its steps ask.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CostlyNetwork {
    /// Name of the experiment.
    pub experiment: String,
    /// `dense`, or the label of the sub-network.
    pub name: String,
    /// The precision of matrix products.
    pub precision: String,
    /// `training`, `search` and `inference`, as far as there is one.
    pub steps: Vec<StepCost>,
}

/// What one step asks of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StepCost {
    /// `training`, `search` or `inference`.
    pub step: &'static str,
    /// Tensor operations.
    pub operations: usize,
    /// Those of them that run in a kernel together with others.
    pub fused: usize,
    /// Kernels launched. One that an operation launches several times counts once.
    pub kernels: usize,
    /// Tensors copied to the device.
    pub copies_in: usize,
    /// The most bytes of tensors at once, beside those that are held between steps.
    pub peak_bytes: u64,
}

impl StepCosts {
    /// A row for each step, in at most 80 columns as long as labels are short.
    pub fn table(&self) -> String {
        let mut table = plain();
        table.set_header(["network", "step", "operations", "fused", "kernels", "copies in", "peak MB"]);
        for CostlyNetwork { name, steps, .. } in &self.networks {
            for StepCost { step, operations, fused, kernels, copies_in, peak_bytes } in steps {
                let counts = [operations, fused, kernels, copies_in].map(usize::to_string);
                let megabytes = format!("{:.1}", *peak_bytes as f64 / 1e6);
                let names = [name.clone(), (*step).to_owned()];
                table.add_row(names.into_iter().chain(counts).chain([megabytes]));
            }
        }
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        format!(
            "{}a step of {} on {}\npeak beside what is held between steps\n",
            lines(&mut table) + "\n",
            counted(self.batch, "image", "images"),
            self.device,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_row_for_each_step_in_80_columns() {
        let step = |step, kernels| StepCost {
            step,
            operations: 4210,
            fused: 3120,
            kernels,
            copies_in: 3,
            peak_bytes: 1_234_567_890,
        };
        let network = |name: &str, steps: Vec<StepCost>| CostlyNetwork {
            experiment: "a".to_owned(),
            name: name.to_owned(),
            precision: "f32".to_owned(),
            steps,
        };
        let networks = vec![
            network("dense", vec![step("training", 1510), step("search", 1600), step("inference", 230)]),
            network("share-0.5-0.5-0.7", vec![step("training", 1511)]),
        ];
        let table = StepCosts { device: "native".to_owned(), batch: 16, networks }.table();
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
        let row = table.lines().find(|line| line.starts_with("dense") && line.contains("search")).unwrap();
        assert_eq!(
            row.split_whitespace().collect::<Vec<_>>(),
            ["dense", "search", "4210", "3120", "1600", "3", "1234.6"]
        );
    }
}
