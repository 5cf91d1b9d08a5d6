//! Keys of an experiment to dimensions of a model.

use globset::{GlobBuilder, GlobMatcher};
use thiserror::Error;

use super::nearest::{list, nearest};

/// Why the keys of an experiment do not fit a model.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// A key matches no dimension.
    #[error("no dimension matches {key:?}{}", guess(.near.as_deref()))]
    Unmatched {
        /// The key.
        key: String,
        /// The nearest right one.
        near: Option<String>,
        /// The last names of the model's dimensions.
        names: Vec<String>,
    },
    /// Two keys match the same dimension.
    #[error("{second:?} matches the dimension `{dimension}`, which {first:?} matches already")]
    Overlap {
        /// The earlier key.
        first: String,
        /// The later key.
        second: String,
        /// The dimension that both match.
        dimension: String,
    },
    /// A key is not a valid glob.
    #[error("{key:?} is not a valid glob: {reason}")]
    Glob {
        /// The key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl KeyError {
    /// The key that the report should point to.
    pub fn key(&self) -> &str {
        match self {
            Self::Unmatched { key, .. } | Self::Glob { key, .. } => key,
            Self::Overlap { second, .. } => second,
        }
    }

    /// What to do.
    pub fn help(&self) -> String {
        match self {
            Self::Unmatched { names, .. } => format!(
                "the dimensions of this model are {}; a glob matches a whole path, as in `blocks.*.mlp.hidden`",
                list(names.iter().map(String::as_str))
            ),
            Self::Overlap { .. } => {
                "each key is one ranking: leave one of them out, or make them match less".to_owned()
            }
            Self::Glob { .. } => "`*` matches one step of a path, `{a,b}` either of two".to_owned(),
        }
    }
}

fn guess(near: Option<&str>) -> String {
    near.map_or_else(String::new, |near| format!("; did you mean {near:?}?"))
}

/// For each key, the indices of the dimensions that it matches, in the order of `names`; or why it does not fit: it is not a valid
/// glob, matches nothing, or matches what an earlier key matches.
///
/// A key is the last name of a dimension (`hidden` is every `*.hidden`), or a glob over its whole path, in which `*`
/// matches one step.
pub fn resolve<'a>(
    keys: impl IntoIterator<Item = &'a str>,
    names: &[String],
) -> Vec<Result<Vec<usize>, KeyError>> {
    let mut taken: Vec<Option<&str>> = vec![None; names.len()];
    let mut resolve = |key: &'a str| {
        let pattern = Pattern::new(key)?;
        let matched: Vec<usize> = (0..names.len()).filter(|&index| pattern.matches(&names[index])).collect();
        if matched.is_empty() {
            return Err(unmatched(key, names));
        }
        if let Some((index, first)) = matched.iter().find_map(|&index| Some((index, taken[index]?))) {
            return Err(KeyError::Overlap {
                first: first.to_owned(),
                second: key.to_owned(),
                dimension: names[index].clone(),
            });
        }
        matched.iter().for_each(|&index| taken[index] = Some(key));
        Ok(matched)
    };
    keys.into_iter().map(&mut resolve).collect()
}

/// Whether `key` is a glob over paths, not a last name.
fn is_glob(key: &str) -> bool {
    key.contains(['.', '*', '?', '[', ']', '{', '}', '\\'])
}

enum Pattern<'a> {
    LastName(&'a str),
    Path(GlobMatcher),
}

impl<'a> Pattern<'a> {
    fn new(key: &'a str) -> Result<Self, KeyError> {
        if !is_glob(key) {
            return Ok(Self::LastName(key));
        }
        GlobBuilder::new(&steps(key))
            .literal_separator(true)
            .build()
            .map(|glob| Self::Path(glob.compile_matcher()))
            .map_err(|error| KeyError::Glob { key: key.to_owned(), reason: error.kind().to_string() })
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Self::LastName(last) => last_name(name) == *last,
            Self::Path(glob) => glob.is_match(steps(name)),
        }
    }
}

/// Globs separate steps by `/`, paths by dots.
fn steps(path: &str) -> String {
    path.replace('.', "/")
}

fn last_name(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

fn unmatched(key: &str, names: &[String]) -> KeyError {
    let mut last_names: Vec<&str> = Vec::new();
    for name in names {
        if !last_names.contains(&last_name(name)) {
            last_names.push(last_name(name));
        }
    }
    let candidates = last_names.iter().copied().chain(names.iter().map(String::as_str));
    KeyError::Unmatched {
        key: key.to_owned(),
        near: nearest(key, candidates).map(str::to_owned),
        names: last_names.into_iter().map(str::to_owned).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        let mut names = vec!["width".to_owned()];
        for block in 0..3 {
            for name in ["tokens", "attn.head_dim", "mlp.hidden"] {
                names.push(format!("blocks.{block}.{name}"));
            }
        }
        names
    }

    fn resolved(keys: &[&str]) -> Result<Vec<Vec<usize>>, KeyError> {
        resolve(keys.iter().copied(), &names()).into_iter().collect()
    }

    #[test]
    fn each_key_has_its_own_answer() {
        let found = resolve(["hiden", "width", "widht", "hidden"], &names());
        assert_eq!(found[1], Ok(vec![0]));
        assert_eq!(found[3], Ok(vec![3, 6, 9]));
        assert!(found[0].is_err() && found[2].is_err());
        // A wrong key takes nothing from those after it.
        let found = resolve(["hidden", "blocks.*.*.*", "head_dim"], &names());
        assert!(found[0].is_ok() && found[1].is_err() && found[2].is_ok());
    }

    #[test]
    fn keys_are_last_names_or_globs() {
        assert_eq!(resolved(&["hidden", "width"]), Ok(vec![vec![3, 6, 9], vec![0]]));
        assert_eq!(resolved(&["blocks.*.attn.head_dim"]), Ok(vec![vec![2, 5, 8]]));
        assert_eq!(
            resolved(&["blocks.{0,1}.mlp.hidden", "blocks.2.mlp.hidden"]),
            Ok(vec![vec![3, 6], vec![9]])
        );
        assert_eq!(resolved(&["blocks.*.tokens"]), Ok(vec![vec![1, 4, 7]]));
    }

    #[test]
    fn wrong_keys_are_named() {
        let error = resolved(&["hiden"]).unwrap_err();
        assert_eq!(error.to_string(), "no dimension matches \"hiden\"; did you mean \"hidden\"?");
        assert!(error.help().contains("`width`, `tokens`, `head_dim` and `hidden`"));
        let error = resolved(&["blocks.*.hidden"]).unwrap_err();
        assert!(error.to_string().starts_with("no dimension matches \"blocks.*.hidden\""));
        let error = resolved(&["hidden", "blocks.0.mlp.*"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"blocks.0.mlp.*\" matches the dimension `blocks.0.mlp.hidden`, which \"hidden\" matches already"
        );
        assert_eq!(error.key(), "blocks.0.mlp.*");
        assert!(matches!(resolved(&["blocks.{0"]), Err(KeyError::Glob { .. })));
        assert!(matches!(resolved(&[""]), Err(KeyError::Unmatched { .. })));
    }
}
