//! The speed of networks, as a table and as JSON.

use comfy_table::CellAlignment;
use serde::Serialize;

use super::table::{lines, plain, short};

/// Networks measured side by side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Benchmark {
    /// The device.
    pub device: String,
    /// Images per batch.
    pub batch: usize,
    /// Rounds; each measures everything once.
    pub rounds: usize,
    /// The experiments of the networks.
    pub experiments: Vec<BenchedExperiment>,
}

/// The networks of one experiment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BenchedExperiment {
    /// Name of the experiment.
    pub name: String,
    /// Name of the trial.
    pub trial: String,
    /// The precision of matrix products.
    pub precision: String,
    /// Height and width of an image in pixels.
    pub image_size: usize,
    /// Channels of an image.
    pub channels: usize,
    /// The dense network and sub-networks.
    pub networks: Vec<BenchedNetwork>,
    /// Duration of a search step over that of a training step of the dense network.
    pub search_over_training: Option<Spread>,
}

/// A network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BenchedNetwork {
    /// `dense`, or the label of the sub-network.
    pub name: String,
    /// Number of parameters.
    pub params: usize,
    /// Multiply-adds for one image.
    pub macs: u64,
    /// A training step: forward, backward and update.
    pub training: Option<Timing>,
    /// A search step; `None` for a sub-network, which is not searched.
    pub search: Option<Timing>,
    /// A forward pass in inference.
    pub inference: Option<Timing>,
    /// Training speed over that of the dense network.
    pub training_speedup: Option<Spread>,
    /// Inference speed over that of the dense network.
    pub inference_speedup: Option<Spread>,
}

/// The time that a batch takes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Timing {
    /// Milliseconds per batch.
    pub milliseconds: Spread,
    /// Images per second, at the median time.
    pub images_per_second: f64,
}

/// Median and quartiles.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// A quarter of the values is below.
    pub lower: f64,
    /// Half of the values is below.
    pub median: f64,
    /// Three quarters of the values are below.
    pub upper: f64,
}

impl Spread {
    /// The quartiles of `values`, of which there must be at least one, with linear interpolation.
    pub fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let quantile = |share: f64| {
            let place = share * values.len().saturating_sub(1) as f64;
            let value = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
            let (below, above) = (value(place.floor() as usize), value(place.ceil() as usize));
            below + (above - below) * place.fract()
        };
        Self { lower: quantile(0.25), median: quantile(0.5), upper: quantile(0.75) }
    }
}

impl Benchmark {
    /// Each experiment with its networks, in at most 80 columns as long as labels are short, and a line that explains the
    /// columns.
    pub fn table(&self) -> String {
        let experiments = self.experiments.iter().map(BenchedExperiment::table);
        format!(
            "{}medians of {} rounds at a batch of {} on {}, everything in turn\nspeed-up over the dense network\n",
            experiments.collect::<String>(),
            self.rounds,
            self.batch,
            self.device,
        )
    }
}

impl BenchedExperiment {
    fn table(&self) -> String {
        let mut table = plain();
        table.set_header(["network", "MACs", "step", "images/s", "ms", "quartiles", "speed-up"]);
        for network in &self.networks {
            let rows = [
                ("training", network.training, network.training_speedup),
                ("search", network.search, None),
                ("inference", network.inference, network.inference_speedup),
            ];
            for (step, timing, speedup) in rows {
                let Some(Timing { milliseconds: Spread { lower, median, upper }, images_per_second }) =
                    timing
                else {
                    continue;
                };
                table.add_row([
                    network.name.clone(),
                    short(network.macs),
                    step.to_owned(),
                    three_digits(images_per_second),
                    three_digits(median),
                    format!("{} - {}", three_digits(lower), three_digits(upper)),
                    speedup.map_or_else(|| "-".to_owned(), |speedup| format!("{:.2}", speedup.median)),
                ]);
            }
        }
        for (index, column) in table.column_iter_mut().enumerate() {
            if index != 0 && index != 2 {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let Self { name, trial, precision, image_size, channels, .. } = self;
        let search = self.search_over_training.map_or_else(String::new, |Spread { lower, median, upper }| {
            format!("a search step takes {median:.3} training steps (quartiles {lower:.3} - {upper:.3})\n")
        });
        format!(
            "{name}, {trial}: images of {channels} x {image_size} x {image_size}, in {precision}\n\n{}\n{search}",
            lines(&mut table)
        )
    }
}

/// A number with at least three digits.
pub(super) fn three_digits(value: f64) -> String {
    let decimals = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_and_quartiles_of_known_values() {
        let spread = |values: &[f64]| Spread::of(values.iter().copied());
        assert_eq!(spread(&[5.0, 1.0, 3.0, 2.0, 4.0]), Spread { lower: 2.0, median: 3.0, upper: 4.0 });
        assert_eq!(spread(&[1.0, 2.0]), Spread { lower: 1.25, median: 1.5, upper: 1.75 });
        assert_eq!(spread(&[7.0]), Spread { lower: 7.0, median: 7.0, upper: 7.0 });
    }

    #[test]
    fn a_table_has_a_line_for_each_measurement_in_80_columns() {
        let spread = |median| Spread { lower: median * 0.99, median, upper: median * 1.01 };
        let timing =
            |median| Some(Timing { milliseconds: spread(median), images_per_second: 16_000.0 / median });
        let dense = BenchedNetwork {
            name: "dense".to_owned(),
            params: 5_717_416,
            macs: 1_258_000_000,
            training: timing(1312.0),
            search: timing(1330.0),
            inference: timing(310.0),
            training_speedup: Some(spread(1.0)),
            inference_speedup: Some(spread(1.0)),
        };
        let small = BenchedNetwork {
            name: "share-0.5-0.5-0.7".to_owned(),
            search: None,
            inference_speedup: Some(spread(1.62)),
            ..dense.clone()
        };
        let benchmark = Benchmark {
            device: "cpu, 2 threads".to_owned(),
            batch: 16,
            rounds: 9,
            experiments: vec![BenchedExperiment {
                name: "deit".to_owned(),
                trial: "seed=1".to_owned(),
                precision: "bf16".to_owned(),
                image_size: 224,
                channels: 3,
                networks: vec![dense, small],
                search_over_training: Some(spread(1.014)),
            }],
        };
        let table = benchmark.table();
        assert!(table.lines().all(|line| line.len() <= 80), "{table}");
        let words = |start: &str| -> Vec<Vec<&str>> {
            table.lines().filter(|l| l.starts_with(start)).map(|l| l.split_whitespace().collect()).collect()
        };
        assert_eq!(words("dense").len(), 3, "{table}");
        assert_eq!(
            words("share")[1],
            ["share-0.5-0.5-0.7", "1.26", "G", "inference", "51.6", "310", "307", "-", "313", "1.62"]
        );
        assert!(table.contains("a search step takes 1.014 training steps"), "{table}");
        assert!(table.contains("deit, seed=1: images of 3 x 224 x 224, in bf16"), "{table}");
        assert!(table.contains("9 rounds at a batch of 16 on cpu, 2 threads"), "{table}");
    }
}
