//! Keys of an experiment to dimensions of a model.

use globset::{GlobBuilder, GlobMatcher};

use super::nearest::{list, nearest};

/// Why a key does not fit a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyError {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
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
            let name = &names[index];
            return Err(KeyError {
                message: format!("{key:?} matches the dimension `{name}`, which {first:?} matches already"),
                help: "each key is one ranking: leave one of them out, or make them match less".to_owned(),
            });
        }
        matched.iter().for_each(|&index| taken[index] = Some(key));
        Ok(matched)
    };
    keys.into_iter().map(&mut resolve).collect()
}

/// Which of `names` are `part`, or lie within it: a path (`blocks.0`), a glob over paths (`blocks.*.attn`), or a last name. Each with
/// whether it is `part` itself.
///
/// # Errors
///
/// When it is no glob, or matches none.
pub fn within(part: &str, names: &[String]) -> Result<Vec<(usize, bool)>, KeyError> {
    let patterns = [Pattern::new(part)?, Pattern::path(part)?];
    let is_part = |name: &str| patterns.iter().any(|pattern| pattern.matches(name));
    let is_within = |name: &str| name.match_indices('.').any(|(end, _)| patterns[1].matches(&name[..end]));
    let found = names.iter().enumerate().filter(|(_, name)| is_part(name) || is_within(name));
    let found: Vec<(usize, bool)> = found.map(|(index, name)| (index, is_part(name))).collect();
    if found.is_empty() { Err(unmatched(part, names)) } else { Ok(found) }
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
        if is_glob(key) { Self::path(key) } else { Ok(Self::LastName(key)) }
    }

    fn path(key: &str) -> Result<Self, KeyError> {
        GlobBuilder::new(&steps(key))
            .literal_separator(true)
            .build()
            .map(|glob| Self::Path(glob.compile_matcher()))
            .map_err(|error| KeyError {
                message: format!("{key:?} is not a valid glob: {}", error.kind()),
                help: "`*` matches one step of a path, `{a,b}` either of two".to_owned(),
            })
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
    let guess = nearest(key, candidates).map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
    let help = match last_names.as_slice() {
        [] => "this model has no dimensions: annotate an axis of a layer, as in `#[slim(output = [hidden])]`"
            .to_owned(),
        names => format!(
            "the dimensions of this model are {}; a glob matches a whole path, as in `blocks.*.mlp.hidden`",
            list(names.iter().copied())
        ),
    };
    KeyError { message: format!("no dimension matches {key:?}{guess}"), help }
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
        assert_eq!(error.message, "no dimension matches \"hiden\"; did you mean \"hidden\"?");
        assert!(error.help.contains("`width`, `tokens`, `head_dim` and `hidden`"));
        let error = resolved(&["blocks.*.hidden"]).unwrap_err();
        assert!(error.message.starts_with("no dimension matches \"blocks.*.hidden\""));
        let error = resolved(&["hidden", "blocks.0.mlp.*"]).unwrap_err();
        assert_eq!(
            error.message,
            "\"blocks.0.mlp.*\" matches the dimension `blocks.0.mlp.hidden`, which \"hidden\" matches already"
        );
        let error = resolve(["hidden"], &[]).remove(0).unwrap_err();
        assert!(error.help.starts_with("this model has no dimensions: annotate"), "{}", error.help);
        assert!(resolved(&["blocks.{0"]).unwrap_err().message.contains("is not a valid glob"));
        assert!(resolved(&[""]).unwrap_err().message.starts_with("no dimension matches \"\""));
    }
}
