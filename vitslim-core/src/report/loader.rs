//! The speed of loaders, as a table and as JSON.

use comfy_table::CellAlignment;
use serde::Serialize;

use super::benchmark::{Spread, three_digits};
use super::table::{lines, plain};
use crate::terminal::counted;

/// Loaders measured side by side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoaderBenchmark {
    /// Images per batch.
    pub batch: usize,
    /// Rounds; each measures every loader once.
    pub rounds: usize,
    /// The experiments of the loaders.
    pub experiments: Vec<BenchedLoader>,
}

/// The loaders of one experiment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BenchedLoader {
    /// Name of the experiment.
    pub name: String,
    /// Name of the trial.
    pub trial: String,
    /// Height and width of an image in pixels.
    pub image_size: usize,
    /// Channels of an image.
    pub channels: usize,
    /// Threads that prepare batches ahead; with 0, each batch is prepared when it is needed.
    pub threads: usize,
    /// Images per second of the training split, augmented.
    pub training_images_per_second: Spread,
    /// Images per second of the test split.
    pub evaluation_images_per_second: Spread,
}

impl LoaderBenchmark {
    /// Each experiment with its loaders, in at most 80 columns, and a line that explains the columns.
    pub fn table(&self) -> String {
        let experiments = self.experiments.iter().map(BenchedLoader::table);
        format!(
            "{}medians of {} at a batch of {}, without a network\n",
            experiments.collect::<String>(),
            counted(self.rounds, "round", "rounds"),
            self.batch,
        )
    }
}

impl BenchedLoader {
    fn table(&self) -> String {
        let mut table = plain();
        table.set_header(["images to", "images/s", "quartiles"]);
        for (purpose, Spread { lower, median, upper }) in
            [("train", self.training_images_per_second), ("evaluate", self.evaluation_images_per_second)]
        {
            let quartiles = format!("{} - {}", three_digits(lower), three_digits(upper));
            table.add_row([purpose.to_owned(), three_digits(median), quartiles]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let Self { name, trial, image_size, channels, threads, .. } = self;
        let prepared = match threads {
            0 => "prepared when they are needed".to_owned(),
            threads => format!("prepared ahead by {}", counted(*threads, "thread", "threads")),
        };
        format!(
            "{name}, {trial}: images of {channels} x {image_size} x {image_size}, {prepared}\n\n{}\n",
            lines(&mut table)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_line_for_each_loader_in_80_columns() {
        let spread = |median| Spread { lower: median * 0.9, median, upper: median * 1.1 };
        let loader = BenchedLoader {
            name: "deit".to_owned(),
            trial: "seed=1".to_owned(),
            image_size: 224,
            channels: 3,
            threads: 2,
            training_images_per_second: spread(1230.0),
            evaluation_images_per_second: spread(80.0),
        };
        let in_turn = BenchedLoader { threads: 0, ..loader.clone() };
        let table = LoaderBenchmark { batch: 64, rounds: 1, experiments: vec![loader, in_turn] }.table();
        assert!(table.lines().all(|line| line.len() <= 80), "{table}");
        let words = |start: &str| -> Vec<&str> {
            let line = table.lines().find(|line| line.starts_with(start));
            line.unwrap_or_else(|| panic!("{table}")).split_whitespace().collect()
        };
        assert_eq!(words("train"), ["train", "1230", "1107", "-", "1353"]);
        assert_eq!(words("evaluate"), ["evaluate", "80.0", "72.0", "-", "88.0"]);
        assert!(table.contains("deit, seed=1: images of 3 x 224 x 224, prepared ahead by 2 threads\n"));
        assert!(table.contains("deit, seed=1: images of 3 x 224 x 224, prepared when they are needed\n"));
        assert!(table.contains("medians of 1 round at a batch of 64, without a network"));
    }
}
