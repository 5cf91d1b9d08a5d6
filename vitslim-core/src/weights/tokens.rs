//! Positions of patches, and of the tokens before them.

use super::resize::bicubic;

/// The parameter of positions, `[1, tokens, dim]`.
pub(super) const POSITIONS: &str = "pos_embed";

/// The distillation token, and the classifier on it.
pub(super) const DISTILLATION: [&str; 2] = ["dist_token", "head_dist"];

/// The parameters of tokens before the patches, `[1, tokens, dim]`, in the order of their positions.
const TOKENS: [&str; 3] = ["cls_token", "dist_token", "reg_token"];

/// What has positions in a network: some tokens, and the patches of a square.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Positions {
    /// The tokens before the patches: parameter, and number in it.
    tokens: Vec<(&'static str, usize)>,
    /// So many of them, the first ones, have a position.
    placed: usize,
    /// Patches along each side.
    pub side: usize,
}

/// Positions for another network.
pub(super) struct Moved {
    /// `[tokens * dim]`
    pub values: Vec<f32>,
    /// What is to be added to tokens that have a position there and none here: parameter, number in it, and position.
    pub added: Vec<(&'static str, usize, Vec<f32>)>,
}

impl Positions {
    /// Those of `count` positions, where there are as many tokens as `tokens` says of a parameter. All tokens have a position, or only
    /// the first, or none. `None` if no square is left for the patches.
    pub(super) fn of(count: usize, tokens: impl Fn(&str) -> usize) -> Option<Self> {
        let all = TOKENS.iter().flat_map(|&name| (0..tokens(name)).map(move |number| (name, number)));
        let tokens: Vec<_> = all.collect();
        let squares = [tokens.len(), tokens.len().min(1), 0].map(|placed| {
            let patches = count.checked_sub(placed)?;
            let side = patches.isqrt();
            (side > 0 && side * side == patches).then_some((placed, side))
        });
        let (placed, side) = squares.into_iter().flatten().next()?;
        Some(Self { tokens, placed, side })
    }

    fn row(&self, token: (&'static str, usize)) -> Option<usize> {
        self.tokens.iter().position(|known| *known == token)
    }

    /// `values`, the positions of these, for `here`. A token that has no position here takes it with it; one that is not known here
    /// keeps its `initial` position.
    pub(super) fn moved(&self, values: &[f32], here: &Self, initial: &[f32]) -> Moved {
        let dim = values.len() / (self.placed + self.side * self.side);
        let row = |values: &[f32], row: usize| values[row * dim..(row + 1) * dim].to_vec();
        let mut moved = Moved { values: Vec::with_capacity(initial.len()), added: Vec::new() };
        for (at, token) in here.tokens[..here.placed].iter().enumerate() {
            moved.values.extend(match self.row(*token) {
                Some(there) if there < self.placed => row(values, there),
                Some(_) => vec![0.0; dim],
                None => row(initial, at),
            });
        }
        for (at, (name, number)) in self.tokens[..self.placed].iter().enumerate() {
            if here.row((name, *number)).is_some_and(|there| there >= here.placed) {
                moved.added.push((name, *number, row(values, at)));
            }
        }
        let patches = &values[self.placed * dim..];
        match self.side == here.side {
            true => moved.values.extend(patches),
            false => moved.values.extend(bicubic(patches, self.side, here.side)),
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(count: usize, [class, distillation, registers]: [usize; 3]) -> Option<Positions> {
        Positions::of(count, |name| match name {
            "cls_token" => class,
            "dist_token" => distillation,
            _ => registers,
        })
    }

    #[test]
    fn positions_are_of_all_tokens_or_of_the_first_or_of_none() {
        let split = |count, tokens| positions(count, tokens).map(|found| (found.placed, found.side));
        assert_eq!(split(197, [1, 0, 0]), Some((1, 14)));
        assert_eq!(split(196, [1, 0, 0]), Some((0, 14)));
        assert_eq!(split(198, [1, 1, 0]), Some((2, 14)));
        assert_eq!(split(201, [1, 0, 4]), Some((5, 14)));
        assert_eq!(split(197, [1, 0, 4]), Some((1, 14)));
        assert_eq!(split(196, [0, 0, 0]), Some((0, 14)));
        assert_eq!([split(195, [1, 0, 0]), split(1, [1, 0, 0]).map(|_| (0, 1))], [None, Some((0, 1))]);
    }

    #[test]
    fn a_position_goes_with_its_token() {
        let moved = |there: Positions, here: Positions, initial: &[f32]| {
            let count = there.placed + there.side * there.side;
            let values: Vec<f32> = (1..=count).map(|value| value as f32).collect();
            let Moved { values, added } = there.moved(&values, &here, initial);
            (values, added)
        };
        let plain = || positions(5, [1, 0, 0]).unwrap();
        let distilled = || positions(6, [1, 1, 0]).unwrap();
        assert_eq!(moved(distilled(), plain(), &[0.5; 5]), (vec![1.0, 3.0, 4.0, 5.0, 6.0], vec![]));
        assert_eq!(moved(plain(), distilled(), &[0.5; 6]), (vec![1.0, 0.5, 2.0, 3.0, 4.0, 5.0], vec![]));
        // Positions of patches only: the class token has none, which is a position of 0; and back.
        let bare = || positions(4, [1, 0, 0]).unwrap();
        assert_eq!(moved(bare(), plain(), &[0.5; 5]), (vec![0.0, 1.0, 2.0, 3.0, 4.0], vec![]));
        let added = vec![("cls_token", 0, vec![1.0])];
        assert_eq!(moved(plain(), bare(), &[0.5; 4]), (vec![2.0, 3.0, 4.0, 5.0], added));
    }
}
