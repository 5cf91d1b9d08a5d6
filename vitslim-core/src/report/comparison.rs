//! The report of `vitslim compare`.

use comfy_table::CellAlignment;
use serde::Serialize;

use super::differences::Difference;
use super::listing::ListedRun;
use super::pareto::{Measured, pareto};
use super::run_state::RunState;
use super::table::{WIDTH, broken, broken_after, fraction, lines, plain, push, short, trial_name};

/// Columns for the name of a run; where one is longer, runs are numbered.
const NAME_WIDTH: usize = 18;

/// Columns for the label of a sub-network.
const LABEL_WIDTH: usize = 15;

/// Columns for the path of a field before its values.
const PATH_WIDTH: usize = 36;

/// Columns for the path of a field above its values.
const HEAD_WIDTH: usize = 16;

/// Fewest columns in which values are read with ease.
const VALUE_WIDTH: usize = 12;

/// Spaces between columns.
const GAP: usize = 2;

/// Runs side by side.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The runs, by what of their paths tells them apart.
    pub runs: Vec<ListedRun>,
    /// What differs in their experiments, data, versions and devices: a value for each run.
    pub differences: Vec<Difference>,
    /// Their networks, run by run.
    pub networks: Vec<ComparedNetwork>,
}

/// A network of one of the runs.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ComparedNetwork {
    /// Its run.
    pub run: String,
    /// `dense`, or the label of the sub-network.
    pub network: String,
    /// Number of parameters; `None`, like all that follows, where the run has not come that far.
    pub params: Option<u64>,
    /// Multiply-adds for one image.
    pub macs: Option<u64>,
    /// Top-1 accuracy on the test split: right after slicing, or of the dense network.
    pub top1: Option<f64>,
    /// Top-1 accuracy after retraining.
    pub top1_retrained: Option<f64>,
    /// Speed over that of the dense network of its run.
    pub speedup: Option<f64>,
    /// Whether it is Pareto-best: no network here that was measured on the same images is as small and as accurate, and better in one of
    /// both. Sizes are MACs; accuracies are top-1 as the run left it.
    pub is_best: bool,
    /// What tells the images that it was measured on from others.
    #[serde(skip)]
    pub test: String,
}

impl ComparedNetwork {
    /// Multiply-adds, and the accuracy as the run left it.
    fn measured(&self) -> Option<Measured<'_>> {
        let top1 = self.top1_retrained.or(self.top1)?;
        Some(Measured { test: &self.test, cost: self.macs? as f64, top1 })
    }
}

impl Comparison {
    /// The comparison of `runs`, in which the best of `networks` are marked.
    pub fn new(
        runs: Vec<ListedRun>,
        differences: Vec<Difference>,
        mut networks: Vec<ComparedNetwork>,
    ) -> Self {
        let best = pareto(&networks.iter().map(ComparedNetwork::measured).collect::<Vec<_>>());
        networks.iter_mut().zip(best).for_each(|(network, best)| network.is_best = best);
        Self { runs, differences, networks }
    }

    /// What differs, what came out, and which runs are not complete, in at most 80 columns.
    pub fn table(&self) -> String {
        let mut text = String::new();
        let mut names: Vec<String> = self.runs.iter().map(|run| run.run.display().to_string()).collect();
        if names.iter().any(|name| name.chars().count() > NAME_WIDTH) {
            let digits = names.len().to_string().len();
            for (number, name) in names.iter_mut().enumerate() {
                let number = format!("{:>digits$}", number + 1);
                let indent = " ".repeat(digits + GAP);
                let broken = trial_name(name, WIDTH - indent.len()).replace('\n', &format!("\n{indent}"));
                text += &format!("{number}  {broken}\n");
                *name = number;
            }
            text.push('\n');
        }
        text += &self.differing(&names);
        text.push('\n');
        text += &self.came_out(&names);
        text.push('\n');
        push(&mut text, "top-1 on the test split, of sub-networks right after slicing and after retraining");
        push(&mut text, "speed-up over the dense network of the same run");
        push(&mut text, "* Pareto-best by MACs and top-1, of those that were measured on the same images");
        for run in self.runs.iter().filter(|run| run.state != RunState::Complete) {
            let at = run.stage.as_ref().map_or_else(String::new, |stage| format!(" at {stage}"));
            let why = run.failure.as_ref().map_or_else(String::new, |failure| format!(": {failure}"));
            let state = run.state.name();
            push(&mut text, &format!("{} is not complete: {state}{at}{why}", run.run.display()));
        }
        text
    }

    /// What differs between the runs, which are called `names`: a line for each field and a column for each run, or where that is too wide,
    /// a line for each run.
    fn differing(&self, names: &[String]) -> String {
        let mut text = String::new();
        // A trial that has not begun has no values. One that has begun may have none either: defaults that are not written.
        let is_known = |run: &usize| {
            self.runs[*run].state != RunState::Waiting
                || self.differences.iter().any(|field| field.values.get(*run).is_some_and(Option::is_some))
        };
        let known: Vec<usize> = (0..names.len()).filter(is_known).collect();
        if self.differences.is_empty() {
            push(&mut text, "nothing differs in the experiments, the data, the versions and the devices");
            return text;
        }
        let names: Vec<String> = known.iter().map(|&run| names[run].clone()).collect();
        let values = |field: &Difference| -> Vec<String> {
            let value = |&run: &usize| field.values.get(run).cloned().flatten();
            known.iter().map(|run| value(run).unwrap_or_else(|| "-".to_owned())).collect()
        };
        let fields: Vec<(&str, Vec<String>)> =
            self.differences.iter().map(|field| (field.path.as_str(), values(field))).collect();

        let paths: Vec<String> = fields.iter().map(|(path, _)| broken_after(".", path, PATH_WIDTH)).collect();
        let paths = Column::new("", paths);
        let of_values = ((WIDTH - paths.width) / names.len()).saturating_sub(GAP);
        if of_values >= VALUE_WIDTH {
            let columns = names.iter().enumerate().map(|(run, name)| {
                let cells = fields.iter().map(|(_, values)| broken(&values[run], of_values));
                Column::new(&trial_name(name, of_values), cells.collect())
            });
            return pages(&paths, columns.collect());
        }
        let columns = fields.iter().map(|(path, values)| {
            let cells = values.iter().map(|value| broken(value, VALUE_WIDTH));
            Column::new(&broken_after(".", path, HEAD_WIDTH), cells.collect())
        });
        pages(&Column::new("", names), columns.collect())
    }

    /// What came out of the runs, which are called `names`: a line for each network, and one for each run that has none.
    fn came_out(&self, names: &[String]) -> String {
        let mut table = plain();
        table.set_header([
            "\nrun",
            "\nnetwork",
            "\nparams",
            "\nMACs",
            "\ntop-1",
            "top-1\nretrained",
            "speed\n-up",
            "",
        ]);
        let count = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), short);
        for (run, name) in self.runs.iter().zip(names) {
            let mut name = name.clone();
            let run_name = run.run.display().to_string();
            let networks: Vec<_> = self.networks.iter().filter(|network| network.run == run_name).collect();
            if networks.is_empty() {
                table.add_row([name.clone(), run.state.name().to_owned()]);
            }
            for network in networks {
                table.add_row([
                    std::mem::take(&mut name),
                    textwrap::fill(&network.network, LABEL_WIDTH),
                    count(network.params),
                    count(network.macs),
                    fraction(network.top1),
                    fraction(network.top1_retrained),
                    network.speedup.map_or_else(|| "-".to_owned(), |speedup| format!("{speedup:.2}")),
                    if network.is_best { "*".to_owned() } else { String::new() },
                ]);
            }
        }
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        lines(&mut table)
    }
}

/// A column of a table, its cells already broken into lines.
struct Column {
    head: String,
    cells: Vec<String>,
    width: usize,
}

impl Column {
    fn new(head: &str, cells: Vec<String>) -> Self {
        let width = cells.iter().map(|cell| width(cell)).chain([width(head)]).max().unwrap_or_default();
        Self { head: head.to_owned(), cells, width }
    }
}

/// The most columns that a line of `text` takes.
fn width(text: &str) -> usize {
    text.lines().map(|line| line.chars().count()).max().unwrap_or_default()
}

/// Tables that begin with `first` and have together all `columns`, each table as many as fit beside one another.
fn pages(first: &Column, columns: Vec<Column>) -> String {
    let mut pages: Vec<Vec<Column>> = Vec::new();
    let mut left = 0;
    for column in columns {
        let needed = GAP + column.width;
        match pages.last_mut().filter(|_| needed <= left) {
            Some(page) => {
                left -= needed;
                page.push(column);
            }
            None => {
                left = WIDTH.saturating_sub(first.width + needed);
                pages.push(vec![column]);
            }
        }
    }
    let tables = pages.into_iter().map(|page| {
        let columns: Vec<&Column> = std::iter::once(first).chain(&page).collect();
        let mut table = plain();
        table.set_header(columns.iter().map(|column| &column.head));
        for row in 0..first.cells.len() {
            table.add_row(columns.iter().map(|column| &column.cells[row]));
        }
        lines(&mut table)
    });
    tables.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(run: &str, network: &str, macs: u64, top1: f64) -> ComparedNetwork {
        ComparedNetwork {
            run: run.to_owned(),
            network: network.to_owned(),
            params: Some(86_567_656),
            macs: Some(macs),
            top1: Some(top1),
            speedup: Some(1.5),
            ..ComparedNetwork::default()
        }
    }

    fn run(name: &str, state: RunState) -> ListedRun {
        ListedRun { run: name.into(), state, stage: None, top1: None, subnets: None, failure: None }
    }

    fn difference(path: &str, values: &[&str]) -> Difference {
        let value = |value: &&str| (*value != "-").then(|| (*value).to_owned());
        Difference { path: path.to_owned(), values: values.iter().map(value).collect() }
    }

    #[test]
    fn the_best_are_neither_larger_nor_worse_than_any_on_the_same_images() {
        let retrained = ComparedNetwork { top1_retrained: Some(0.9), ..network("a", "retrained", 100, 0.1) };
        let elsewhere = ComparedNetwork { test: "x".into(), ..network("a", "elsewhere", 500, 0.1) };
        let unmeasured = ComparedNetwork { macs: None, ..network("a", "unmeasured", 0, 1.0) };
        let networks = vec![
            network("a", "dense", 1000, 0.95),
            network("a", "worse", 1000, 0.94),
            network("a", "larger", 200, 0.9),
            retrained,
            network("a", "smallest", 50, 0.2),
            network("b", "as small", 50, 0.2),
            elsewhere,
            unmeasured,
        ];
        let comparison = Comparison::new(Vec::new(), Vec::new(), networks);
        let best = comparison.networks.iter().filter(|network| network.is_best);
        let best: Vec<&str> = best.map(|network| network.network.as_str()).collect();
        assert_eq!(best, ["dense", "retrained", "smallest", "as small", "elsewhere"]);
    }

    #[test]
    fn a_run_that_leaves_out_what_differs_has_a_column_and_one_that_has_not_begun_none() {
        let differences = vec![difference("correct", &["-", "true", "-"])];
        let states = [RunState::Complete, RunState::Running, RunState::Waiting];
        let runs = ["a", "b", "c"].into_iter().zip(states).map(|(name, state)| run(name, state));
        let table = Comparison::new(runs.collect(), differences, Vec::new()).table();
        let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[..2], [vec!["a", "b"], vec!["correct", "-", "true"]], "{table}");
    }

    #[test]
    fn two_runs_have_columns_and_forty_have_lines_in_80_columns() {
        for count in [1, 2, 3, 5, 40] {
            let name = |run: usize| format!("hidden.weight=0.0001,budgets.1.hidden={run},seed=12345678");
            let runs: Vec<_> = (0..count).map(|index| run(&name(index), RunState::Complete)).collect();
            let texts: Vec<String> = (0..count).map(|run| format!("0.{run:03}")).collect();
            let values: Vec<&str> = texts.iter().map(String::as_str).collect();
            let paths =
                ["seed", "search.dimensions.\"blocks.*.attn.head_dim\".weight", "data.path", "device"];
            let long = "\"/a/folder/with/a/name/that/goes/on/and/on/and/has/no/place/to/break/it/at/all\"";
            let mut differences: Vec<_> = paths.iter().map(|path| difference(path, &values)).collect();
            differences[2].values[0] = Some(long.to_owned());
            let networks = (0..count).map(|index| {
                let label = "share-0.123456789-0.987654321-0.5-0.25-2";
                ComparedNetwork {
                    top1_retrained: Some(0.5),
                    ..network(&name(index), label, 17_563_000_000, 0.1)
                }
            });
            let comparison = Comparison::new(runs, differences, networks.collect());
            let table = comparison.table();
            assert!(table.lines().all(|line| line.chars().count() <= WIDTH), "{count} runs: {table}");
            let of_seed = table
                .lines()
                .find(|line| line.starts_with("seed "))
                .map(|line| line.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(of_seed, (count <= 3).then_some(texts), "{table}");
            assert_eq!(table.matches("17.6 G").count(), count, "{table}");
            // By its number, where the name is long.
            assert!(table.contains(&format!("{count}  hidden.weight=0.0001,")), "{table}");
        }
    }

    #[test]
    fn what_is_not_complete_is_told() {
        let failed = ListedRun { failure: Some("it broke".into()), ..run("seed=2", RunState::Failed) };
        let stopped = ListedRun { stage: Some("search, epoch 3".into()), ..run("seed=3", RunState::Stopped) };
        let runs = vec![run("seed=1", RunState::Complete), failed, stopped, run("seed=4", RunState::Waiting)];
        let differences = vec![difference("seed", &["1", "2", "3", "-"])];
        let table = Comparison::new(runs, differences, vec![network("seed=1", "dense", 10, 0.5)]).table();
        for told in [
            "seed=2 is not complete: failed: it broke",
            "seed=3 is not complete: stopped at search, epoch 3",
            "seed=4 is not complete: waiting",
        ] {
            assert!(table.lines().any(|line| line == told), "{table}");
        }
        let head: Vec<&str> = table.lines().next().unwrap_or_default().split_whitespace().collect();
        assert_eq!(head, ["seed=1", "seed=2", "seed=3"], "a run without values has no column: {table}");
        let same = Comparison::new(vec![run("seed=1", RunState::Complete)], Vec::new(), Vec::new()).table();
        assert!(same.starts_with("nothing differs"), "{same}");
    }
}
