//! Which feature of a layer's side belongs to which unit of which dimension.

use super::kept::Kept;

/// One annotated axis of a layer, in a model: what each of its features belongs to.
///
/// Factors make a tree, outermost first. Of `[heads, qk + v]`, there is a branch for each head, with the units `qk` of that head
/// and then its units `v`. The features of the side are the leaves in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DimensionAxis {
    /// Path of the layer: `blocks.3.attn.qkv`.
    pub layer: String,
    /// Whether masks multiply here.
    pub gated: bool,
    pub(crate) dimensions: Vec<AxisDimension>,
    pub(super) features: Features,
}

/// A dimension that an axis names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AxisDimension {
    /// Path of the dimension: `blocks.3.attn.head_dim`.
    pub path: String,
    /// Units of each group; a dimension that is not grouped has one group.
    pub groups: Vec<usize>,
    /// Whether an enclosing struct declares it. What is borrowed and not declared has a size, and stays.
    pub(super) is_declared: bool,
}

/// The features of an axis, or of a part of it. Dimensions are numbered as in [`DimensionAxis::dimensions`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Features {
    /// One feature.
    One,
    /// As many times what is inside.
    Times(usize, Box<Features>),
    /// What is inside, for each group of a dimension.
    Groups(usize, Box<Features>),
    /// What is inside, for each unit of a dimension: of the group around it, if there is one.
    Units(usize, Box<Features>),
    /// One after the other.
    Sum(Vec<Features>),
}

/// The unit that a feature belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// Number of its dimension among those of the axis.
    pub(crate) dimension: usize,
    /// Number of the unit, through all groups.
    pub(crate) unit: usize,
}

/// A group that features are in.
#[derive(Clone, Copy)]
struct Around {
    /// Its place now.
    place: usize,
    /// Its former place.
    former: usize,
}

impl DimensionAxis {
    /// An axis of the layer at `layer` whose `features`, `extent` in all, name the dimension at `dimension` and no other.
    pub(crate) fn of_one(
        dimension: String,
        layer: String,
        features: Features,
        extent: usize,
        gated: bool,
    ) -> Self {
        let dimension = AxisDimension { path: dimension, groups: vec![0], is_declared: true };
        let mut axis = Self { layer, gated, dimensions: vec![dimension], features };
        axis.dimensions[0].groups = vec![axis.units_of(0, extent)];
        axis
    }

    /// How many units a dimension has if the axis has `extent` features. So far the axis must count none of its units.
    pub(super) fn units_of(&self, dimension: usize, extent: usize) -> usize {
        let each = self.per_unit(&self.features, dimension).unwrap_or(0);
        extent.saturating_sub(self.extent()).checked_div(each).unwrap_or(0)
    }

    /// The dimensions that it names, each once, in the order of the axis.
    pub fn dimensions(&self) -> impl Iterator<Item = &AxisDimension> {
        self.dimensions.iter().filter(|dimension| dimension.is_declared)
    }

    /// The factors before and after the dimension, if the axis is that and nothing else.
    pub fn outer_and_inner(&self) -> Option<(usize, usize)> {
        let (mut outer, mut inner, mut at) = (1, 1, &self.features);
        while let Features::Times(count, inside) = at {
            (outer, at) = (outer * count, inside);
        }
        if let Features::Groups(_, inside) = at {
            at = inside;
        }
        let Features::Units(_, inside) = at else { return None };
        at = inside;
        while let Features::Times(count, inside) = at {
            (inner, at) = (inner * count, inside);
        }
        (*at == Features::One).then_some((outer, inner))
    }

    /// The paths of the dimensions, `width0 + width1`.
    pub(super) fn names(&self) -> String {
        self.dimensions().map(|dimension| dimension.path.as_str()).collect::<Vec<_>>().join(" + ")
    }

    /// The axis with its factors in another order.
    pub(crate) fn with_features(self, features: Features) -> Self {
        Self { features, ..self }
    }

    /// The features, for whoever writes or changes the axis.
    pub(crate) fn features(&self) -> &Features {
        &self.features
    }

    /// Number of features.
    pub fn extent(&self) -> usize {
        self.count(&self.features, None)
    }

    /// Number of features that belong to one unit of the dimension at `path`; `None` if the axis does not name it, or only its groups.
    pub fn features_per_unit(&self, path: &str) -> Option<usize> {
        let dimension = self.dimensions.iter().position(|dimension| dimension.path == path)?;
        self.per_unit(&self.features, dimension)
    }

    /// The features that are left, in their new order, if of each dimension stays what `kept` says of its path: all, if it says
    /// nothing.
    pub(crate) fn left<'k>(&self, kept: impl Fn(&str) -> Option<&'k Kept>) -> Vec<usize> {
        let of = |dimension: &AxisDimension| {
            let kept = kept(&dimension.path).filter(|_| dimension.is_declared);
            kept.cloned().unwrap_or_else(|| Kept::whole(&dimension.groups))
        };
        let kept: Vec<Kept> = self.dimensions.iter().map(of).collect();
        let mut left = Vec::new();
        self.walk(&self.features, (0, None, None), &kept, &mut |feature, _| left.push(feature));
        left
    }

    /// The features that are left without the first unit of the dimension at `path`.
    pub(crate) fn without_first(&self, path: &str) -> Vec<usize> {
        let groups = self.dimensions().find(|dimension| dimension.path == path);
        let kept = Kept::without_first(groups.map_or(&[], |dimension| &dimension.groups));
        self.left(|other| (other == path).then_some(&kept))
    }

    /// The unit that each feature belongs to, if it belongs to one.
    pub(crate) fn owners(&self) -> Vec<Option<Owner>> {
        let kept: Vec<Kept> = self.dimensions.iter().map(|of| Kept::whole(&of.groups)).collect();
        let mut owners = Vec::new();
        self.walk(&self.features, (0, None, None), &kept, &mut |_, owner| owners.push(owner));
        owners
    }

    /// Calls `visit` for each feature that is left: with its former place, and the unit that it belongs to.
    fn walk(
        &self,
        at: &Features,
        (start, around, owner): (usize, Option<Around>, Option<Owner>),
        kept: &[Kept],
        visit: &mut dyn FnMut(usize, Option<Owner>),
    ) {
        match at {
            Features::One => visit(start, owner),
            Features::Times(count, inside) => {
                let each = self.count(inside, around);
                for index in 0..*count {
                    self.walk(inside, (start + index * each, around, owner), kept, visit);
                }
            }
            Features::Groups(dimension, inside) => {
                let starts = self.starts_of_groups(*dimension, inside, start);
                for (place, group) in kept[*dimension].groups().iter().enumerate() {
                    let around = Some(Around { place, former: group.group });
                    self.walk(inside, (starts[group.group], around, owner), kept, visit);
                }
            }
            Features::Units(dimension, inside) => {
                let AxisDimension { groups, is_declared, .. } = &self.dimensions[*dimension];
                let each = self.count(inside, around);
                let (first, groups_here) = match around {
                    Some(Around { place, former }) => {
                        (groups[..former].iter().sum(), &kept[*dimension].groups()[place..=place])
                    }
                    None => (0, kept[*dimension].groups()),
                };
                for &unit in groups_here.iter().flat_map(|group| &group.units) {
                    let owner = is_declared.then_some(Owner { dimension: *dimension, unit }).or(owner);
                    self.walk(inside, (start + (unit - first) * each, around, owner), kept, visit);
                }
            }
            Features::Sum(terms) => {
                let mut start = start;
                for term in terms {
                    self.walk(term, (start, around, owner), kept, visit);
                    start += self.count(term, around);
                }
            }
        }
    }

    fn starts_of_groups(&self, dimension: usize, inside: &Features, mut start: usize) -> Vec<usize> {
        let groups = 0..self.dimensions[dimension].groups.len();
        let group = |former| {
            let here = start;
            start += self.count(inside, Some(Around { place: former, former }));
            here
        };
        groups.map(group).collect()
    }

    /// Number of features of a part of the axis.
    fn count(&self, at: &Features, around: Option<Around>) -> usize {
        match at {
            Features::One => 1,
            Features::Times(count, inside) => count * self.count(inside, around),
            Features::Groups(dimension, inside) => {
                let groups = 0..self.dimensions[*dimension].groups.len();
                groups.map(|former| self.count(inside, Some(Around { place: former, former }))).sum()
            }
            Features::Units(dimension, inside) => {
                let groups = &self.dimensions[*dimension].groups;
                let units = around.map_or_else(|| groups.iter().sum(), |around| groups[around.former]);
                units * self.count(inside, around)
            }
            Features::Sum(terms) => terms.iter().map(|term| self.count(term, around)).sum(),
        }
    }

    /// Features of a unit of `dimension` in a part of the axis; `None` if the part names no units of it.
    fn per_unit(&self, at: &Features, dimension: usize) -> Option<usize> {
        match at {
            Features::One => None,
            Features::Times(count, inside) => Some(count * self.per_unit(inside, dimension)?),
            Features::Groups(_, inside) => self.per_unit(inside, dimension),
            Features::Units(other, inside) if *other == dimension => Some(self.count(inside, None)),
            Features::Units(_, inside) => self.per_unit(inside, dimension),
            Features::Sum(terms) => {
                terms.iter().filter_map(|term| self.per_unit(term, dimension)).reduce(|sum, term| sum + term)
            }
        }
    }
}

impl Features {
    /// These features so many times, one after the other.
    pub(crate) fn times(self, count: usize) -> Self {
        if count == 1 { self } else { Self::Times(count, self.into()) }
    }
}
