//! `frontier.json`: how accurate networks of many sizes are that one search leaves.

use comfy_table::CellAlignment;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::table::{lines, plain, push, short};

/// Columns of the plot, so that a line has at most 80.
const PLOT_WIDTH: usize = 36;

/// Networks of many sizes out of one search, right after slicing, the smallest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Frontier {
    /// What limits their sizes: `Macs` or `Params`.
    pub of: String,
    /// The split that they were evaluated on: `test` or `held_out`.
    pub split: String,
    /// The networks.
    pub points: Vec<FrontierPoint>,
}

/// One of the networks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrontierPoint {
    /// The budget that leaves it, as `vitslim slim --budget` takes it.
    pub budget: String,
    /// What it is called once it is cut by that.
    pub label: String,
    /// Fraction of the prunable units that is kept, for each searched dimension.
    pub kept: Map<String, Value>,
    /// Number of parameters.
    pub params: usize,
    /// Multiply-adds for one image.
    pub macs: u64,
    /// Top-1 accuracy on the split.
    pub top1: f64,
}

impl Frontier {
    /// A line for each network with a plot of its accuracy, from the lowest to the highest, in at most 80 columns. The plot is our own: the
    /// rows of the table are its axis, which crates that plot in the terminal do not have.
    pub fn table(&self) -> String {
        let top1 = || self.points.iter().map(|point| point.top1);
        let (low, high) = (top1().fold(f64::INFINITY, f64::min), top1().fold(0.0, f64::max));
        let mut table = plain();
        let ends = [low, high].map(|end| format!("{end:.4}"));
        let axis = format!("{}{:>width$}", ends[0], ends[1], width = PLOT_WIDTH - ends[0].len());
        table.set_header(["budget", "params", "MACs", "top-1", &axis]);
        for point in &self.points {
            let part = if high > low { (point.top1 - low) / (high - low) } else { 1.0 };
            let before = (part * (PLOT_WIDTH - 1) as f64).round() as usize;
            table.add_row([
                point.budget.clone(),
                short(point.params as u64),
                short(point.macs),
                format!("{:.4}", point.top1),
                ".".repeat(before) + "o",
            ]);
        }
        for column in table.column_iter_mut().skip(1).take(3) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let mut text = lines(&mut table) + "\n";
        push(
            &mut text,
            &format!("top-1 on the {} split, right after slicing: nothing is retrained", self.split),
        );
        push(
            &mut text,
            "`vitslim slim RUN --budget BUDGET` leaves the network of a line, and retrains it with `--retrain`",
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_draws_each_accuracy_between_the_lowest_and_the_highest() {
        let point = |share: f64, top1: f64| FrontierPoint {
            budget: format!("Params({share})"),
            label: format!("params-{share}"),
            kept: Map::new(),
            params: 999_999_999,
            macs: 999_999_999_999,
            top1,
        };
        let frontier = |points: Vec<FrontierPoint>| {
            Frontier { of: "Params".to_owned(), split: "held_out".to_owned(), points }.table()
        };
        let table = frontier(vec![point(0.123, 0.25), point(0.5, 0.5), point(1.0, 0.75)]);
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
        let plot: Vec<&str> = table.lines().map(|line| line.rsplit("  ").next().unwrap_or("")).collect();
        let middle = ".".repeat(PLOT_WIDTH / 2) + "o";
        let last = ".".repeat(PLOT_WIDTH - 1) + "o";
        assert_eq!(plot[1..4], ["o", &middle, &last], "{table}");
        assert!(table.lines().next().unwrap().ends_with("0.7500") && table.contains("held_out"), "{table}");
        // Of one network, or several that are alike.
        assert!(frontier(vec![point(1.0, 0.5)]).lines().nth(1).unwrap().ends_with(&last));
        frontier(Vec::new());
    }
}
