//! How a tensor of a file becomes one of the network.

use burn::store::burn_pack::Tensor;

use super::rule::pattern;
use super::tokens::{POSITIONS, Positions};
use super::unfit::Shapes;

/// A table of relative positions, `[(2 * window - 1)^2, heads]`.
const TABLE: &str = "relative_position_bias_table";

/// The convolutions that images go through first.
const FIRST: [&str; 2] = ["patch_embed.proj.weight", "stem.0.weight"];

/// How a tensor of another shape becomes one of ours.
pub(super) enum Adaptation {
    None,
    /// From positions to positions.
    Positions(Positions, Positions),
    /// From a table for windows of so many patches to another.
    Table(usize, usize),
    /// From three channels to their sum.
    Gray,
}

impl Adaptation {
    /// A line on what becomes of the tensor `name`; `None` if it stays as it is.
    pub(super) fn told(&self, name: &str) -> Option<String> {
        let name = pattern(name);
        Some(match self {
            Self::None => return None,
            Self::Positions(there, here) if there.side == here.side => {
                format!("`{name}` is fitted to the tokens before the patches")
            }
            Self::Positions(there, here) => {
                format!("`{name}` is resized from {0} x {0} to {1} x {1} patches", there.side, here.side)
            }
            Self::Table(there, here) => {
                format!("`{name}` is resized from windows of {there} to windows of {here} patches")
            }
            Self::Gray => format!("`{name}`: its 3 channels are summed to 1"),
        })
    }
}

/// How the tensor `name` of a shape `there` becomes one of a shape `here`; `None` if it cannot. Each comes with the shapes of all.
pub(super) fn adaptation(
    name: &str,
    (all_there, there): (&Shapes, &[usize]),
    (all_here, here): (&Shapes, &[usize]),
) -> Option<Adaptation> {
    if name == POSITIONS
        && let ([1, count_there, dim_there], [1, count_here, dim_here]) = (there, here)
        && dim_there == dim_here
    {
        let positions = |count: usize, all: &Shapes| {
            Positions::of(count, |token| {
                all.get(token).map_or(0, |shape| if shape.len() == 3 { shape[1] } else { 1 })
            })
        };
        match (positions(*count_there, all_there), positions(*count_here, all_here)) {
            (Some(there), Some(here)) if there != here => return Some(Adaptation::Positions(there, here)),
            // Positions of something else than a square are taken as they are, or not at all.
            _ => {}
        }
    }
    if alike(there, here) {
        return Some(Adaptation::None);
    }
    match (there, here) {
        ([table_there, heads_there], [table_here, heads_here])
            if name.ends_with(TABLE) && heads_there == heads_here =>
        {
            Some(Adaptation::Table(window(*table_there)?, window(*table_here)?))
        }
        ([out_there, 3, kernel_there @ ..], [out_here, 1, kernel_here @ ..])
            if FIRST.contains(&name) && (out_there, kernel_there) == (out_here, kernel_here) =>
        {
            Some(Adaptation::Gray)
        }
        _ => None,
    }
}

/// The window of a table with so many rows.
fn window(rows: usize) -> Option<usize> {
    let side = rows.isqrt();
    (side * side == rows && side % 2 == 1).then_some(side.div_ceil(2))
}

/// `values`, `[outputs, 3, size]`, summed over the channels.
pub(super) fn summed(values: &[f32], size: usize) -> Vec<f32> {
    let sum = |output: &[f32]| -> Vec<f32> {
        (0..size).map(|at| output.iter().skip(at).step_by(size).sum()).collect()
    };
    values.chunks_exact(3 * size).flat_map(sum).collect()
}

/// Whether two shapes are the same but for axes of 1, as of a convolution of 1 x 1 and a linear layer.
pub(super) fn alike(there: &[usize], here: &[usize]) -> bool {
    let long = |shape: &[usize]| shape.iter().copied().filter(|size| *size != 1).collect::<Vec<_>>();
    there == here || long(there) == long(here)
}

/// The shape of a tensor that is in `parts`, one after the other along the first axis.
pub(super) fn joined(parts: &[&Tensor]) -> Vec<usize> {
    let mut shape = parts.first().map_or_else(Vec::new, |part| part.shape.to_vec());
    for part in &parts[1..] {
        match (shape.split_first_mut(), part.shape.to_vec().split_first()) {
            (Some((rows, rest)), Some((more, others))) if rest == others => *rows += more,
            // No tensor of ours is so, and both are told.
            _ => shape.extend(part.shape.to_vec()),
        }
    }
    shape
}

/// The layer of a parameter: `head.fc` of `head.fc.weight`.
pub(super) fn layer(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(layer, _)| layer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_no_adaptation_is_taken_as_it_is() {
        let nothing = Shapes::new();
        let adapted = |name: &str, there: &[usize], here: &[usize]| {
            adaptation(name, (&nothing, there), (&nothing, here))
                .map(|adaptation| adaptation.told(name).unwrap_or_default())
        };
        let as_it_is = Some(String::new());
        assert_eq!(adapted("pos_embed", &[1, 50, 4], &[1, 50, 4]), as_it_is);
        assert_eq!(adapted("pos_embed", &[1, 50, 4], &[1, 49, 4]), None);
        // A convolution of 1 x 1 is a linear layer.
        assert_eq!(adapted("fc1.weight", &[8, 4, 1, 1], &[8, 4]), as_it_is);
        assert_eq!(adapted("fc1.weight", &[4, 8], &[8, 4]), None);
        assert_eq!(adapted("stem.0.weight", &[8, 4, 2, 2], &[8, 1, 2, 2]), None);
        assert_eq!(adapted("a.relative_position_bias_table", &[48, 2], &[49, 2]), None);
    }
}
