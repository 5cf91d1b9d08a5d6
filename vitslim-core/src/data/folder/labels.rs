//! A file that says the class of each image, for splits without folders of classes: ImageNet's validation images come so.

use std::collections::HashMap;
use std::path::Path;

use super::super::DataError;
use super::super::classes::SEPARATORS;
use super::super::files::DataFile;
use super::scan::Found;
use crate::terminal::counted;

/// More bytes than any such file has, so that reading another file ends.
const MOST_BYTES: usize = 1 << 28;

/// What stands between a name and a class, unless a line has none of them but spaces.
const COLUMNS: [char; 3] = [',', ';', '\t'];

/// The images of `found`, which lie in no folders, with the classes that the file `labels` gives them, labelled by their place in
/// `classes`. A line has the name of an image, with or without its folder and its extension, and its class; what follows, such as the
/// boxes in Kaggle's `LOC_val_solution.csv`, is ignored. The first line may be a heading, if it does not begin with the name of an image.
///
/// # Errors
///
/// When the file cannot be read, a line has no class or an unknown one, or an image has no line or two.
pub(super) fn labelled(found: Found, labels: &Path, classes: &[String]) -> Result<Found, DataError> {
    let of_labels = |error: DataError| error.led_to_by(&["labels"]);
    let mut file = DataFile::open(labels).map_err(of_labels)?;
    let text = file
        .read_all(MOST_BYTES)
        .and_then(|bytes| String::from_utf8(bytes).map_err(|_| file.error("is no text in UTF-8")));
    let text = text.map_err(of_labels)?;
    let wrong = |reason: String| of_labels(file.error(reason));

    let known: HashMap<&str, u32> = classes.iter().map(String::as_str).zip(0..).collect();
    let mut of_names: HashMap<&str, u32> = HashMap::new();
    let mut heading = None;
    let unknown = |class: &str, number: usize| {
        let known = counted(classes.len(), "class", "classes");
        wrong(format!("says `{class}` in line {number}, which is none of the {known}"))
    };
    // What some programs write before a text in UTF-8.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let (name, rest) = line.split_once(COLUMNS).or_else(|| line.split_once(' ')).unwrap_or((line, ""));
        let name = name.rsplit(['/', '\\']).next().unwrap_or(name).trim();
        // The name of a class may have spaces in it.
        let (all, first) = (rest.trim(), rest.trim().split(SEPARATORS).next());
        let label = [Some(all), first].into_iter().flatten().find_map(|class| known.get(class).copied());
        match label {
            Some(label) => {
                if of_names.insert(name, label).is_some_and(|other| other != label) {
                    return Err(wrong(format!(
                        "gives `{name}` two classes, the second in line {}",
                        number + 1
                    )));
                }
            }
            None if number == 0 => heading = Some((name, all)),
            None => return Err(unknown(all, number + 1)),
        }
    }
    found.flat(classes, |path| {
        let [name, stem] =
            [path.file_name(), path.file_stem()].map(|name| name.and_then(|name| name.to_str()));
        if let Some((_, class)) = heading.filter(|(heading, _)| [name, stem].contains(&Some(heading))) {
            return Err(unknown(class, 1));
        }
        let label = |name: Option<&str>| of_names.get(name?).copied();
        label(name)
            .or_else(|| label(stem))
            .ok_or_else(|| wrong(format!("has no line for `{}`", path.display())))
    })
}
