//! What stays of a dimension, and in which order.

/// The groups of a dimension that stay, in their new order; a dimension that is not grouped has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    groups: Vec<KeptGroup>,
}

/// A group, and the units of it that stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeptGroup {
    /// Its former place.
    pub(super) group: usize,
    /// The units, numbered through all groups.
    pub(super) units: Vec<usize>,
}

impl Kept {
    /// All units of groups of these sizes.
    pub(crate) fn whole(sizes: &[usize]) -> Self {
        Self::of_groups(units_of_groups(sizes))
    }

    /// All units but the first.
    pub(crate) fn without_first(sizes: &[usize]) -> Self {
        Self::of_groups(units_without_first(sizes))
    }

    /// These units of each group. All groups stay, even those without units.
    pub(crate) fn of_groups(units: Vec<Vec<usize>>) -> Self {
        let groups = (0..units.len()).collect::<Vec<_>>();
        Self::ordered(units, &groups)
    }

    /// The groups `order`, by their former places, with these units of each former group.
    pub(super) fn ordered(mut units: Vec<Vec<usize>>, order: &[usize]) -> Self {
        let group = |&group: &usize| KeptGroup { group, units: std::mem::take(&mut units[group]) };
        Self { groups: order.iter().map(group).collect() }
    }

    pub(super) fn groups(&self) -> &[KeptGroup] {
        &self.groups
    }
}

/// The units of each group, numbered through groups of these sizes.
pub(super) fn units_of_groups(sizes: &[usize]) -> Vec<Vec<usize>> {
    let mut start = 0;
    let units = |size: &usize| {
        start += size;
        (start - size..start).collect()
    };
    sizes.iter().map(units).collect()
}

/// The same without the first unit.
pub(super) fn units_without_first(sizes: &[usize]) -> Vec<Vec<usize>> {
    let mut units = units_of_groups(sizes);
    if let Some(first) = units.iter_mut().find(|units| !units.is_empty()) {
        first.remove(0);
    }
    units
}
