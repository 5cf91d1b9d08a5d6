//! Reads `#[slim(...)]`.

use std::mem::discriminant;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::Parser;
use syn::{Attribute, Error, Ident, LitInt, Meta, Path};

use crate::axis::{Axis, Factor, Item, List, Side, items};
use crate::treatment::{self, Treatments};

/// What the annotations of a field make it.
pub(crate) enum Role {
    /// Nothing: the field stays as it is.
    Plain,
    /// `#[slim]`
    Nested,
    /// `#[slim(tokens)]`
    Tokens,
    /// `#[slim(layout = [heads, head_dim])]`
    Layout(Layout),
    /// `#[slim(input = [...], output = [...], axis(N) = [...])]`
    Layer(Vec<Axis>),
}

/// `layout = [heads, head_dim]`
pub(crate) struct Layout {
    pub(crate) key: Ident,
    pub(crate) groups: Ident,
    pub(crate) units: Ident,
}

const FIELD_KEYS: [&str; 6] = ["input", "output", "axis", "gate", "layout", "tokens"];
const FIELD_FORMS: &str = "`input = [...]`, `output = [...]`, `axis(N) = [...]`, `gate`, `layout = [...]` or `tokens`, and a nested slimmable field a bare `#[slim]`; `norm`, `decay`, `no_decay`, `freeze`, `no_freeze` and `layer = ...` say how its parameters are trained";

/// Reads the `#[slim]` attributes of a field.
pub(crate) fn of_field(attrs: &[Attribute], errors: &mut Vec<Error>) -> (Role, Treatments) {
    let mut role = Role::Plain;
    let mut treatments = Treatments::default();
    for attr in slim_attributes(attrs) {
        match &attr.meta {
            Meta::Path(_) => role.become_role(Role::Nested, attr, errors),
            Meta::List(list) if list.tokens.is_empty() => errors.push(Error::new_spanned(
                attr,
                "nothing is annotated here: write `#[slim]` for a nested slimmable field, or name an axis, as in `#[slim(output = [hidden])]`",
            )),
            Meta::List(list) => {
                read_field_items(&mut role, &mut treatments, list.tokens.clone(), errors);
            }
            Meta::NameValue(_) => errors.push(equals_sign(attr)),
        }
    }
    (role, treatments)
}

/// What the annotations of a struct say.
#[derive(Default)]
pub(crate) struct Container {
    /// `#[slim(outer = [width])]`
    pub(crate) outer: Vec<Ident>,
    /// `#[slim(crate = other::vitslim_core)]`
    pub(crate) root: Option<Path>,
}

const STRUCT_FORMS: &str =
    "`outer = [...]`, the dimensions that it borrows, and `crate = ...`, the path of `vitslim_core`";

impl Container {
    /// Reads the `#[slim]` attributes of a struct.
    pub(crate) fn from_attributes(attrs: &[Attribute], errors: &mut Vec<Error>) -> Self {
        let mut container = Container::default();
        let mut seen = Vec::new();
        for attr in slim_attributes(attrs) {
            match &attr.meta {
                Meta::List(list) if !list.tokens.is_empty() => {
                    for item in items(list.tokens.clone(), errors) {
                        container.read(&item, &mut seen, errors);
                    }
                }
                Meta::NameValue(_) => errors.push(equals_sign(attr)),
                _ => errors.push(Error::new_spanned(
                    attr,
                    format!("`#[slim]` marks a nested field; a struct takes {STRUCT_FORMS}"),
                )),
            }
        }
        container
    }

    fn read(&mut self, item: &Item, seen: &mut Vec<String>, errors: &mut Vec<Error>) {
        let Some((key, value)) = item.key() else {
            let message = format!("a struct takes {STRUCT_FORMS}");
            errors.push(Error::new_spanned(item.tokens(), message));
            return;
        };
        let name = key.to_string();
        let message = match name.as_str() {
            "outer" | "crate" if seen.contains(&name) => match name.as_str() {
                "outer" => "`outer` is written twice: put all names into one list".into(),
                _ => "`crate` is written twice: remove one".into(),
            },
            "outer" => {
                let list = List::parse(key, "outer", value, "width", errors);
                self.outer = list.map(|list| only_names(&list, errors)).unwrap_or_default();
                seen.push(name);
                return;
            }
            "crate" => {
                self.root = read_root(key, value, errors);
                seen.push(name);
                return;
            }
            field if FIELD_KEYS.contains(&field) || treatment::KEYS.contains(&field) => {
                format!("`{field}` belongs on a field; a struct takes {STRUCT_FORMS}")
            }
            _ => format!("unknown key `{name}`: a struct takes {STRUCT_FORMS}"),
        };
        errors.push(Error::new_spanned(key, message));
    }
}

/// Reads `crate = other::vitslim_core`.
fn read_root(key: &Ident, value: &[TokenTree], errors: &mut Vec<Error>) -> Option<Path> {
    let (wrong, message) = match value {
        [TokenTree::Punct(equals), path @ ..] if equals.as_char() == '=' && !path.is_empty() => {
            let path: TokenStream = path.iter().cloned().collect();
            match Path::parse_mod_style.parse2(path.clone()) {
                Ok(path) => return Some(path),
                Err(_) => (path, "expected a path, without quotes: write `crate = other::vitslim_core`"),
            }
        }
        _ => (key.to_token_stream(), "`crate` needs a path: write `crate = other::vitslim_core`"),
    };
    errors.push(Error::new_spanned(wrong, message));
    None
}

fn slim_attributes(attrs: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attrs.iter().filter(|attr| attr.path().is_ident("slim"))
}

fn equals_sign(attr: &Attribute) -> Error {
    Error::new_spanned(&attr.meta, "annotations stand in parentheses: write `#[slim(output = [hidden])]`")
}

fn read_field_items(
    role: &mut Role,
    treatments: &mut Treatments,
    tokens: TokenStream,
    errors: &mut Vec<Error>,
) {
    // Whether the items of this attribute have an axis, to which a `gate` could belong.
    let mut axis_before = AxisBefore::None;
    // Whether the value before has no brackets, so that what follows may be more of its list.
    let mut list_open = false;
    for item in items(tokens, errors) {
        let Some((key, value)) = item.key() else {
            if !list_open {
                let message = format!("a field takes {FIELD_FORMS}");
                errors.push(Error::new_spanned(item.tokens(), message));
            }
            continue;
        };
        match key.to_string().as_str() {
            "input" | "output" | "axis" => {
                let axis = read_axis(key, value, errors);
                let added = axis.is_some_and(|axis| role.add_axis(axis, errors));
                axis_before = if added { AxisBefore::Good } else { AxisBefore::Broken };
            }
            "gate" if flag(key, value, errors) => match axis_before {
                AxisBefore::Good => role.gate_last_axis(key, errors),
                AxisBefore::Broken => {}
                AxisBefore::None => errors.push(Error::new_spanned(
                    key,
                    "`gate` belongs to the axis just before it in the same `#[slim(...)]`, and there is none: write `output = [hidden], gate`",
                )),
            },
            "tokens" if flag(key, value, errors) => role.become_role(Role::Tokens, key, errors),
            "gate" | "tokens" => {}
            "layout" => {
                if let Some(layout) = read_layout(key, value, errors) {
                    role.become_role(Role::Layout(layout), key, errors);
                }
            }
            name if treatment::KEYS.contains(&name) => treatments.read(key, value, errors),
            name @ ("outer" | "crate") => errors.push(Error::new_spanned(
                key,
                format!("`{name}` belongs on the struct: write `#[slim({name} = ...)]` above it"),
            )),
            _ if list_open && value.is_empty() => continue,
            name => {
                errors.push(unknown_key(key, name));
                axis_before = AxisBefore::Broken;
            }
        }
        list_open = value.last().is_some_and(|last| !matches!(last, TokenTree::Group(_)));
    }
}

#[derive(Clone, Copy)]
enum AxisBefore {
    None,
    Good,
    /// It could not be read, so that nothing is said about its `gate` either.
    Broken,
}

fn unknown_key(key: &Ident, name: &str) -> Error {
    let right = match name {
        "in" | "in_features" | "reads" | "consumer" => Some("input"),
        "out" | "out_features" | "writes" | "producer" => Some("output"),
        "mask" => Some("gate"),
        "weight_decay" => Some("decay"),
        "no_weight_decay" => Some("no_decay"),
        "frozen" => Some("freeze"),
        "trained" | "unfrozen" => Some("no_freeze"),
        _ => nearest(name, FIELD_KEYS.into_iter().chain(treatment::KEYS)),
    };
    let message = match right {
        Some(right) => format!("unknown key `{name}`: did you mean `{right}`?"),
        None => format!("unknown key `{name}`: a field takes {FIELD_FORMS}"),
    };
    Error::new_spanned(key, message)
}

/// Reads `input = [...]`, `output = [...]` or `axis(N) = [...]`.
fn read_axis(key: &Ident, value: &[TokenTree], errors: &mut Vec<Error>) -> Option<Axis> {
    let (side, key, value) = match (key.to_string().as_str(), value) {
        ("input", _) => (Side::Input, key.to_token_stream(), value),
        ("output", _) => (Side::Output, key.to_token_stream(), value),
        (_, [TokenTree::Group(number), value @ ..])
            if number.delimiter() == Delimiter::Parenthesis
                && let Ok(axis) = syn::parse2::<LitInt>(number.stream())
                && let Ok(axis) = axis.base10_parse() =>
        {
            (Side::Axis(axis), quote!(#key #number), value)
        }
        _ => {
            let number = value.first().filter(|tree| matches!(tree, TokenTree::Group(_)));
            let wrong = number.map_or(key.to_token_stream(), ToTokens::to_token_stream);
            errors.push(Error::new_spanned(
                wrong,
                "which axis? write its number, counted from 0: `axis(2) = [width]`",
            ));
            return None;
        }
    };
    let list = List::parse(&key, &side.to_string(), value, "hidden", errors)?;
    Some(Axis { side, key, list, gate: None })
}

/// Reads `layout = [heads, head_dim]`.
fn read_layout(key: &Ident, value: &[TokenTree], errors: &mut Vec<Error>) -> Option<Layout> {
    let list = List::parse(key, "layout", value, "heads, head_dim", errors)?;
    match list.factors.as_slice() {
        [Factor::Name(groups), Factor::Name(units)] if groups != units => {
            Some(Layout { key: key.clone(), groups: groups.clone(), units: units.clone() })
        }
        _ => {
            errors.push(Error::new_spanned(
                &list.brackets,
                "a layout has exactly two names, the groups and the dimension that they group: write `layout = [heads, head_dim]`",
            ));
            None
        }
    }
}

fn only_names(list: &List, errors: &mut Vec<Error>) -> Vec<Ident> {
    for factor in &list.factors {
        if let Factor::Number(_) = factor {
            errors.push(Error::new_spanned(
                &list.brackets,
                "`outer` names the dimensions that the struct borrows: write names only, as in `outer = [width]`",
            ));
        }
    }
    list.names().cloned().collect()
}

/// Whether `key` stands alone, as a flag must.
pub(crate) fn flag(key: &Ident, value: &[TokenTree], errors: &mut Vec<Error>) -> bool {
    errors.push(match value {
        [] => return true,
        [next @ TokenTree::Ident(_), ..] => {
            Error::new_spanned(next, format!("expected a comma after `{key}`"))
        }
        _ => Error::new_spanned(
            value.iter().cloned().collect::<TokenStream>(),
            format!("`{key}` is a flag and takes no value: write just `{key}`"),
        ),
    });
    false
}

impl Role {
    /// Makes the field what `key` says, unless it has a role already.
    fn become_role(&mut self, role: Role, key: impl ToTokens, errors: &mut Vec<Error>) {
        if let Role::Plain = self {
            *self = role;
        } else if discriminant(self) == discriminant(&role) {
            let message = format!("{} is written twice on this field: remove one", role.form());
            errors.push(Error::new_spanned(key, message));
        } else {
            errors.push(self.other_role(key));
        }
    }

    /// The annotation that makes a field of this role.
    fn form(&self) -> &'static str {
        match self {
            Role::Plain => "nothing",
            Role::Nested => "`#[slim]`",
            Role::Tokens => "`tokens`",
            Role::Layout(_) => "`layout`",
            Role::Layer(_) => "an axis",
        }
    }

    /// Adds an axis, and says whether it could.
    fn add_axis(&mut self, axis: Axis, errors: &mut Vec<Error>) -> bool {
        if let Role::Plain = self {
            *self = Role::Layer(Vec::new());
        }
        let Role::Layer(axes) = self else {
            errors.push(self.other_role(&axis.key));
            return false;
        };
        let twice = axes.iter().any(|other| other.side == axis.side);
        if twice {
            errors.push(Error::new_spanned(
                &axis.key,
                format!("`{}` is written twice on this field: an axis has one list of factors", axis.side),
            ));
            return false;
        }
        axes.push(axis);
        true
    }

    fn gate_last_axis(&mut self, gate: &Ident, errors: &mut Vec<Error>) {
        let Role::Layer(axes) = self else { return };
        let Some(axis) = axes.last_mut() else { return };
        if axis.gate.is_some() {
            errors.push(Error::new_spanned(
                gate,
                format!("`{}` is gated twice, which would square its mask: remove one `gate`", axis.side),
            ));
        }
        axis.gate = Some(gate.clone());
    }

    fn other_role(&self, tokens: impl ToTokens) -> Error {
        let message = match self {
            Role::Nested => {
                "`#[slim]` marks a nested field, whose axes are annotated in its own struct: remove one of the two".into()
            }
            _ => format!("this field already has {}, and a field has one role: remove one of the two", self.form()),
        };
        Error::new_spanned(tokens, message)
    }
}

/// The candidate that `word` was probably meant to be.
pub(crate) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let allowed = (word.chars().count() / 2).min(2);
    candidates
        .into_iter()
        .filter(|other| distance(word, other) <= allowed)
        .min_by_key(|other| distance(word, other))
}

/// How many letters must be typed, deleted or replaced to make `right` of `wrong`.
fn distance(wrong: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, letter) in wrong.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}
