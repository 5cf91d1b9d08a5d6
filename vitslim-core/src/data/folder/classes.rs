//! The classes of a folder of images.

use std::collections::{HashMap, HashSet};

use super::super::DataError;
use super::scan::Found;
use crate::terminal::counted;

/// Checks that `classes` names each folder of `train`, and nothing else.
pub(super) fn check_named(classes: &[String], train: &Found) -> Result<(), DataError> {
    let folders: HashSet<&String> = train.classes.iter().collect();
    match classes.iter().find(|class| !folders.contains(class)) {
        Some(class) => {
            let reason = format!("names `{class}`, which is no folder of `{}`", train.root.display());
            Err(DataError::setting(&["classes"], reason))
        }
        None => Ok(()),
    }
}

/// Checks that `train` has so many classes.
pub(super) fn check_count(count: u32, train: &Found) -> Result<(), DataError> {
    let found = train.classes.len();
    if found == count as usize {
        return Ok(());
    }
    let folders = counted(found, "folder of a class", "folders of classes");
    let reason = format!("is {count}, but `{}` has {folders}", train.root.display());
    Err(DataError::setting(&["classes"], reason))
}

/// `found` with the labels that its classes have in `classes`.
pub(super) fn in_order(classes: &[String], mut found: Found) -> Result<Found, DataError> {
    let places: HashMap<&str, u32> = classes.iter().map(String::as_str).zip(0..).collect();
    let label = |class: &String| {
        places.get(class.as_str()).copied().ok_or_else(|| {
            let folder = found.root.join(class);
            DataError::setting(&["classes"], format!("does not name `{}`", folder.display()))
                .with_help("add the name of the folder, or move it away")
        })
    };
    let labels: Vec<u32> = found.classes.iter().map(label).collect::<Result<_, _>>()?;
    found.labels.iter_mut().for_each(|label| *label = labels[*label as usize]);
    found.classes = classes.to_vec();
    Ok(found)
}

/// `other`, if it has the classes of `train`.
pub(super) fn same_classes(train: &Found, other: Found) -> Result<Found, DataError> {
    let lacking =
        |one: &Found, other: &Found| other.classes.iter().find(|class| !one.classes.contains(class)).cloned();
    let (split, class, there) = match (lacking(&other, train), lacking(train, &other)) {
        (Some(class), _) => (&other, class, train),
        (None, Some(class)) => (train, class, &other),
        (None, None) => return Ok(other),
    };
    let there = there.root.display();
    let reason = format!("has no class `{class}`, but `{there}` has: all splits need the same classes");
    Err(DataError::file(&split.root, reason).with_help(
        "if `train` has all classes, name them with `classes: [...]`: other splits may then lack some",
    ))
}
