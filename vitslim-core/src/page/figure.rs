//! Figures: drawings with their numbers.

use data_encoding::BASE64;
use serde::Serialize;

use super::scale::Tick;

/// Width of a drawing that fits a phone, in pixels.
pub(super) const WIDTH: f64 = 380.0;

/// Colours of series, after which they begin again: classes `s0`, `s1` and so on of the style sheet.
const COLOURS: usize = 8;

/// The colour of series number `index`.
pub(super) fn colour(index: usize) -> String {
    format!("s{}", index % COLOURS)
}

/// A figure of a page.
#[derive(Serialize)]
pub(super) struct Figure {
    pub(super) title: String,
    pub(super) caption: String,
    pub(super) plot: Plot,
    /// Its numbers.
    pub(super) data: Download,
}

/// A file that is in the page.
#[derive(Serialize)]
pub(super) struct Download {
    pub(super) name: String,
    pub(super) url: String,
}

impl Download {
    /// The file `name` with this `text`, of a type such as `text/csv`.
    pub(super) fn new(name: String, kind: &str, text: &str) -> Self {
        Self { name, url: data_url(kind, text.as_bytes()) }
    }

    /// A table as a CSV file that is called `name`, a part of which may be a label.
    ///
    /// # Errors
    ///
    /// When the `csv` crate cannot write it, which does not happen.
    pub(super) fn csv<const N: usize>(
        name: &str,
        head: [&str; N],
        rows: impl IntoIterator<Item = [String; N]>,
    ) -> Result<Self, csv::Error> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(head)?;
        rows.into_iter().try_for_each(|row| writer.write_record(row))?;
        let bytes = writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
        let is_plain = |c: &char| c.is_ascii_alphanumeric() || "-_.".contains(*c);
        let name: String = name.chars().map(|c| if is_plain(&c) { c } else { '-' }).collect();
        Ok(Self { name: name + ".csv", url: data_url("text/csv", &bytes) })
    }
}

/// `bytes` as the address of themselves.
pub(super) fn data_url(kind: &str, bytes: &[u8]) -> String {
    format!("data:{kind};base64,{}", BASE64.encode(bytes))
}

/// A drawing in pixels, from the top left corner.
#[derive(Default, Serialize)]
pub(super) struct Plot {
    pub(super) width: f64,
    pub(super) height: f64,
    /// What it shows, for whoever does not see it.
    pub(super) text: String,
    pub(super) frame: Frame,
    pub(super) x: Axis,
    pub(super) y: Axis,
    /// Vertical lines with a text at their top.
    pub(super) rules: Vec<Tick>,
    pub(super) cells: Vec<Cell>,
    pub(super) lines: Vec<Line>,
    pub(super) points: Vec<Point>,
    pub(super) labels: Vec<Label>,
}

/// Where the axes are.
#[derive(Clone, Copy, Default, Serialize)]
pub(super) struct Frame {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

impl Frame {
    /// The frame in a drawing of this size that leaves these margins.
    pub(super) fn inside([width, height]: [f64; 2], [left, right, top, bottom]: [f64; 4]) -> Self {
        Self { left, right: width - right, top, bottom: height - bottom }
    }

    /// From its left to its right.
    pub(super) fn across(self) -> [f64; 2] {
        [self.left, self.right]
    }

    /// From its bottom to its top.
    pub(super) fn up(self) -> [f64; 2] {
        [self.bottom, self.top]
    }
}

#[derive(Default, Serialize)]
pub(super) struct Axis {
    pub(super) label: String,
    pub(super) ticks: Vec<Tick>,
    /// Whether lines go across the drawing at its ticks.
    pub(super) is_grid: bool,
}

/// A rectangle, the stronger coloured the larger its value is.
#[derive(Serialize)]
pub(super) struct Cell {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    /// From 0 to 1.
    pub(super) strength: f64,
    pub(super) name: String,
    /// What is written in it.
    pub(super) text: String,
}

#[derive(Serialize)]
pub(super) struct Line {
    pub(super) colour: String,
    pub(super) is_dashed: bool,
    /// As SVG writes them.
    pub(super) points: String,
    pub(super) name: String,
}

impl Line {
    pub(super) fn new(colour: String, name: String, points: &[(f64, f64)]) -> Self {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        Self { colour, is_dashed: false, points: points.join(" "), name }
    }

    pub(super) fn dashed(self) -> Self {
        Self { is_dashed: true, ..self }
    }
}

#[derive(Serialize)]
pub(super) struct Point {
    pub(super) colour: String,
    pub(super) is_hollow: bool,
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) name: String,
}

/// A text beside what it is about.
#[derive(Serialize)]
pub(super) struct Label {
    pub(super) colour: String,
    pub(super) x: f64,
    pub(super) y: f64,
    /// Which end of it is at `x`: `start`, `middle` or `end`.
    pub(super) anchor: &'static str,
    pub(super) text: String,
}

/// Moves `labels` down where two would lie on each other, and all up again that would leave the frame.
pub(super) fn spread(labels: &mut [Label], frame: Frame) {
    const LINE: f64 = 13.0;
    labels.sort_by(|a, b| a.y.total_cmp(&b.y));
    let mut next = f64::NEG_INFINITY;
    for label in labels.iter_mut() {
        label.y = label.y.max(next);
        next = label.y + LINE;
    }
    let mut last = frame.bottom;
    for label in labels.iter_mut().rev() {
        label.y = label.y.min(last);
        last = label.y - LINE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_do_not_lie_on_each_other() {
        let label = |y: f64| Label { colour: colour(9), x: 0.0, y, anchor: "start", text: String::new() };
        let mut labels = [50.0, 48.0, 99.0, 98.0].map(label);
        spread(&mut labels, Frame::inside([100.0, 100.0], [0.0; 4]));
        assert_eq!(labels.each_ref().map(|label| label.y), [48.0, 61.0, 87.0, 100.0]);
        assert_eq!(labels[0].colour, "s1");
    }

    #[test]
    fn a_table_is_an_address_of_itself() {
        let row = ["a,b".to_owned(), "1".to_owned()];
        let file = Download::csv("masks of <i>", ["name", "value"], [row]).unwrap();
        assert_eq!(file.name, "masks-of--i-.csv");
        let encoded = file.url.strip_prefix("data:text/csv;base64,").unwrap();
        assert_eq!(BASE64.decode(encoded.as_bytes()).unwrap(), b"name,value\n\"a,b\",1\n");
    }
}
