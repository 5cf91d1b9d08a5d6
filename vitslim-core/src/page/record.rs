//! The epochs in `metrics.jsonl`.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A line of the record, as far as a page shows it. A value that is not finite is null.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Line {
    pub(super) stage: String,
    pub(super) subnet: Option<String>,
    pub(super) epoch: usize,
    step: Option<usize>,
    pub(super) train: BTreeMap<String, Option<f64>>,
    #[serde(default)]
    pub(super) held_out: BTreeMap<String, Option<f64>>,
    /// By the path of the dimension.
    #[serde(default)]
    pub(super) masks: BTreeMap<String, MaskStatistics>,
}

/// Statistics of the masks of one dimension.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct MaskStatistics {
    #[serde(rename = "share_under_0.05")]
    pub(super) closed: f64,
    pub(super) histogram: Histogram,
}

/// Number of masks in each of equal bins from the smallest value to the largest.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Histogram {
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) counts: Vec<usize>,
}

/// The lines of `text` that cover whole epochs. A run that is at work may be writing the last line: what cannot be read is left out.
pub(super) fn epochs(text: &str) -> Vec<Line> {
    let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok());
    lines.filter(|line: &Line| line.step.is_none()).collect()
}

/// The name of the dimension at `path`: `hidden` of `blocks.3.mlp.hidden`.
pub(super) fn name(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// Where the dimension at `path` is: `blocks.3.mlp` of `blocks.3.mlp.hidden`, and its name if the network itself has it.
pub(super) fn place(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(place, _)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_torn_lines_are_no_epochs() {
        let text = r#"{"stage":"search","epoch":1,"step":50,"seconds":1.0,"train":{"loss":1.0}}
{"stage":"search","epoch":1,"seconds":2.0,"train":{"loss":null},"masks":{"a.hidden":{"mean":1.0,"share_under_0.05":0.5,"histogram":{"min":0.0,"max":1.0,"counts":[1,1]}}}}
{"stage":"retr"#;
        let epochs = epochs(text);
        assert_eq!((epochs.len(), epochs[0].train["loss"]), (1, None));
        assert_eq!(epochs[0].masks["a.hidden"].closed, 0.5);
        assert_eq!([name("a.b.hidden"), place("a.b.hidden")], ["hidden", "a.b"]);
        assert_eq!([name("width"), place("width")], ["width", "width"]);
    }
}
