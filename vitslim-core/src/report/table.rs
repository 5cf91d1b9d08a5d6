//! The table at the end of a run, and what all tables share.

use comfy_table::{CellAlignment, Table, presets};

use super::{SubnetSummary, Summary};

/// Columns of a standard terminal.
pub(super) const WIDTH: usize = 80;

/// Columns for the name of a network.
const NAME_WIDTH: usize = 17;

/// Digits of a fingerprint that a table shows.
pub(super) const SHOWN: usize = 12;

/// A table of the dense network and the sub-networks of a run, the shares that each sub-network keeps, and what the columns
/// mean, in at most 80 columns. Long labels break between their numbers.
pub fn table(summary: &Summary) -> String {
    let mut table = plain();
    table.set_header([
        "\nnetwork",
        "\nparams",
        "\nMACs",
        "\ntop-1",
        "top-1\nretrained",
        "images\n/s",
        "speed\n-up",
        "masked_vs\n_sliced",
    ]);
    let dense = &summary.dense;
    table.add_row([
        "dense".to_owned(),
        short(dense.params as u64),
        short(dense.macs),
        format!("{:.4}", dense.top1),
        "-".into(),
        "-".into(),
        "1.00".into(),
        "-".into(),
    ]);
    for subnet in &summary.subnets {
        table.add_row([
            textwrap::fill(&subnet.label, NAME_WIDTH),
            short(subnet.params as u64),
            short(subnet.macs),
            format!("{:.4}", subnet.top1_sliced),
            fraction(subnet.top1_retrained),
            format!("{:.0}", subnet.images_per_second),
            format!("{:.2}", subnet.speedup),
            format!("{:.0e}", subnet.masked_vs_sliced),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = lines(&mut table) + "\n";
    for subnet in &summary.subnets {
        push(&mut text, &format!("{} keeps {}", subnet.label, kept(subnet)));
    }
    text.push('\n');
    push(&mut text, "top-1 on the test split, of sub-networks right after slicing and after retraining");
    push(&mut text, &format!("images/s at a batch of 64 on {}", summary.device));
    push(&mut text, "speed-up over the dense network, measured side by side");
    for subnet in &summary.subnets {
        if let Some(latency) = &subnet.latency {
            push(&mut text, &format!("{}: {latency}", subnet.label));
        }
    }
    if let Some(start) = &summary.start {
        push(&mut text, &starts_as(start));
    }
    for subnet in summary.subnets.iter().filter(|subnet| subnet.speedup < 1.0) {
        let percent = 100.0 * subnet.macs as f64 / summary.dense.macs as f64;
        push(
            &mut text,
            &format!(
                "{} is slower than the dense network here, although it has {percent:.0} % of its MACs",
                subnet.label
            ),
        );
    }
    text
}

/// A table without lines.
pub(super) fn plain() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}

/// The lines of `table`, with two spaces between columns.
pub(super) fn lines(table: &mut Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// The name of a trial in at most `width` columns, broken after commas: `hidden.weight=1e-5,` and below it `seed=1`.
pub(super) fn trial_name(name: &str, width: usize) -> String {
    broken_after(",", name, width)
}

/// `text`, which has no spaces, in at most `width` columns, broken after `mark` first.
pub(super) fn broken_after(mark: &str, text: &str, width: usize) -> String {
    // `textwrap` breaks at spaces first.
    let spaced = format!("{mark} ");
    broken(&text.replace(mark, &spaced), width).replace(&spaced, mark)
}

/// `text` in at most `width` columns, broken at spaces first, and after no hyphen.
pub(super) fn broken(text: &str, width: usize) -> String {
    let options = textwrap::Options::new(width).word_splitter(textwrap::WordSplitter::NoHyphenation);
    textwrap::fill(text, options)
}

/// An accuracy, or `-`.
pub(super) fn fraction(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.4}"))
}

/// Adds a sentence to `text`, broken into lines.
pub(super) fn push(text: &mut String, sentence: &str) {
    text.push_str(&textwrap::fill(sentence, textwrap::Options::new(WIDTH).subsequent_indent("  ")));
    text.push('\n');
}

/// What the results of a run are of that starts from the network at `start`.
pub(super) fn starts_as(start: &str) -> String {
    format!("dense starts as {start}: shares and speed-ups are of that, not of what that was cut out of")
}

/// The shares that a sub-network keeps: `0.500 of head_dim, 0.698 of tokens`.
fn kept(subnet: &SubnetSummary) -> String {
    let share = |share: &serde_json::Value| share.as_f64().map_or_else(|| "-".into(), |s| format!("{s:.3}"));
    let shares = subnet.kept.iter().map(|(name, value)| format!("{} of {name}", share(value)));
    shares.collect::<Vec<_>>().join(", ")
}

/// A count with a unit: `5.72 M`.
pub(crate) fn short(count: u64) -> String {
    let count = count as f64;
    let (value, unit) = match count {
        1e9.. => (count / 1e9, " G"),
        1e6.. => (count / 1e6, " M"),
        1e3.. => (count / 1e3, " k"),
        _ => return format!("{count}"),
    };
    let decimals = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.decimals$}{unit}")
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::report::{BudgetSummary, DenseSummary, SearchSummary, Seconds};

    fn summary(labels: &[&str]) -> Summary {
        let kept: Map<String, Value> = ["tokens", "head_dim", "hidden", "width"]
            .map(|name| (name.to_owned(), json!(0.123_456)))
            .into_iter()
            .collect();
        let subnet = |label: &&str| SubnetSummary {
            label: (*label).to_owned(),
            budget: BudgetSummary::Share(kept.clone()),
            kept: kept.clone(),
            params: 86_567_656,
            macs: 16_848_000_000,
            top1_sliced: 0.123_456,
            top1_retrained: Some(0.765_432),
            masked_vs_sliced: 1.234e-7,
            images_per_second: 1_234_567.8,
            speedup: 0.97,
            latency: None,
        };
        Summary {
            name: "long".into(),
            trial: "seed=1".into(),
            device: "cpu, 128 threads, f32".into(),
            seconds: Seconds::default(),
            start: Some("runs/a_name_that_is_longer/seed=12345678/share-0.123456789-0.987654321".into()),
            dense: DenseSummary { params: 86_567_656, macs: 17_563_000_000, top1: 0.9 },
            search: Some(SearchSummary { epochs: 1, top1_soft: 0.9 }),
            subnets: labels.iter().map(subnet).collect(),
        }
    }

    #[test]
    fn the_table_fits_80_columns_whatever_the_labels() {
        let long = "share-0.123456789-0.987654321-0.5-0.25-2";
        let unbroken = "a_label_that_has_no_place_to_break_it_at_and_goes_on_and_on_and_on_without_an_end";
        for label in ["share-0.5", "share-0.7-0.7-0.8", long, unbroken] {
            let table = table(&summary(&["share-0.5", label]));
            for line in table.lines() {
                assert!(line.chars().count() <= WIDTH, "{} columns: {table}", line.chars().count());
            }
            // The numbers of a row stay whole and on one line.
            let row = ["86.6 M", "16.8 G", "0.1235", "0.7654", "1234568", "0.97", "1e-7"];
            let rows = table.lines().filter(|line| row.iter().all(|number| line.contains(number)));
            assert_eq!(rows.count(), 2, "{table}");
        }
    }

    #[test]
    fn a_label_breaks_between_its_numbers() {
        let table = table(&summary(&["share-0.123456789-0.987654321-0.5-0.25-2"]));
        let starts: Vec<&str> =
            table.lines().skip(3).map_while(|line| line.split_whitespace().next()).collect();
        assert!(starts.len() > 1, "{table}");
        assert_eq!(starts.concat(), "share-0.123456789-0.987654321-0.5-0.25-2", "{table}");
        for start in &starts[..starts.len() - 1] {
            assert!(start.ends_with('-'), "{table}");
        }
    }

    #[test]
    fn names_of_trials_break_after_a_comma() {
        assert_eq!(trial_name("a=1,bc=2,seed=0", 20), "a=1,bc=2,seed=0");
        assert_eq!(trial_name("a=1,bc=2-3,seed=0", 13), "a=1,bc=2-3,\nseed=0");
        assert_eq!(trial_name("abcdefgh", 4), "abcd\nefgh");
    }

    #[test]
    fn counts_have_three_digits_and_a_unit() {
        let counts = [7, 999, 1000, 12_345, 300_500, 5_717_416, 1_258_000_000];
        let shown = counts.map(short);
        assert_eq!(shown, ["7", "999", "1.00 k", "12.3 k", "300 k", "5.72 M", "1.26 G"]);
    }
}
