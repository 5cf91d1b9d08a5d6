//! Two dimensions that are one: a struct declares what it should borrow.

use super::culprit::Culprit;
use super::pattern::{pattern, split};
use super::plans::restored;
use super::subject::Outcome;
use crate::models::Architecture;

/// Another dimension of the same name, declared around the struct of the one with which slicing fails, or inside of it, if the
/// networks agree once both are cut alike: the path of the outer one, and that of the inner.
pub(super) fn twin<'a, A: Architecture>(culprit: &Culprit<'a, A>) -> Option<(&'a str, &'a str)> {
    let (&[guilty], Outcome::Fails(_)) = (culprit.guilty.as_slice(), &culprit.outcome) else { return None };
    let dimensions = &culprit.subject.dimensions;
    let one = &dimensions[guilty];
    let is_twin = |&other: &usize| {
        let other = &dimensions[other];
        let (outer, inner) = ordered(&one.path, &other.path);
        let around = split(outer).0.map_or_else(String::new, |around| format!("{around}."));
        other.path != one.path
            && (other.name(), &other.groups) == (one.name(), &one.groups)
            && inner.starts_with(&around)
    };
    let works = |&other: &usize| {
        let mut plan = restored(dimensions, &culprit.plan, |index| index != guilty);
        plan.cuts[other].keep.clone_from(&culprit.plan.cuts[guilty].keep);
        culprit.subject.compare(&plan, &[]).is_same()
    };
    let other = (0..dimensions.len()).filter(is_twin).find(works)?;
    Some(ordered(&one.path, &dimensions[other].path))
}

/// The two paths, the shorter first.
fn ordered<'a>(one: &'a str, other: &'a str) -> (&'a str, &'a str) {
    let steps = |path: &str| path.split('.').count();
    if steps(one) <= steps(other) { (one, other) } else { (other, one) }
}

/// What to write where a struct declares the dimension at `inner`, and should borrow that at `outer`.
pub(super) fn borrow(outer: &str, inner: &str) -> String {
    let (inner, outer) = (pattern(inner), pattern(outer));
    let (place, name) = split(&inner);
    format!(
        "`{}` declares a `{name}` of its own: with `#[slim(outer = [{name}])]` on its struct it borrows `{outer}`, and the two agree",
        place.unwrap_or_default()
    )
}
