//! What a dataset contains, wherever it lies.

use serde::{Deserialize, Serialize};

/// What a dataset contains: equal contents are the same dataset, whatever its path and the times of its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataContent {
    /// Names of the classes, in the order of their labels.
    pub classes: Vec<String>,
    /// The training split.
    pub train: SplitContent,
    /// The validation split.
    pub held_out: SplitContent,
    /// The test split.
    pub test: SplitContent,
}

/// What a split contains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitContent {
    /// Number of images.
    pub images: usize,
    /// SHA-256 over the images that the split is drawn from and the names of their classes, in their order: over the bytes of image
    /// files, and over pixels where images have no file each. A validation split that is held out of the training images has
    /// theirs: seed and fraction decide which of them it gets.
    pub sha256: String,
}

/// One of the three splits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitKind {
    /// The training split.
    Train,
    /// The validation split.
    HeldOut,
    /// The test split.
    Test,
}

impl DataContent {
    /// What is different in `now`, as a clause: the classes, or the images of one of `splits`. `None` if nothing is.
    pub fn change(&self, now: &Self, splits: &[SplitKind]) -> Option<String> {
        let split = |kind: &SplitKind| {
            let (name, was, is) = match kind {
                SplitKind::Train => ("training", &self.train, &now.train),
                SplitKind::HeldOut => ("validation", &self.held_out, &now.held_out),
                SplitKind::Test => ("test", &self.test, &now.test),
            };
            match was.images == is.images {
                true => (was != is)
                    .then(|| format!("the images of the {name} split, or their labels, have changed")),
                false => Some(format!("the {name} split had {} images, has {} now", was.images, is.images)),
            }
        };
        self.changed_class(now).or_else(|| splits.iter().find_map(split))
    }

    /// The first class that is another in `now`.
    fn changed_class(&self, now: &Self) -> Option<String> {
        let labels = 0..self.classes.len().max(now.classes.len());
        labels.map(|label| (label, self.classes.get(label), now.classes.get(label))).find_map(
            |(label, was, is)| match (was, is) {
                (Some(was), Some(is)) if was != is => {
                    Some(format!("class {label} was `{was}`, is now `{is}`"))
                }
                (Some(was), None) => Some(format!("class {label}, `{was}`, is gone")),
                (None, Some(is)) => Some(format!("class {label}, `{is}`, is new")),
                _ => None,
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_names_the_class_or_the_split() {
        let split = |images: usize, sha256: &str| SplitContent { images, sha256: sha256.to_owned() };
        let content = |classes: &[&str], train, test| DataContent {
            classes: classes.iter().map(|class| (*class).to_owned()).collect(),
            train,
            held_out: split(2, "h"),
            test,
        };
        let before = content(&["a", "b"], split(8, "t"), split(4, "e"));
        let all = [SplitKind::Train, SplitKind::HeldOut, SplitKind::Test];
        for (now, expected) in [
            (before.clone(), None),
            (content(&["z", "b"], split(8, "x"), split(4, "e")), Some("class 0 was `a`, is now `z`")),
            (content(&["a"], split(8, "t"), split(4, "e")), Some("class 1, `b`, is gone")),
            (content(&["a", "b", "c"], split(8, "t"), split(4, "e")), Some("class 2, `c`, is new")),
            (
                content(&["a", "b"], split(9, "x"), split(4, "e")),
                Some("the training split had 8 images, has 9 now"),
            ),
            (
                content(&["a", "b"], split(8, "t"), split(4, "x")),
                Some("the images of the test split, or their labels, have changed"),
            ),
        ] {
            assert_eq!(before.change(&now, &all).as_deref(), expected);
        }
        let other_test = content(&["a", "b"], split(8, "t"), split(4, "x"));
        assert_eq!(before.change(&other_test, &[SplitKind::Train, SplitKind::HeldOut]), None);
    }
}
