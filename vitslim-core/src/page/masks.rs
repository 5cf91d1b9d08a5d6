//! How the masks spread over the epochs of the search: a histogram for each epoch, side by side.

use std::collections::BTreeMap;

use super::error::PageError;
use super::figure::{Axis, Cell, Download, Figure, Frame, Plot, WIDTH};
use super::record::{Histogram, Line, name};
use super::scale::{Scale, Tick, short};

const HEIGHT: f64 = 240.0;

/// Most epochs that have a column.
const COLUMNS: usize = 60;

/// Most epochs whose numbers stand below their columns.
const NAMED: usize = 10;

/// Bins of a histogram.
const BINS: usize = 24;

/// A figure for each name of a searched dimension, with that name.
///
/// # Errors
///
/// When the numbers cannot be written.
pub(super) fn figures(epochs: &[Line]) -> Result<Vec<(String, Figure)>, PageError> {
    let mut by_name: BTreeMap<&str, Vec<(usize, Vec<&Histogram>)>> = BTreeMap::new();
    for line in epochs.iter().filter(|line| line.stage == "search") {
        for (path, masks) in &line.masks {
            let of_epochs = by_name.entry(name(path)).or_default();
            match of_epochs.last_mut().filter(|(epoch, _)| *epoch == line.epoch) {
                Some((_, histograms)) => histograms.push(&masks.histogram),
                None => of_epochs.push((line.epoch, vec![&masks.histogram])),
            }
        }
    }
    by_name.into_iter().map(|(name, epochs)| Ok((name.to_owned(), figure(name, &epochs)?))).collect()
}

fn figure(name: &str, epochs: &[(usize, Vec<&Histogram>)]) -> Result<Figure, PageError> {
    let all = || epochs.iter().flat_map(|(_, histograms)| histograms);
    let least = all().map(|histogram| histogram.min).fold(f64::INFINITY, f64::min);
    let most = all().map(|histogram| histogram.max).fold(f64::NEG_INFINITY, f64::max);
    let most = if most > least { most } else { least + 1.0 };
    let width = (most - least) / BINS as f64;
    let shares: Vec<(usize, [f64; BINS])> =
        epochs.iter().map(|(epoch, histograms)| (*epoch, merged(histograms, least, width))).collect();
    let largest = shares.iter().flat_map(|(_, shares)| shares).copied().fold(f64::MIN_POSITIVE, f64::max);

    let frame = Frame::inside([WIDTH, HEIGHT], [64.0, 12.0, 10.0, 42.0]);
    let y = Scale::between([least, most], frame.up());
    // Of many epochs every second or third, and so on, up to the last.
    let every = shares.len().div_ceil(COLUMNS).max(1);
    let drawn: Vec<_> = shares.iter().rev().step_by(every).collect::<Vec<_>>().into_iter().rev().collect();
    let step = (frame.right - frame.left) / drawn.len().max(1) as f64;
    let column = |index: usize| frame.left + step * index as f64;
    let bin = |bin: usize| least + width * bin as f64;
    let cells = drawn.iter().enumerate().flat_map(|(index, (epoch, shares))| {
        let filled = shares.iter().enumerate().filter(|(_, share)| **share > 0.0);
        filled.map(move |(place, share)| {
            let (top, bottom) = (y_at(frame, place + 1), y_at(frame, place));
            Cell {
                x: column(index),
                y: top,
                width: step,
                height: bottom - top,
                // The root, so that few masks show beside many.
                strength: (share / largest).sqrt(),
                name: format!(
                    "epoch {epoch}: {} % of the masks are {} to {}",
                    short(100.0 * share),
                    short(bin(place)),
                    short(bin(place + 1))
                ),
                text: String::new(),
            }
        })
    });
    let every = drawn.len().div_ceil(NAMED).max(1);
    let named = drawn.iter().enumerate().rev().step_by(every);
    let tick = |(index, (epoch, _)): (usize, &&(usize, [f64; BINS]))| Tick {
        at: column(index) + step / 2.0,
        label: epoch.to_string(),
    };
    let rows = shares.iter().flat_map(|(epoch, shares)| {
        shares.iter().enumerate().map(move |(place, share)| {
            [epoch.to_string(), bin(place).to_string(), bin(place + 1).to_string(), share.to_string()]
        })
    });
    Ok(Figure {
        title: format!("Masks of {name}"),
        caption: "For each epoch of the search, the share of masks that have each value; the stronger the colour, the more."
            .to_owned(),
        data: Download::csv(&format!("masks-{name}"), ["epoch", "from", "to", "share"], rows)?,
        plot: Plot {
            width: WIDTH,
            height: HEIGHT,
            text: format!(
                "How the masks of {name} spread between {} and {} over {} epochs",
                short(least),
                short(most),
                epochs.len()
            ),
            frame,
            x: Axis {
                label: "epoch of the search".to_owned(),
                ticks: named.map(tick).collect(),
                is_grid: false,
            },
            y: Axis { label: "mask".to_owned(), ticks: y.ticks(6), is_grid: false },
            cells: cells.collect(),
            ..Plot::default()
        },
    })
}

/// The height where the bin number `place` begins.
fn y_at(frame: Frame, place: usize) -> f64 {
    frame.bottom - (frame.bottom - frame.top) * place as f64 / BINS as f64
}

/// The share of masks in each of equal bins of this `width` from `least` on. A bin of a histogram that lies in several of these counts
/// in each for the part that lies there.
fn merged(histograms: &[&Histogram], least: f64, width: f64) -> [f64; BINS] {
    let mut merged = [0.0; BINS];
    for histogram in histograms {
        let of = (histogram.max - histogram.min) / histogram.counts.len().max(1) as f64;
        for (place, count) in histogram.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let from = (histogram.min + of * place as f64 - least) / width;
            let to = from + of / width;
            for (bin, share) in merged.iter_mut().enumerate() {
                let bin = bin as f64;
                let is_last = bin + 1.0 >= BINS as f64;
                // Masks that are all alike have a histogram without a width.
                let part = match to > from {
                    true => (to.min(bin + 1.0) - from.max(bin)).max(0.0) / (to - from),
                    false => f64::from(from >= bin && (from < bin + 1.0 || is_last)),
                };
                *share += part * *count as f64;
            }
        }
    }
    let all: f64 = merged.iter().sum();
    if all > 0.0 { merged.map(|share| share / all) } else { merged }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_of_several_layers_become_one_without_losing_a_mask() {
        let wide = Histogram { min: 0.0, max: 24.0, counts: vec![6, 0, 0, 0] };
        let alike = Histogram { min: 24.0, max: 24.0, counts: vec![2, 0] };
        let merged = merged(&[&wide, &alike], 0.0, 1.0);
        assert!((merged.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        // Six masks in the first six bins, and two at the very end.
        assert!((merged[5] - 0.125).abs() < 1e-12 && merged[6] == 0.0);
        assert!((merged[BINS - 1] - 0.25).abs() < 1e-12, "{merged:?}");
    }
}
