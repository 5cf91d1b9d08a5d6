//! The table that a run ends with.

use comfy_table::{CellAlignment, Table, presets};

use super::{SubnetSummary, Summary};

/// The dense network and the sub-networks of a run, a line each, in at most 80 columns while labels are short; below it
/// what each sub-network keeps, and what the columns mean.
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
            subnet.label.clone(),
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
        text.push_str(&format!("{} keeps {}\n", subnet.label, kept(subnet)));
    }
    text.push_str(&format!(
        "\ntop-1 of the test part, of sub-networks right after slicing and after retraining\nimages/s at a batch of 64 on \
         {}\nspeed-up over the dense network, measured side by side\n",
        summary.device
    ));
    for subnet in summary.subnets.iter().filter(|subnet| subnet.speedup < 1.0) {
        text.push_str(&format!(
            "{} is slower than the dense network here, although it has {:.0} % of its MACs\n",
            subnet.label,
            100.0 * subnet.macs as f64 / summary.dense.macs as f64,
        ));
    }
    text
}

/// A table without lines.
pub(super) fn plain() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}

/// The lines of `table`, two spaces between columns.
pub(super) fn lines(table: &mut Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// An accuracy.
pub(super) fn fraction(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.4}"))
}

/// The shares that a sub-network keeps: `0.500 of head_dim, 0.698 of tokens`.
fn kept(subnet: &SubnetSummary) -> String {
    let share = |share: &serde_json::Value| share.as_f64().map_or_else(|| "-".into(), |s| format!("{s:.3}"));
    let shares = subnet.kept.iter().map(|(name, value)| format!("{} of {name}", share(value)));
    shares.collect::<Vec<_>>().join(", ")
}

/// A count with a unit: `5.72 M`.
pub(super) fn short(count: u64) -> String {
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
    use super::short;

    #[test]
    fn counts_have_three_digits_and_a_unit() {
        let counts = [7, 999, 1000, 12_345, 300_500, 5_717_416, 1_258_000_000];
        let shown = counts.map(short);
        assert_eq!(shown, ["7", "999", "1.00 k", "12.3 k", "300 k", "5.72 M", "1.26 G"]);
    }
}
