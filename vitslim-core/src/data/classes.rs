//! The classes that a user names: in a list, in a file that lists them, or by their number.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::DataError;
use super::files::DataFile;

/// More bytes than any such file has, so that reading another file ends.
const MOST_BYTES: usize = 1 << 28;

/// Most classes: a larger number is taken for a typing error, or for a damaged label.
pub(super) const MOST_CLASSES: usize = 1_000_000;

/// What helps where names end or begin with numbers.
const AS_LIST: &str = "if the numbers are parts of the names, write a JSON list: `[\"cat 1\", \"cat 2\"]`";

/// What may stand between the name of a class and its index, or what else follows.
pub(super) const SEPARATORS: [char; 4] = [',', ';', '\t', ' '];

/// The classes, in the order of their labels.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Classes {
    /// Their names.
    Named(Vec<String>),
    /// A file with their names.
    File(PathBuf),
    /// How many there are: they are called by their labels, from 0 on.
    Count(#[schemars(range(min = 1, max = 1_000_000))] u32),
}

impl<'de> Deserialize<'de> for Classes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

struct Written;

impl<'de> Visitor<'de> for Written {
    type Value = Classes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of names, the path of a file in quotes, or a number of classes")
    }

    fn visit_str<E>(self, path: &str) -> Result<Classes, E> {
        Ok(Classes::File(path.into()))
    }

    fn visit_u64<E: serde::de::Error>(self, count: u64) -> Result<Classes, E> {
        match u32::try_from(count) {
            Ok(count) if count > 0 && count as usize <= MOST_CLASSES => Ok(Classes::Count(count)),
            _ => {
                let range = format!("must be at least 1 and at most {MOST_CLASSES}, but is {count}");
                Err(E::custom(range))
            }
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Classes, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = items.next_element()? {
            names.push(name);
        }
        Ok(Classes::Named(names))
    }
}

impl Classes {
    /// Their names, each once. A file is JSON, as ImageNet's `imagenet_class_index.json`, or text with a class in each line.
    ///
    /// # Errors
    ///
    /// When a name stands there twice, there is none, or the file cannot be read or understood.
    pub(super) fn names(&self) -> Result<Vec<String>, DataError> {
        match self {
            Self::Named(names) => match wrong(names) {
                None => Ok(names.clone()),
                Some(reason) => Err(DataError::setting(&["classes"], reason)),
            },
            Self::File(path) => read(path).map_err(|error| error.led_to_by(&["classes"])),
            Self::Count(count) => Ok((0..*count).map(|label| label.to_string()).collect()),
        }
    }
}

/// What is wrong with a list of `names`, if anything is.
fn wrong(names: &[String]) -> Option<String> {
    let mut met = HashSet::new();
    match names.iter().find(|name| !met.insert(*name)) {
        _ if names.is_empty() => Some("names no class".to_owned()),
        twice => twice.map(|name| format!("names `{name}` twice")),
    }
}

fn read(path: &Path) -> Result<Vec<String>, DataError> {
    let mut file = DataFile::open(path)?;
    let text =
        String::from_utf8(file.read_all(MOST_BYTES)?).map_err(|_| file.error("is no text in UTF-8"))?;
    // What some programs write before a text in UTF-8.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).trim();
    let names = match text.starts_with(['{', '[']) {
        true => of_json(text).map_err(|reason| file.error(reason)),
        false => of_lines(text).map_err(|reason| file.error(reason).with_help(AS_LIST)),
    }?;
    match wrong(&names) {
        Some(reason) => Err(file.error(reason)),
        None => Ok(names),
    }
}

/// The names in a list, in a map from labels to names, alone or at the beginning of a list as in `{"0": ["n01440764", "tench"]}`, or in one
/// from names to labels.
fn of_json(text: &str) -> Result<Vec<String>, String> {
    let unlike =
        "is JSON, but neither a list of names nor a map such as `{\"0\": [\"n01440764\", \"tench\"], ...}`";
    match serde_json::from_str(text) {
        Err(error) => Err(format!("is no JSON: {error}")),
        Ok(Value::Array(names)) => {
            let name = |name: Value| name.as_str().map(str::to_owned).ok_or_else(|| unlike.to_owned());
            names.into_iter().map(name).collect()
        }
        Ok(Value::Object(entries)) => {
            let pair = |(key, value): (String, Value)| {
                let label = |text: &str| text.parse::<usize>().map_err(|_| unlike.to_owned());
                match value {
                    Value::String(name) => Ok((label(&key)?, name)),
                    Value::Array(names) => match names.first().and_then(Value::as_str) {
                        Some(name) => Ok((label(&key)?, name.to_owned())),
                        None => Err(unlike.to_owned()),
                    },
                    Value::Number(number) => Ok((label(&number.to_string())?, key)),
                    _ => Err(unlike.to_owned()),
                }
            };
            by_label(entries.into_iter().map(pair).collect::<Result<_, _>>()?)
        }
        Ok(_) => Err(unlike.to_owned()),
    }
}

/// How a line may have a label and a name.
type Form = fn(&str) -> Option<(usize, String)>;

const FORMS: [Form; 2] = [label_behind, label_in_front];

/// The names in lines: each has one, or each has one and its label, as timm's class maps, or each begins with an identifier of WordNet and
/// goes on with what it means, as ImageNet's `LOC_synset_mapping.txt`. A heading above those is refused.
fn of_lines(text: &str) -> Result<Vec<String>, String> {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if let Some(pairs) = FORMS.iter().find_map(|form| labelled(&lines, *form)) {
        return by_label(pairs);
    }
    if let [first, rest @ ..] = &lines[..]
        && !rest.is_empty()
        && (FORMS.iter().any(|form| form(first).is_none() && labelled(rest, *form).is_some())
            || (synset(first).is_none() && rest.iter().all(|line| synset(line).is_some())))
    {
        return Err(format!("begins with `{first}`, which is unlike all other lines: leave out a heading"));
    }
    let synsets: Option<Vec<&str>> = lines.iter().map(|line| synset(line)).collect();
    Ok(synsets.unwrap_or(lines).into_iter().map(str::to_owned).collect())
}

/// The labels and names of `lines` in a `form`. `None` if one has another, or if the numbers are parts of the names, as in `class 0` and
/// `class 1`.
fn labelled(lines: &[&str], form: Form) -> Option<Vec<(usize, String)>> {
    let pairs: Vec<(usize, String)> = lines.iter().map(|line| form(line)).collect::<Option<_>>()?;
    let names: HashSet<&String> = pairs.iter().map(|(_, name)| name).collect();
    (names.len() == pairs.len()).then_some(pairs)
}

/// The label at the end of a line, and the name before it.
fn label_behind(line: &str) -> Option<(usize, String)> {
    let (name, label) = line.rsplit_once(SEPARATORS)?;
    let name = name.trim_end_matches(SEPARATORS);
    Some((label.parse().ok()?, name.to_owned())).filter(|_| !name.is_empty())
}

/// The label at the beginning of a line, and the name behind it.
fn label_in_front(line: &str) -> Option<(usize, String)> {
    let (label, name) = line.split_once(SEPARATORS)?;
    let name = name.trim_start_matches(SEPARATORS);
    Some((label.parse().ok()?, name.to_owned())).filter(|_| !name.is_empty())
}

/// The identifier at the beginning of a line: `n` and eight digits.
fn synset(line: &str) -> Option<&str> {
    let first = line.split(SEPARATORS).next()?;
    let digits = first.strip_prefix('n')?;
    (digits.len() == 8 && digits.bytes().all(|digit| digit.is_ascii_digit())).then_some(first)
}

/// The names in the order of their labels, which count from 0 and lack none.
fn by_label(mut pairs: Vec<(usize, String)>) -> Result<Vec<String>, String> {
    pairs.sort_by_key(|(label, _)| *label);
    let gap = pairs.iter().enumerate().find(|(expected, (label, _))| expected != label);
    match gap {
        Some((expected, (label, name))) if *label < expected => {
            Err(format!("gives the label {label} twice, the second time to `{name}`"))
        }
        Some((expected, _)) => Err(format!("has no class of label {expected}: labels count from 0")),
        None => Ok(pairs.into_iter().map(|(_, name)| name).collect()),
    }
}
