//! Scales of axes and their ticks, which `plotters` computes.
//!
//! Its own drawings have fixed colours, and marks without names. The templates draw the marks instead: in colours that follow light and
//! dark, each with a name for whoever points at it or listens.

use plotters::coord::combinators::{IntoLogRange, LogCoord};
use plotters::coord::ranged1d::{BoldPoints, Ranged};
use plotters::coord::types::RangedCoordf64;
use serde::Serialize;

use crate::terminal::three_digits;

/// Parts of a pixel that positions are rounded to.
const PARTS: i32 = 100;

/// Share of the range of values that is added at both of its ends.
const MARGIN: f64 = 0.06;

/// From values to pixels.
pub(super) struct Scale {
    coordinate: Coordinate,
    from: f64,
    to: f64,
}

enum Coordinate {
    Linear(RangedCoordf64),
    Logarithmic(LogCoord<f64>),
}

/// A labelled place on an axis, in pixels.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Tick {
    pub(super) at: f64,
    pub(super) label: String,
}

impl Scale {
    /// Leads the smallest of `values` almost to the pixel `from`, and the largest almost to `to`. Values that are not finite do not count.
    pub(super) fn around(values: impl IntoIterator<Item = f64>, [from, to]: [f64; 2]) -> Self {
        let (least, most) = range(values);
        let margin = match most - least {
            width if width > 0.0 => width * MARGIN,
            _ if least == 0.0 => return Self::between([0.0, 1.0], [from, to]),
            _ => least.abs() * MARGIN,
        };
        Self::between([least - margin, most + margin], [from, to])
    }

    /// Leads 0 to the pixel `from`, and the largest of `values` almost to `to`.
    pub(super) fn from_zero(values: impl IntoIterator<Item = f64>, [from, to]: [f64; 2]) -> Self {
        let (_, most) = range(values);
        let most = if most > 0.0 { most * (1.0 + MARGIN) } else { 1.0 };
        Self::between([0.0, most], [from, to])
    }

    /// Leads the two values to the two pixels.
    pub(super) fn between([least, most]: [f64; 2], [from, to]: [f64; 2]) -> Self {
        let most = if most > least { most } else { least + 1.0 };
        Self { coordinate: Coordinate::Linear((least..most).into()), from, to }
    }

    /// Likewise, by the logarithms of the values, which are positive.
    pub(super) fn logarithmic([least, most]: [f64; 2], [from, to]: [f64; 2]) -> Self {
        let most = if most > least { most } else { least * 10.0 };
        Self { coordinate: Coordinate::Logarithmic((least..most).log_scale().into()), from, to }
    }

    /// The pixel of `value`.
    pub(super) fn at(&self, value: f64) -> f64 {
        let length = (self.to - self.from).abs();
        let limit = (0, (length * f64::from(PARTS)).round() as i32);
        let along = match &self.coordinate {
            Coordinate::Linear(linear) => linear.map(&value, limit),
            Coordinate::Logarithmic(logarithmic) => logarithmic.map(&value, limit),
        };
        let position = self.from + (self.to - self.from).signum() * f64::from(along) / f64::from(PARTS);
        (position * f64::from(PARTS)).round() / f64::from(PARTS)
    }

    /// At most `most` ticks at round values.
    pub(super) fn ticks(&self, most: usize) -> Vec<Tick> {
        self.labelled(&self.round_values(most))
    }

    /// At most `most` ticks at whole numbers.
    pub(super) fn whole_ticks(&self, most: usize) -> Vec<Tick> {
        let mut values = self.round_values(most);
        values.retain(|value| value.fract() == 0.0);
        self.labelled(&values)
    }

    fn round_values(&self, most: usize) -> Vec<f64> {
        match &self.coordinate {
            Coordinate::Logarithmic(logarithmic) => logarithmic.key_points(BoldPoints(most)),
            Coordinate::Linear(linear) => {
                let range = linear.range();
                // What is 0 but for rounding is 0.
                let least = (range.end - range.start) * 1e-9;
                let values = linear.key_points(BoldPoints(most)).into_iter();
                values.map(|value| if value.abs() < least { 0.0 } else { value }).collect()
            }
        }
    }

    fn labelled(&self, values: &[f64]) -> Vec<Tick> {
        let decimals = self.decimals(values);
        let label = |value: f64| match decimals {
            Some(decimals) if value != 0.0 => format!("{value:.decimals$}"),
            _ => short(value),
        };
        values.iter().map(|value| Tick { at: self.at(*value), label: label(*value) }).collect()
    }

    /// As many decimals as tell `values` apart; `None` if they have a unit or an exponent, or different steps.
    fn decimals(&self, values: &[f64]) -> Option<usize> {
        let (Coordinate::Linear(_), [first, second, ..]) = (&self.coordinate, values) else { return None };
        let most = values.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
        // The step is a round number: the little that it may be off does not count.
        let decimals = (-(second - first).log10() - 1e-6).ceil().max(0.0);
        ((1e-3..1e4).contains(&most) && decimals < 8.0).then_some(decimals as usize)
    }
}

/// The smallest and the largest of `values`, or 0 and 1 if there are none.
fn range(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let finite = values.into_iter().filter(|value| value.is_finite());
    let range = finite.fold(None, |range: Option<(f64, f64)>, value| {
        Some(range.map_or((value, value), |(least, most)| (least.min(value), most.max(value))))
    });
    range.unwrap_or((0.0, 1.0))
}

/// `value` in three digits, with a unit or an exponent where that is shorter: `2.5 M`, `0.05`, `5e-6`.
pub(super) fn short(value: f64) -> String {
    let (size, unit) = match value.abs() {
        1e9.. => (1e9, " G"),
        1e6.. => (1e6, " M"),
        1e4.. => (1e3, " k"),
        0.0 | 1e-3.. => (1.0, ""),
        _ => return format!("{:e}", three_digits(value)),
    };
    format!("{}{unit}", three_digits(value / size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_lie_between_the_ends() {
        let scale = Scale::around([0.93, 0.98], [200.0, 20.0]);
        let ticks = scale.ticks(6);
        let labels: Vec<&str> = ticks.iter().map(|tick| tick.label.as_str()).collect();
        assert_eq!(labels, ["0.93", "0.94", "0.95", "0.96", "0.97", "0.98"]);
        assert!(ticks.iter().all(|tick| (20.0..=200.0).contains(&tick.at)), "{ticks:?}");
        assert!(scale.at(0.98) < scale.at(0.93), "larger values are higher up");
        let labels = |ticks: Vec<Tick>| ticks.into_iter().map(|tick| tick.label).collect::<Vec<_>>();
        // Steps of 2e-4 do not quite lead to 0.
        let rates = Scale::around([4.7e-8, 1e-3], [200.0, 20.0]).ticks(6);
        assert_eq!(labels(rates), ["0", "0.0002", "0.0004", "0.0006", "0.0008", "0.0010"]);
        let close = labels(Scale::around([0.7748, 0.7762], [0.0, 100.0]).ticks(5));
        assert_eq!(close, ["0.7750", "0.7755", "0.7760"]);
        assert_eq!(labels(Scale::between([0.0, 2.0], [0.0, 100.0]).whole_ticks(8)), ["0", "1", "2"]);
        let decades = Scale::logarithmic([5e-6, 5e-4], [0.0, 100.0]);
        assert_eq!(decades.at(5e-5), 50.0);
        assert_eq!(decades.ticks(4).first().map(|tick| tick.label.clone()).as_deref(), Some("1e-5"));
    }

    #[test]
    fn values_that_are_alike_missing_or_not_finite_have_a_scale() {
        for values in [vec![], vec![0.5; 3], vec![0.0], vec![f64::NAN, f64::INFINITY]] {
            let scale = Scale::around(values.clone(), [0.0, 100.0]);
            assert!(!scale.ticks(5).is_empty(), "{values:?}");
            assert!(scale.at(0.5).is_finite(), "{values:?}");
        }
        assert_eq!(Scale::from_zero([f64::NAN], [0.0, 100.0]).at(0.0), 0.0);
    }

    #[test]
    fn numbers_are_short() {
        let told = [0.0, 0.05, 5e-6, 1250.0, 12_500.0, 2.5e6, 1.26e9].map(short);
        assert_eq!(told, ["0", "0.05", "5e-6", "1250", "12.5 k", "2.5 M", "1.26 G"]);
    }
}
