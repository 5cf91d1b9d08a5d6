//! Reads the `#[slim(...)]` of a field.

use std::mem::discriminant;

use proc_macro2::{Delimiter, Literal, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{Attribute, Error, Ident, LitInt, Meta};

use crate::axis::{Axis, Factor, Item, List, Side, items};
use crate::branch::Branch;
use crate::container::STRUCT_KEYS;
use crate::lend::{Lend, Source};
use crate::name::Name;
use crate::treatment::{self, Treatments};

/// What the annotations of a field make it.
#[derive(Default)]
pub(crate) enum Role {
    /// Nothing: the field stays as it is.
    #[default]
    Plain,
    /// `#[slim]`, `#[slim(width = width1)]`
    Nested(Vec<Lend>),
    /// `#[slim(tokens)]`
    Tokens,
    /// `#[slim(branch = [norm1, attn])]`
    Branch(Branch),
    /// `#[slim(layout = [heads, head_dim])]`
    Layout(Layout),
    /// `#[slim(input = [...], output = [...], axis(N) = [...])]`
    Layer(Vec<Axis>),
    /// `#[slim(0(output = [...]), 1(input = [...]))]`
    Parts(Vec<Part>),
}

/// `0(output = [...])`: a layer in a tuple.
pub(crate) struct Part {
    pub(crate) index: usize,
    pub(crate) key: Literal,
    pub(crate) axes: Vec<Axis>,
    /// The flag `end`, if it is given.
    pub(crate) end: Option<Ident>,
}

/// `layout = [heads, head_dim]`, `layout = [heads, qk, v]`
pub(crate) struct Layout {
    pub(crate) key: Ident,
    pub(crate) groups: Name,
    /// The dimension; or that of queries and keys, and that of values.
    pub(crate) dimensions: Vec<LaidOut>,
}

/// `(2, rot)`: a dimension of a layout.
pub(crate) struct LaidOut {
    pub(crate) units: Name,
    /// The counts before and after it, multiplied.
    pub(crate) features_per_unit: usize,
}

impl LaidOut {
    /// A dimension, if `factors` are that and counts.
    fn of<'f>(factors: impl IntoIterator<Item = &'f Factor>) -> Option<Self> {
        let (mut named, mut features_per_unit) = (None, 1);
        for factor in factors {
            match factor {
                Factor::Number(count) => features_per_unit *= count,
                Factor::Name(name) if named.is_none() && name.inside().is_none() => {
                    named = Some(name.clone())
                }
                _ => return None,
            }
        }
        Some(Self { units: named?, features_per_unit })
    }
}

impl Layout {
    /// The names of its dimensions.
    pub(crate) fn units(&self) -> impl Iterator<Item = &Name> {
        self.dimensions.iter().map(|laid_out| &laid_out.units)
    }

    /// The dimension of queries and keys, if they have one of their own: only the scores read it.
    pub(crate) fn contracted(&self) -> Option<&Name> {
        match self.dimensions.as_slice() {
            [qk, _] => Some(&qk.units),
            _ => None,
        }
    }
}

pub(crate) const FIELD_KEYS: [&str; 8] =
    ["input", "output", "axis", "gate", "layout", "tokens", "branch", "end"];
const FIELD_FORMS: &str = "`input = [...]`, `output = [...]`, `axis(N) = [...]`, `gate`, `layout = [...]`, `tokens`, `branch = [...]` or `end`, a tuple of layers `0(...)`, and a nested slimmable field a bare `#[slim]`, or `width = width1` if it calls `width` what is `width1` here; of a layer, `norm`, `decay`, `no_decay`, `freeze`, `no_freeze` and `layer = ...` say how its parameters are trained";

/// What the annotations of a field say.
#[derive(Default)]
pub(crate) struct Said {
    pub(crate) role: Role,
    pub(crate) treatments: Treatments,
    /// The flag `end`, if it is given.
    pub(crate) end: Option<Ident>,
}

/// Reads the `#[slim]` attributes of a field.
pub(crate) fn of_field(attrs: &[Attribute], errors: &mut Vec<Error>) -> Said {
    let mut said = Said::default();
    for attr in slim_attributes(attrs) {
        match &attr.meta {
            Meta::Path(_) => said.role.become_role(Role::Nested(Vec::new()), attr, errors),
            Meta::List(list) if list.tokens.is_empty() => errors.push(Error::new_spanned(
                attr,
                "nothing is annotated here: write `#[slim]` for a nested slimmable field, or name an axis, as in `#[slim(output = [hidden])]`",
            )),
            Meta::List(list) => {
                read_field_items(&mut said, list.tokens.clone(), errors);
            }
            Meta::NameValue(_) => errors.push(equals_sign(attr)),
        }
    }
    said
}

pub(crate) fn slim_attributes(attrs: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attrs.iter().filter(|attr| attr.path().is_ident("slim"))
}

pub(crate) fn equals_sign(attr: &Attribute) -> Error {
    Error::new_spanned(&attr.meta, "annotations stand in parentheses: write `#[slim(output = [hidden])]`")
}

fn read_field_items(said: &mut Said, tokens: TokenStream, errors: &mut Vec<Error>) {
    let Said { role, treatments, end } = said;
    // Whether the items of this attribute have an axis, to which a `gate` could belong.
    let mut axis_before = AxisBefore::None;
    // Whether the value before has no brackets, so that what follows may be more of its list.
    let mut list_open = false;
    for item in items(tokens, errors) {
        if let Some(part) = read_part(&item, errors) {
            role.add_part(part, errors);
            axis_before = AxisBefore::None;
            continue;
        }
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
            "end" if flag(key, value, errors) => {
                if end.replace(key.clone()).is_some() {
                    errors.push(Error::new_spanned(key, "`end` is written twice on this field: remove one"));
                }
            }
            "gate" | "tokens" | "end" => {}
            "branch" => {
                if let Some(branch) = Branch::read(key, value, errors) {
                    role.become_role(Role::Branch(branch), key, errors);
                }
            }
            "layout" => {
                if let Some(layout) = read_layout(key, value, errors) {
                    role.become_role(Role::Layout(layout), key, errors);
                }
            }
            name if treatment::KEYS.contains(&name) => {
                treatments.read(key, value, errors);
                list_open = false;
                continue;
            }
            name if STRUCT_KEYS.contains(&name) => errors.push(Error::new_spanned(
                key,
                match name {
                    "none" => "`none` belongs on the struct: write `#[slim(none)]` above it".into(),
                    _ => format!("`{name}` belongs on the struct: write `#[slim({name} = ...)]` above it"),
                },
            )),
            _ if list_open && value.is_empty() => continue,
            name if let [TokenTree::Punct(equals), source @ ..] = value
                && equals.as_char() == '='
                && !matches!(source, [TokenTree::Group(_), ..]) =>
            {
                match Source::read(name, key, source) {
                    Ok(source) => role.lend(Lend { name: Name::from(key), source }, errors),
                    Err(error) => errors.push(error),
                }
                axis_before = AxisBefore::None;
                list_open = false;
                continue;
            }
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
    let message = match likely_key(name) {
        Some(right) => format!("unknown key `{name}`: did you mean `{right}`?"),
        None => format!("unknown key `{name}`: a field takes {FIELD_FORMS}"),
    };
    Error::new_spanned(key, message)
}

/// The key of a field that `name` was probably meant to be.
pub(crate) fn likely_key(name: &str) -> Option<&'static str> {
    match name {
        "in" | "in_features" | "reads" | "consumer" => Some("input"),
        "out" | "out_features" | "writes" | "producer" => Some("output"),
        "mask" => Some("gate"),
        "weight_decay" => Some("decay"),
        "no_weight_decay" => Some("no_decay"),
        "frozen" => Some("freeze"),
        "trained" | "unfrozen" => Some("no_freeze"),
        _ => nearest(name, FIELD_KEYS.into_iter().chain(treatment::KEYS)),
    }
}

/// Reads `0(output = [...])`, if `item` is of this form.
fn read_part(item: &Item, errors: &mut Vec<Error>) -> Option<Part> {
    let [TokenTree::Literal(key), TokenTree::Group(group)] = item.trees() else { return None };
    if group.delimiter() != Delimiter::Parenthesis {
        return None;
    }
    let index = key.to_string().parse().ok()?;
    let mut part = Said::default();
    let before = errors.len();
    read_field_items(&mut part, group.stream(), errors);
    if let Some(said) = part.treatments.first() {
        let message = format!(
            "`{said}` holds for all parameters of a field: write it beside the parts, as in `0(output = [hidden]), {said}`, or give this part a struct of its own"
        );
        errors.push(Error::new_spanned(said, message));
    }
    let axes = match part.role {
        Role::Layer(axes) => axes,
        _ => {
            if errors.len() == before {
                let message = "a part of a tuple is a layer with axes, as in `0(output = [hidden])`: give what is more a struct of its own";
                errors.push(Error::new_spanned(item.tokens(), message));
            }
            Vec::new()
        }
    };
    Some(Part { index, key: key.clone(), axes, end: part.end })
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

/// Reads `layout = [heads, head_dim]`, `[heads, 2, rot]` or `[heads, qk, v]`.
fn read_layout(key: &Ident, value: &[TokenTree], errors: &mut Vec<Error>) -> Option<Layout> {
    let list = List::parse(key, "layout", value, "heads, head_dim", errors)?;
    if let Some((Factor::Name(groups), rest)) = list.factors.split_first()
        && groups.inside().is_none()
    {
        let dimensions = match LaidOut::of(rest) {
            Some(one) => Some(vec![one]),
            None => rest.iter().map(one_of_layout).collect(),
        };
        let dimensions = dimensions.filter(|dimensions| match dimensions.as_slice() {
            [one] => one.units != *groups,
            [qk, v] => qk.units != v.units && qk.units != *groups && v.units != *groups,
            _ => false,
        });
        if let Some(dimensions) = dimensions {
            return Some(Layout { key: key.clone(), groups: groups.clone(), dimensions });
        }
    }
    errors.push(Error::new_spanned(
        &list.brackets,
        "a layout names the groups and the dimension that they group: write `layout = [heads, head_dim]`; or two dimensions, that of queries and keys and that of values, as in `layout = [heads, qk, v]`; a count belongs to one with more features a unit, as in `[heads, 2, rot]` or `[heads, (2, rot), v]`",
    ));
    None
}

/// `qk` or `(2, rot)`.
fn one_of_layout(factor: &Factor) -> Option<LaidOut> {
    match factor {
        Factor::Sum(terms) => match terms.as_slice() {
            [list] => LaidOut::of(list),
            _ => None,
        },
        factor => LaidOut::of([factor]),
    }
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
            Role::Nested(_) => "`#[slim]`",
            Role::Tokens => "`tokens`",
            Role::Branch(_) => "`branch`",
            Role::Layout(_) => "`layout`",
            Role::Layer(_) => "an axis",
            Role::Parts(_) => "parts with axes",
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

    /// Adds a part of a tuple.
    fn add_part(&mut self, part: Part, errors: &mut Vec<Error>) {
        if let Role::Plain = self {
            *self = Role::Parts(Vec::new());
        }
        match self {
            Role::Parts(parts) if parts.iter().any(|other| other.index == part.index) => {
                let message = format!("part {} is annotated twice: write its axes into one", part.index);
                errors.push(Error::new_spanned(&part.key, message));
            }
            Role::Parts(parts) => parts.push(part),
            _ => errors.push(self.other_role(&part.key)),
        }
    }

    /// Adds a dimension that a nested field borrows by another name.
    fn lend(&mut self, lend: Lend, errors: &mut Vec<Error>) {
        let name = lend.name.to_string();
        match self {
            Role::Plain => *self = Role::Nested(vec![lend]),
            Role::Nested(lends) if lends.iter().any(|other| other.name == lend.name) => {
                let message = format!("`{name}` is lent twice: remove one");
                errors.push(Error::new_spanned(&lend.name, message));
            }
            Role::Nested(lends) => lends.push(lend),
            _ if let Some(right) = likely_key(&name) => {
                let message = format!("unknown key `{name}`: did you mean `{right}`?");
                errors.push(Error::new_spanned(&lend.name, message));
            }
            _ => {
                let message = format!(
                    "only a nested slimmable field borrows, and this one has {}: remove `{name}`, or give the field a struct of its own",
                    self.form()
                );
                errors.push(Error::new_spanned(&lend.name, message));
            }
        }
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
            Role::Nested(lends) if let Some(lend) = lends.first() => {
                let hint = likely_key(lend.name.as_str()).map(|right| format!("; or did you mean `{right}`?"));
                format!(
                    "`{}` is lent to a nested field, whose axes are annotated in its own struct: remove one of the two{}",
                    lend.name,
                    hint.unwrap_or_default()
                )
            }
            Role::Nested(_) => {
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
