//! How a file and a network differ, in words.

use std::collections::BTreeMap;

use super::rule::pattern;
use crate::terminal::printable;

/// So many differences are listed.
const TOLD: usize = 12;

/// The shapes of tensors by their names.
pub(super) type Shapes = BTreeMap<String, Vec<usize>>;

/// What makes a file and a network differ.
#[derive(Default)]
pub(super) struct Unfit {
    /// Lists of layers, with their lengths in the file and in the network.
    pub lists: Vec<(String, usize, usize)>,
    /// Tensors of another shape: in the file, and in the network.
    pub others: Vec<(String, Vec<usize>, Vec<usize>)>,
    /// Tensors that the file lacks.
    pub missing: Vec<(String, Vec<usize>)>,
    /// Tensors that belong to no layer of the network.
    pub left: Vec<(String, Vec<usize>)>,
}

impl Unfit {
    /// The lists of layers whose lengths differ.
    pub(super) fn compare_lists(&mut self, there: &Shapes, here: &Shapes) {
        let there = lengths(there);
        let both = lengths(here)
            .into_iter()
            .filter_map(|(list, here)| Some((list.clone(), *there.get(&list)?, here)));
        for (list, there, here) in both.filter(|(_, there, here)| there != here) {
            let tells = |name: &str| index(name, &list) >= Some(there.min(here));
            // What is allowed is not here. What a list tells is not told again.
            let before = self.missing.len() + self.left.len();
            self.missing.retain(|(name, _)| !tells(name));
            self.left.retain(|(name, _)| !tells(name));
            if self.missing.len() + self.left.len() < before {
                self.lists.push((list, there, here));
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        let Self { lists, others, missing, left } = self;
        lists.is_empty() && others.is_empty() && missing.is_empty() && left.is_empty()
    }

    /// All differences, one after the other.
    pub(super) fn told(&self) -> String {
        let lists = self.lists.iter().map(|(list, there, here)| {
            (format!("`{list}` has {there} elements in the file and {here} in the network"), 1)
        });
        let others = counted(self.others.iter().map(|(name, there, here)| {
            format!("`{}` is {there:?} in the file and {here:?} in the network", shown(name))
        }));
        let missing = counted(
            self.missing
                .iter()
                .map(|(name, shape)| format!("`{}` {shape:?} is missing in the file", shown(name))),
        );
        let left = counted(self.left.iter().map(|(name, shape)| {
            format!("`{}` {shape:?} of the file is unknown to the network", shown(name))
        }));
        let all: Vec<String> = lists
            .chain(others)
            .chain(missing)
            .chain(left)
            .map(|(told, times)| if times == 1 { told } else { format!("{told} ({times} times)") })
            .collect();
        let more = match all.len().saturating_sub(TOLD) {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        all[..all.len().min(TOLD)].join("; ") + &more
    }
}

fn shown(name: &str) -> String {
    printable(&pattern(name)).into_owned()
}

/// Each of `told` once, in its order, and how often it is there.
pub(super) fn counted(told: impl Iterator<Item = String>) -> Vec<(String, usize)> {
    let mut counted: Vec<(String, usize)> = Vec::new();
    for told in told {
        match counted.iter_mut().find(|(known, _)| *known == told) {
            Some((_, times)) => *times += 1,
            None => counted.push((told, 1)),
        }
    }
    counted
}

/// The index of the element of `list` that `name` is in.
fn index(name: &str, list: &str) -> Option<usize> {
    name.strip_prefix(list)?.strip_prefix('.')?.split('.').next()?.parse().ok()
}

/// The lengths of the lists that the tensors are in: `blocks`, `layers.0.blocks`.
fn lengths(shapes: &Shapes) -> BTreeMap<String, usize> {
    let mut lengths = BTreeMap::new();
    for name in shapes.keys() {
        for (at, _) in name.match_indices('.') {
            let list = &name[..at];
            if let Some(index) = index(name, list) {
                let length = lengths.entry(list.to_owned()).or_insert(0);
                *length = (index + 1).max(*length);
            }
        }
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_told_by_name_and_shape_and_lists_by_their_lengths() {
        let shapes = |depth: usize| -> Shapes {
            (0..depth)
                .flat_map(|block| {
                    [(format!("blocks.{block}.a"), vec![2]), (format!("blocks.{block}.b"), vec![3])]
                })
                .collect()
        };
        let mut unfit = Unfit { left: shapes(4).into_iter().skip(4).collect(), ..Unfit::default() };
        unfit.compare_lists(&shapes(4), &shapes(2));
        assert_eq!(unfit.told(), "`blocks` has 4 elements in the file and 2 in the network");
        unfit.left.extend((0..2).map(|block| (format!("blocks.{block}.c"), vec![5])));
        unfit.missing.push(("norm".to_owned(), vec![2, 1]));
        unfit.others.push(("head".to_owned(), vec![1], vec![2]));
        assert_eq!(
            unfit.told(),
            "`blocks` has 4 elements in the file and 2 in the network; `head` is [1] in the file and [2] in the network; \
             `norm` [2, 1] is missing in the file; `blocks.*.c` [5] of the file is unknown to the network (2 times)"
        );
        unfit.left = (0..20).map(|name| (format!("x{name}"), vec![1])).collect();
        assert!(unfit.told().ends_with("; and 11 more"), "{}", unfit.told());
    }
}
