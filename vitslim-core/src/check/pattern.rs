//! Patterns of paths: paths of the same field in different blocks differ only in numbers.

use crate::slim::Dimension;

/// `path` with `*` for every number: `blocks.*.mlp.hidden`. All paths of a pattern share one annotation.
pub(super) fn pattern(path: &str) -> String {
    let step = |step| if is_number(step) { "*" } else { step };
    path.split('.').map(step).collect::<Vec<_>>().join(".")
}

/// The pattern of the layer at `path`. The last step stays: it may be a part of a tuple, with an annotation of its own.
pub(super) fn layer_pattern(path: &str) -> String {
    match split(path) {
        (Some(around), last) => format!("{}.{last}", pattern(around)),
        (None, last) => last.to_owned(),
    }
}

fn is_number(step: &str) -> bool {
    !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit())
}

/// The patterns of `dimensions`, in the order of their first members, each with the indices of its members.
pub(super) fn patterns(dimensions: &[Dimension]) -> Vec<(String, Vec<usize>)> {
    let mut patterns: Vec<(String, Vec<usize>)> = Vec::new();
    for (index, dimension) in dimensions.iter().enumerate() {
        let name = pattern(&dimension.path);
        match patterns.iter_mut().find(|(known, _)| *known == name) {
            Some((_, members)) => members.push(index),
            None => patterns.push((name, vec![index])),
        }
    }
    patterns
}

/// The dimension of the pattern `dimension` whose struct contains `path`, if one does.
pub(super) fn dimension_around(dimension: &str, path: &str) -> Option<String> {
    let (scope, name) = split(dimension);
    let depth = scope.map_or(0, |scope| scope.split('.').count());
    let steps: Vec<&str> = path.split('.').collect();
    let around = steps.get(..depth)?.join(".");
    match scope {
        None => Some(name.to_owned()),
        Some(scope) => (pattern(&around) == *scope).then(|| format!("{around}.{name}")),
    }
}

/// Splits off the last step: `blocks.0.mlp` and `hidden` of `blocks.0.mlp.hidden`.
pub(super) fn split(path: &str) -> (Option<&str>, &str) {
    match path.rsplit_once('.') {
        Some((scope, name)) => (Some(scope), name),
        None => (None, path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_make_no_difference() {
        assert_eq!(pattern("blocks.11.mlp.hidden"), "blocks.*.mlp.hidden");
        assert_eq!(pattern("layer1.norm2"), "layer1.norm2");
        let around = |path| dimension_around("blocks.*.mlp.hidden", path);
        assert_eq!(around("blocks.3.mlp.fc1.weight").as_deref(), Some("blocks.3.mlp.hidden"));
        assert_eq!(around("blocks.3.attn.qkv.weight"), None);
        assert_eq!(around("head"), None);
        assert_eq!(dimension_around("width", "blocks.3.norm1.gamma").as_deref(), Some("width"));
    }
}
