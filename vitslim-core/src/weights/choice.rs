//! Which network of a file is meant, and to which family its names belong.

use std::collections::{BTreeMap, BTreeSet};

use burn::store::burn_pack::Tensor;

use super::error::WeightsError;
use super::family::{FAMILIES, Family, NETWORKS, WRAPPERS};
use super::file::WeightsFile;
use super::rule::{pattern, rename};
use crate::terminal::printable;

/// A network in a file, by our names.
pub(super) struct Chosen<'a> {
    /// What the file calls it, among several.
    pub network: &'static str,
    pub family: &'static str,
    /// Number of its tensors.
    pub count: usize,
    /// By our name, the parts of each tensor in their order.
    pub tensors: BTreeMap<String, Vec<&'a Tensor>>,
    /// Tensors that the family does not use, by their names in the file.
    pub spare: Vec<(&'a str, &'a Tensor)>,
}

/// The network in `file` whose family of names has most of `own`, the names of a network of ours.
///
/// # Errors
///
/// When no family has half of them, or a tensor is there twice or in part.
pub(super) fn choose<'a>(file: &'a WeightsFile, own: &[&str]) -> Result<Chosen<'a>, WeightsError> {
    let own_patterns: BTreeSet<String> = own.iter().map(|name| pattern(name)).collect();
    for network in NETWORKS {
        let names = names(file, network, own);
        let fits = |family: &Family| {
            let renamed: BTreeSet<String> =
                names.keys().filter_map(|name| Some(rename(name, family.rules)?.name)).collect();
            let patterns: BTreeSet<String> = renamed.iter().map(|name| pattern(name)).collect();
            let exactly = own.iter().filter(|name| renamed.contains(**name)).count();
            (patterns.intersection(&own_patterns).count(), exactly)
        };
        // Of equal ones, the first.
        let best = FAMILIES.iter().rev().max_by_key(|family| fits(family));
        let Some(family) = best.filter(|family| 2 * fits(family).0 >= own_patterns.len()) else { continue };
        return collect(file, network, family, names);
    }
    let looked_for: Vec<String> =
        FAMILIES.iter().map(|family| format!("{} (`{}`)", family.name, family.example)).collect();
    let there: Vec<String> =
        file.tensors.iter().take(3).map(|tensor| format!("`{}`", printable(&tensor.name))).collect();
    let lacks: Vec<String> = own_patterns.iter().take(3).map(|name| format!("`{name}`")).collect();
    let said = format!(
        "is no file of this network: it has tensors such as {}, which by no known names become {} and the others. Looked for: {}",
        there.join(", "),
        lacks.join(", "),
        looked_for.join("; ")
    );
    Err(file.error(said, Some("is it the file of another architecture?".to_owned())))
}

/// The tensors of the network that the file calls `network`, by their names without all that wraps it. What stands in front of one of
/// our `own` names is no wrapper.
fn names<'a>(file: &'a WeightsFile, network: &str, own: &[&str]) -> BTreeMap<&'a str, &'a Tensor> {
    let starts_own = |wrapper: &str| own.iter().any(|name| name.starts_with(wrapper));
    let tensors = file.tensors.iter().filter_map(|tensor| Some((tensor.name.strip_prefix(network)?, tensor)));
    let mut names: BTreeMap<&str, &Tensor> = tensors.collect();
    while let Some(wrapper) = WRAPPERS
        .iter()
        .filter(|wrapper| !starts_own(wrapper))
        .find(|wrapper| names.keys().any(|name| name.starts_with(**wrapper)))
    {
        let bare = |name: &&'a str| name.strip_prefix(wrapper).unwrap_or(name);
        let unwrapped: BTreeMap<&str, &Tensor> =
            names.iter().map(|(name, tensor)| (bare(name), *tensor)).collect();
        // Two networks side by side stay apart.
        if unwrapped.len() < names.len() {
            break;
        }
        names = unwrapped;
    }
    names
}

fn collect<'a>(
    file: &WeightsFile,
    network: &'static str,
    family: &Family,
    names: BTreeMap<&'a str, &'a Tensor>,
) -> Result<Chosen<'a>, WeightsError> {
    let count = names.len();
    let mut parts: BTreeMap<String, Vec<(usize, &Tensor)>> = BTreeMap::new();
    let (mut sizes, mut spare) = (BTreeMap::new(), Vec::new());
    for (name, tensor) in names {
        let Some(renamed) = rename(name, family.rules) else {
            spare.push((name, tensor));
            continue;
        };
        sizes.insert(renamed.name.clone(), renamed.part.1);
        parts.entry(renamed.name).or_default().push((renamed.part.0, tensor));
    }
    let mut tensors = BTreeMap::new();
    for (name, mut found) in parts {
        found.sort_by_key(|(part, _)| *part);
        if found.iter().map(|(part, _)| *part).ne(0..sizes[&name]) {
            let there: Vec<String> =
                found.iter().map(|(_, tensor)| format!("`{}`", printable(&tensor.name))).collect();
            let said =
                format!("has the tensor `{}` twice, or only in part: {}", printable(&name), there.join(", "));
            return Err(file.error(said, None));
        }
        tensors.insert(name, found.into_iter().map(|(_, tensor)| tensor).collect());
    }
    Ok(Chosen { network, family: family.name, count, tensors, spare })
}
