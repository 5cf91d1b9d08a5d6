//! Which files a pattern names, as in WebDataset: `train-{0000..1023}.tar`.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use globset::GlobBuilder;

use super::super::DataError;
use super::super::error::shown;

/// Most files that a pattern names: more are taken for a typing error.
const MOST_FILES: usize = 1 << 20;

/// The files in `folder` that the `pattern` of a `setting` names, in the order of its braces; those of a `*` are sorted by name. `None`
/// if a pattern with a `*` and without braces names none.
///
/// # Errors
///
/// When the pattern cannot be understood or leads out of `folder`, what its braces stand for names no file, or a folder cannot be read.
pub(super) fn files(
    folder: &Path,
    pattern: &str,
    setting: &'static [&'static str],
) -> Result<Option<Vec<PathBuf>>, DataError> {
    let wrong = |reason: String| DataError::setting(setting, format!("is `{pattern}`, {reason}"));
    let expanded = expand(pattern).map_err(wrong)?;
    let is_within = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    if !expanded.iter().all(|name| Path::new(name).components().all(is_within)) {
        return Err(wrong("which leads out of `path`: patterns are within it".to_owned()));
    }
    let mut folders = Folders::new();
    let mut found = Vec::new();
    let mut missing = Vec::new();
    for name in &expanded {
        let files = match has_star(name) {
            true => matching(folder, name, &mut folders).map_err(wrong)?,
            false => Some(folder.join(name)).filter(|path| path.exists()).into_iter().collect(),
        };
        if files.is_empty() {
            missing.push(name);
        }
        found.extend(files);
    }
    match missing[..] {
        [] => Ok(Some(found)),
        [only] if expanded.len() == 1 && has_star(only) => Ok(None),
        [first, ..] => {
            let (lacks, all) = (missing.len(), expanded.len());
            let of_all = if all > 1 { format!(": {lacks} of {all} missing") } else { String::new() };
            Err(wrong(format!("but `{}` has no `{first}`{of_all}", shown(folder))))
        }
    }
}

/// The names of the files in each folder within another, sorted. Each is listed once.
type Folders = HashMap<PathBuf, Vec<PathBuf>>;

/// Whether `name` is one of a `*`, or of what else stands for any characters.
fn has_star(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

/// What `pattern` stands for with its braces written out. They hold a range of numbers, with as many digits as its beginning, or a list. No
/// crate does this as Python's `braceexpand` and knows an end.
fn expand(pattern: &str) -> Result<Vec<String>, String> {
    let Some((before, rest)) = pattern.split_once('{') else { return Ok(vec![pattern.to_owned()]) };
    let (inner, after) = rest.split_once('}').ok_or("which has a `{` without `}`")?;
    let parts = match inner.split_once("..") {
        Some((first, last)) => range(first, last),
        None => Some(inner.split(',').map(str::to_owned).collect()).filter(|list: &Vec<_>| list.len() > 1),
    };
    let parts = parts.ok_or_else(|| {
        format!("where `{{{inner}}}` is neither a range as `{{0000..1023}}` nor a list as `{{a,b}}`")
    })?;
    let ends = expand(after)?;
    if parts.len().saturating_mul(ends.len()) > MOST_FILES {
        return Err(format!("which names more than the {MOST_FILES} files that are read"));
    }
    let whole = |part: &String| {
        let whole = |end: &String| format!("{before}{part}{end}");
        ends.iter().map(whole).collect::<Vec<_>>()
    };
    Ok(parts.iter().flat_map(whole).collect())
}

/// The numbers from `first` to `last`, or to one more than may be.
fn range(first: &str, last: &str) -> Option<Vec<String>> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    let digits = first.len();
    let [first, last] = [first, last].map(|text| text.parse::<u64>().ok().filter(|_| is_number(text)));
    let (first, last) = (first?, last?);
    (first <= last)
        .then(|| (first..=last).take(MOST_FILES + 1).map(|number| format!("{number:0digits$}")).collect())
}

/// The files that `pattern` matches, sorted by name.
fn matching(folder: &Path, pattern: &str, folders: &mut Folders) -> Result<Vec<PathBuf>, String> {
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    let glob = glob.map_err(|error| format!("which cannot be understood: {}", error.kind()))?;
    let glob = glob.compile_matcher();
    // Only the name of the file may have a `*`.
    let inner = Path::new(pattern).parent().unwrap_or(Path::new(""));
    if !folders.contains_key(inner) {
        let all = list(&folder.join(inner))?.into_iter().map(|name| inner.join(name)).collect();
        folders.insert(inner.to_owned(), all);
    }
    Ok(folders[inner].iter().filter(|path| glob.is_match(path)).map(|path| folder.join(path)).collect())
}

/// What is in `folder`, sorted by name.
fn list(folder: &Path) -> Result<Vec<OsString>, String> {
    let names = std::fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect::<Result<Vec<_>, _>>());
    let mut names = names.map_err(|error| format!("but `{}` cannot be read: {error}", shown(folder)))?;
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_are_ranges_or_lists() {
        for (pattern, expected) in [
            ("a.tar", &["a.tar"][..]),
            ("a-{08..11}.tar", &["a-08.tar", "a-09.tar", "a-10.tar", "a-11.tar"]),
            ("a-{8..10}.tar", &["a-8.tar", "a-9.tar", "a-10.tar"]),
            ("{b,a}-{0..1}", &["b-0", "b-1", "a-0", "a-1"]),
            ("{a,}x", &["ax", "x"]),
            ("{7..7}", &["7"]),
        ] {
            assert_eq!(expand(pattern).unwrap(), expected, "{pattern}");
        }
        for (pattern, told) in [
            ("a-{0..", "has a `{` without `}`"),
            ("a-{x}", "where `{x}` is neither a range as `{0000..1023}` nor a list as `{a,b}`"),
            ("a-{}", "`{}` is neither"),
            ("{3..1}", "`{3..1}` is neither"),
            ("{a..b}", "`{a..b}` is neither"),
            ("{+1..2}", "is neither"),
            ("{0..99999999999}", "names more than the 1048576 files"),
            ("{0..9999}{0..9999}", "names more than"),
        ] {
            let error = expand(pattern).unwrap_err();
            assert!(error.contains(told), "{pattern}: {error}");
        }
    }
}
