//! Where the time of a step goes, as tables and as JSON.

use comfy_table::CellAlignment;
use serde::Serialize;

use super::benchmark::three_digits;
use super::table::{lines, plain};

/// Networks whose operations were measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Profile {
    /// The device.
    pub device: String,
    /// Images per batch.
    pub batch: usize,
    /// The networks.
    pub networks: Vec<ProfiledNetwork>,
}

/// A network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProfiledNetwork {
    /// Name of the experiment.
    pub experiment: String,
    /// `dense`, or the label of the sub-network.
    pub name: String,
    /// The precision of matrix products.
    pub precision: String,
    /// Gigaflops per second of a large product of matrices in it: what the device can do.
    pub most: f64,
    /// What it does with a batch.
    pub steps: Vec<ProfiledStep>,
}

/// A step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProfiledStep {
    /// `training` or `inference`.
    pub step: &'static str,
    /// Milliseconds that the whole step takes.
    pub milliseconds: f64,
    /// What was measured by itself, slowest first.
    pub operations: Vec<ProfiledOperation>,
}

/// An operation; in training, with its backward pass.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProfiledOperation {
    /// What it is: `linear`, `attention`.
    pub operation: &'static str,
    /// What it is computed on: `16 x 197 x 192, to 576`.
    pub shape: String,
    /// How often a step computes it.
    pub calls: usize,
    /// Milliseconds of all calls.
    pub milliseconds: f64,
    /// The part of the step that these are.
    pub share: f64,
    /// Gigaflops per second; `None` where it has no products.
    pub gflops: Option<f64>,
    /// These over what the device can do.
    pub of_most: Option<f64>,
}

impl Profile {
    /// The tables of all steps, and lines that explain them.
    pub fn table(&self) -> String {
        let steps = self.networks.iter().flat_map(|network| {
            network.steps.iter().map(|step| {
                let ProfiledNetwork { experiment, name, precision, most, .. } = network;
                let (step, most, table) = (step.step, three_digits(*most), step.table());
                format!("{experiment}, {name}, {step}, in {precision}: at most {most} GFLOP/s\n\n{table}\n")
            })
        });
        format!(
            "{}at a batch of {} on {}; at most: as a large product of matrices\neach operation by itself, in training with its backward \
             pass; all else moves values, or is the optimizer\n",
            steps.collect::<String>(),
            self.batch,
            self.device,
        )
    }
}

impl ProfiledStep {
    fn table(&self) -> String {
        let mut table = plain();
        table.set_header(["operation", "on", "calls", "ms", "share", "GFLOP/s", "of limit"]);
        let dash = || "-".to_owned();
        for of in &self.operations {
            table.add_row([
                of.operation.to_owned(),
                of.shape.clone(),
                of.calls.to_string(),
                three_digits(of.milliseconds),
                format!("{:.3}", of.share),
                of.gflops.map_or_else(dash, three_digits),
                of.of_most.map_or_else(dash, |share| format!("{share:.2}")),
            ]);
        }
        let known: f64 = self.operations.iter().map(|of| of.milliseconds).sum();
        let other = self.milliseconds - known;
        table.add_row([
            "all else",
            "",
            "",
            &three_digits(other),
            &format!("{:.3}", other / self.milliseconds),
        ]);
        table.add_row(["whole step", "", "", &three_digits(self.milliseconds), "1.000"]);
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        lines(&mut table)
    }
}
