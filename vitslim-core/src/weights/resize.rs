//! Positions learnt for a square of one size, for another.

/// Values at the points of a square of `from` by `from`, `[from * from, channels]`, resized to `to` by `to`: bicubic with
/// antialiasing, as PyTorch's `interpolate(mode="bicubic", antialias=True)` and so timm's `resample_abs_pos_embed`.
pub(super) fn bicubic(values: &[f32], from: usize, to: usize) -> Vec<f32> {
    let scale = from as f64 / to as f64;
    // A smaller square averages over what falls together.
    let stretch = scale.max(1.0);
    let support = 2.0 * stretch;
    let weights = (0..to).map(|point| {
        let center = scale * (point as f64 + 0.5);
        let first = (center - support + 0.5).max(0.0) as usize;
        let end = ((center + support + 0.5) as usize).min(from);
        let weights: Vec<f64> = (first..end).map(|at| cubic((at as f64 - center + 0.5) / stretch)).collect();
        let sum: f64 = weights.iter().sum();
        (first..end).zip(weights.into_iter().map(|weight| weight / sum)).collect()
    });
    resized(values, from, &weights.collect::<Vec<_>>())
}

/// Keys' cubic convolution with a = -0.5, which PyTorch takes where it antialiases.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    match x.abs() {
        x if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
        x if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
        _ => 0.0,
    }
}

/// A table of relative positions for windows of `from` by `from` patches, `[(2 * from - 1)^2, heads]`, for windows of `to`: as
/// timm's `resize_rel_pos_bias_table`. The offsets of the table are spread over those of the new windows, closer in the middle, and
/// linear between.
pub(super) fn relative_positions(table: &[f32], from: usize, to: usize) -> Vec<f32> {
    let known = spread(from - 1, to - 1);
    let last = known.len() - 1;
    let weights = (0..2 * to - 1).map(|point| {
        let offset = point as f64 - (to - 1) as f64;
        let after = known.partition_point(|known| *known < offset).min(last);
        let before = after.saturating_sub(1);
        match known[after] - known[before] {
            // What lies outside is as what lies at the edge.
            _ if offset <= known[0] => vec![(0, 1.0)],
            _ if offset >= known[last] => vec![(last, 1.0)],
            gap => {
                let share = (offset - known[before]) / gap;
                vec![(before, 1.0 - share), (after, share)]
            }
        }
    });
    resized(table, 2 * from - 1, &weights.collect::<Vec<_>>())
}

/// Where the offsets from `-from` to `from` lie among those from `-to` to `to`: in steps that grow by a factor, so that the last lies
/// at `to`.
fn spread(from: usize, to: usize) -> Vec<f64> {
    // timm finds the factor by bisection, in this interval.
    let (mut low, mut high, mut factor) = (1.01, 1.5, 1.01_f64);
    while high - low > 1e-6 {
        factor = f64::midpoint(low, high);
        match (1.0 - factor.powi(from as i32)) / (1.0 - factor) > to as f64 {
            true => high = factor,
            false => low = factor,
        }
    }
    let one_side = (0..from).scan(0.0, |at, step| {
        *at += factor.powi(step as i32);
        Some(*at)
    });
    let one_side: Vec<f64> = one_side.collect();
    let other_side = one_side.iter().rev().map(|at| -at);
    other_side.chain([0.0]).chain(one_side.iter().copied()).collect()
}

/// `values`, `[from * from, channels]`, of which each row and each column of the new square weighs some of the old ones.
fn resized(values: &[f32], from: usize, weights: &[Vec<(usize, f64)>]) -> Vec<f32> {
    let channels = values.len() / (from * from);
    let mut resized = Vec::with_capacity(weights.len().pow(2) * channels);
    for row in weights {
        for column in weights {
            resized.extend((0..channels).map(|channel| {
                let of_row = |(y, by): &(usize, f64)| {
                    let at = |x: &usize| f64::from(values[(y * from + x) * channels + channel]);
                    by * column.iter().map(|(x, by)| by * at(x)).sum::<f64>()
                };
                row.iter().map(of_row).sum::<f64>() as f32
            }));
        }
    }
    resized
}

#[cfg(test)]
mod tests {
    use safetensors::SafeTensors;

    use super::*;

    /// `data/weights/README.md` says where the numbers are from.
    #[test]
    fn positions_and_tables_are_resized_as_by_timm() {
        let bytes = include_bytes!("../../data/weights/resized.safetensors");
        let tensors = SafeTensors::deserialize(bytes).unwrap();
        let values = |name: &str| -> Vec<f32> {
            let (values, _) = tensors.tensor(name).unwrap().data().as_chunks();
            values.iter().map(|value| f32::from_le_bytes(*value)).collect()
        };
        let mut compared = 0;
        for case in tensors.names().into_iter().filter_map(|name| name.strip_suffix(".from")) {
            let numbers: Vec<usize> = case.split('.').filter_map(|part| part.parse().ok()).collect();
            let (from, expected) = (values(&format!("{case}.from")), values(&format!("{case}.to")));
            let found = match numbers[..] {
                [before, old, new] => {
                    let (before, patches) = from.split_at(3 * before);
                    [before, &bicubic(patches, old, new)].concat()
                }
                [old, new] => relative_positions(&from, old, new),
                _ => panic!("{case}"),
            };
            assert_eq!(found.len(), expected.len(), "{case}");
            let furthest =
                found.iter().zip(&expected).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
            assert!(furthest < 1e-5, "{case}: {furthest:e}");
            compared += 1;
        }
        assert_eq!(compared, 13);
    }

    #[test]
    fn a_square_of_the_same_size_stays() {
        let values: Vec<f32> = (0..32).map(|value| (value as f32).sin()).collect();
        for (one, other) in bicubic(&values, 4, 4).into_iter().zip(&values) {
            assert!((one - other).abs() < 1e-6);
        }
        assert_eq!(relative_positions(&[7.0, 8.0], 1, 3), [7.0, 8.0].repeat(25));
        assert_eq!(relative_positions(&values[..18], 2, 1), values[8..10]);
    }
}
