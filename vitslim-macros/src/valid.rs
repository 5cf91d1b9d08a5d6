//! Rejects what is well written and makes no sense.

use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{Error, Ident};

use crate::ast::{Field, Input};
use crate::attr::{Layout, Role, nearest};
use crate::axis::{Axis, Factor, Meaning, Names, Side};

/// Types that everybody writes by these names, so that one in the wrong place can be told by name. Any other is left to
/// the compiler's own check of the generated code.
const WELL_KNOWN: [&str; 13] = [
    "Linear",
    "Conv2d",
    "LayerNorm",
    "Gelu",
    "Dropout",
    "DropPath",
    "HeadLayout",
    "TokenGate",
    "Param",
    "Vec",
    "Option",
    "usize",
    "f64",
];

/// Checks the struct, and adds everything that is wrong to `errors`.
pub(crate) fn check(input: &Input, names: &Names, errors: &mut Vec<Error>) {
    let mut check = Check { input, names, errors, doubtful: Vec::new() };
    check.lifetimes();
    check.annotated();
    check.outer();
    check.layouts();
    check.fields();
    check.axes();
    check.roles();
}

struct Check<'a> {
    input: &'a Input<'a>,
    names: &'a Names<'a>,
    errors: &'a mut Vec<Error>,
    /// Names that something is wrong with already: what else could be said of them would be a guess.
    doubtful: Vec<&'a Ident>,
}

impl<'a> Check<'a> {
    fn error(&mut self, tokens: impl ToTokens, message: impl Into<String>) {
        self.errors.push(Error::new_spanned(tokens, message.into()));
    }

    fn lifetimes(&mut self) {
        for lifetime in self.input.original.generics.lifetimes() {
            self.error(
                lifetime,
                "a Burn module owns its tensors and cannot borrow them: remove the lifetime",
            );
        }
    }

    fn annotated(&mut self) {
        let plain = |field: &Field| matches!(field.role, Role::Plain);
        let input = self.input;
        if input.complete && input.outer.is_empty() && input.fields.iter().all(plain) {
            self.error(
                &input.original.ident,
                "no field is annotated, so nothing can be slimmed: name a prunable axis, as in `#[slim(output = [hidden])]`, or mark a nested slimmable field with `#[slim]`",
            );
        }
    }

    fn outer(&mut self) {
        let input = self.input;
        for (index, name) in input.outer.iter().enumerate() {
            let layout = layouts(input).find(|layout| [&layout.groups, &layout.units].contains(&name));
            let message = if input.outer[..index].contains(name) {
                format!("`{name}` is borrowed twice: remove one")
            } else if let Meaning::Count(_) = self.names.meaning(name) {
                format!("`{name}` is a `usize` field of this struct, and so a count: rename one of the two")
            } else if let Some(layout) = layout {
                format!(
                    "`{name}` is borrowed and has a layout in this struct: remove it here to declare `{0}`, or the layout to borrow `{0}`",
                    layout.units
                )
            } else if input.complete && !self.is_used(name) {
                format!(
                    "no axis of this struct names the borrowed `{name}`: remove it, nested fields borrow for themselves"
                )
            } else {
                continue;
            };
            self.error(name, message);
            self.doubtful.push(name);
        }
    }

    fn is_used(&self, name: &Ident) -> bool {
        self.input.axes().any(|(_, axis)| axis.list.has(name))
    }

    fn layouts(&mut self) {
        let mut seen: Vec<&Ident> = Vec::new();
        for Layout { key, groups, units } in layouts(self.input) {
            for name in [groups, units] {
                let message = if seen.contains(&name) {
                    format!("`{name}` is laid out already: a name stands in one layout, once")
                } else if let Meaning::Count(_) = self.names.meaning(name) {
                    format!(
                        "`{name}` is a `usize` field of this struct, and so a count: rename one of the two"
                    )
                } else {
                    seen.push(name);
                    continue;
                };
                self.error(name, message);
                self.doubtful.extend([groups, units]);
            }
            if self.input.complete && !self.is_used(units) {
                self.error(
                    key,
                    format!("no axis of this struct is laid out like this: write one, as in `#[slim(output = [{groups}, {units}])]`"),
                );
            }
        }
    }

    fn fields(&mut self) {
        for field in &self.input.fields {
            if let Err(error) = check_type(field) {
                self.errors.push(error);
                self.doubtful.extend(field.axes().iter().flat_map(|axis| axis.list.names()));
            }
            // A token gate is itself a dimension, by the name of its field.
            let name = field.ident.unraw();
            if let Role::Tokens = field.role
                && let Some(dimension) =
                    self.names.declared(self.input).into_iter().find(|other| **other == name)
            {
                self.error(
                    dimension,
                    format!("the token gate `{name}` of this struct is a dimension of that name: rename one of the two"),
                );
            }
        }
    }

    fn axes(&mut self) {
        // Two axes may share a mistake, so that only what was doubtful before keeps one from being checked.
        let doubtful = self.doubtful.clone();
        for (_, axis) in self.input.axes() {
            if !axis.list.names().any(|name| doubtful.contains(&name))
                && let Err(error) = check_axis(axis, self.input, self.names)
            {
                self.errors.push(error);
                self.doubtful.extend(axis.list.names());
            }
        }
    }

    fn roles(&mut self) {
        if self.input.complete {
            for dimension in self.names.declared(self.input) {
                if !self.doubtful.contains(&dimension) {
                    self.errors.extend(check_roles(dimension, self.input, self.names).err());
                }
            }
        }
    }
}

fn layouts<'a>(input: &'a Input<'a>) -> impl Iterator<Item = &'a Layout> {
    input.fields.iter().filter_map(|field| match &field.role {
        Role::Layout(layout) => Some(layout),
        _ => None,
    })
}

/// What can be said of a field's type by its name alone.
fn check_type(field: &Field) -> Result<(), Error> {
    let Some(name) = field.type_name() else {
        return Ok(());
    };
    let text = name.to_string();
    let known = WELL_KNOWN.contains(&text.as_str());
    let message = match (&field.role, text.as_str()) {
        (Role::Tokens, "TokenGate") | (Role::Layout(_), "HeadLayout") => return Ok(()),
        (Role::Nested | Role::Layer(_), "TokenGate") => {
            "a token gate has an annotation of its own: write `#[slim(tokens)]`".into()
        }
        (Role::Nested | Role::Layer(_), "HeadLayout") => {
            "a head layout has an annotation of its own: write `#[slim(layout = [heads, head_dim])]`".into()
        }
        (Role::Tokens, _) if known => {
            format!(
                "`tokens` marks a field of type `TokenGate`, and this is a `{name}`: move it to that field"
            )
        }
        (Role::Layout(_), _) if known => {
            format!(
                "`layout` marks a field of type `HeadLayout`, and this is a `{name}`: move it to that field"
            )
        }
        _ => return Ok(()),
    };
    Err(Error::new_spanned(name, message))
}

/// Whether the factors of `axis` are integers times one dimension.
fn check_axis(axis: &Axis, input: &Input, names: &Names) -> Result<(), Error> {
    let is_dimension = |name: &Ident| !matches!(names.meaning(name), Meaning::Count(_));
    let factors = axis.list.factors.iter().enumerate();
    let dimensions: Vec<(usize, &Ident)> = factors
        .filter_map(|(index, factor)| match factor {
            Factor::Name(name) if is_dimension(name) => Some((index, name)),
            _ => None,
        })
        .collect();
    for (_, name) in &dimensions {
        check_count(name, input)?;
    }

    let brackets = axis.list.brackets.to_token_stream();
    let (wrong, message) = match dimensions.as_slice() {
        [] => (
            brackets,
            "an axis has a dimension, and this one has only numbers: name what can be pruned along it, as in `[3, hidden]`".into(),
        ),
        [(_, name)] => {
            let message = match (names.units_of(name), names.groups_of(name)) {
                (Some(_), _) if axis.gate.is_none() => return Ok(()),
                (Some(units), _) => format!("`{name}` are only the groups of `{units}`, and masks multiply units: write both, `{name}, {units}`, or remove the `gate` of an axis that has an entry for each group"),
                (None, Some(groups)) => format!("`{name}` is grouped by `{groups}`: write both, `{groups}, {name}`"),
                (None, None) => return Ok(()),
            };
            (name.to_token_stream(), message)
        }
        [(_, first), (_, second)] if first == second => (
            second.to_token_stream(),
            format!("`{second}` stands twice in this axis: an axis has one dimension, once"),
        ),
        [(at, first), (then, second)] if names.units_of(first) == Some(second) => {
            if *then == at + 1 {
                return Ok(());
            }
            let message = format!(
                "`{first}` and `{second}` are one dimension, and nothing may stand between them: write counts before or after, as in `[3, {first}, {second}]`"
            );
            (brackets, message)
        }
        [(_, first), (_, second)] if names.units_of(second) == Some(first) => (
            brackets,
            format!("`{first}` and `{second}` stand the other way round elsewhere in this struct, groups first: write `{second}, {first}`"),
        ),
        [(_, first), (_, second)] => (second.to_token_stream(), two_dimensions(first, second, names)),
        [_, _, (_, third), ..] => (
            third.to_token_stream(),
            format!("`{third}` is one dimension too many: an axis is integers times one dimension, such as `[3, heads, head_dim]`"),
        ),
    };
    Err(Error::new_spanned(wrong, message))
}

fn two_dimensions(first: &Ident, second: &Ident, names: &Names) -> String {
    if second == "gate" {
        return format!("`gate` stands after the list: write `[{first}], gate`");
    }
    if let Some(groups) = names.groups_of(second) {
        return format!("`{second}` is grouped by `{groups}`, not by `{first}`: write `{groups}, {second}`");
    }
    if let Some(units) = names.units_of(first) {
        return format!("`{first}` are the groups of `{units}`, not of `{second}`: write `{first}, {units}`");
    }
    let (borrowed, other) = match (names.is_borrowed(first), names.is_borrowed(second)) {
        (true, false) => (first, second),
        (false, true) => (second, first),
        _ => {
            return format!(
                "`{first}` and `{second}` are two dimensions, and an axis has one: if `{first}` groups `{second}`, add a field `#[slim(layout = [{first}, {second}])] {first}: HeadLayout`; if one is a count, make it a `usize` field"
            );
        }
    };
    format!(
        "`{borrowed}` is borrowed and `{other}` is not: if they are one grouped dimension, write `#[slim(outer = [{first}, {second}])]` on the struct"
    )
}

/// A field of another integer type was surely meant as a count.
fn check_count(name: &Ident, input: &Input) -> Result<(), Error> {
    let field = input.fields.iter().find(|field| field.ident.unraw() == *name);
    let ty = field.and_then(Field::type_name).map(Ident::to_string);
    match ty.as_deref() {
        Some(ty @ ("u8" | "u16" | "u32" | "u64" | "i8" | "i16" | "i32" | "i64" | "isize")) => {
            Err(Error::new_spanned(
                name,
                format!("the field `{name}` is a `{ty}`, and a count is a `usize`: change its type"),
            ))
        }
        _ => Ok(()),
    }
}

/// Whether the declared `dimension` is written, read and gated.
fn check_roles(dimension: &Ident, input: &Input, names: &Names) -> Result<(), Error> {
    let list = match names.groups_of(dimension) {
        Some(groups) => format!("{groups}, {dimension}"),
        None => dimension.to_string(),
    };
    let carriers: Vec<(&Field, &Axis)> = input.axes().filter(|(_, axis)| axis.list.has(dimension)).collect();
    let carrier =
        |not: Side| carriers.iter().find(|(_, axis)| axis.side != not).map(|(field, _)| field.ident);
    // The axis of a parameter counts as either.
    let message = match (carrier(Side::Input), carrier(Side::Output)) {
        (None, Some(consumer)) => format!(
            "`{dimension}` is read by `{consumer}`, but nothing in this struct produces it: write `output = [{list}]` on the layer that does, or borrow it with `#[slim(outer = [{list}])]` on the struct"
        ),
        (Some(producer), None) => format!(
            "`{dimension}` is produced by `{producer}`, but nothing in this struct reads it: write `input = [{list}]` on the layer that does, or borrow it with `#[slim(outer = [{list}])]` on the struct"
        ),
        (Some(producer), Some(consumer)) if carriers.iter().all(|(_, axis)| axis.gate.is_none()) => {
            let either = match producer == consumer {
                true => format!("`{producer}`"),
                false => format!("`{producer}` or `{consumer}`"),
            };
            format!(
                "`{dimension}` has no gate, so that its mask would act nowhere: write `gate` after its axis on {either}"
            )
        }
        _ => return Ok(()),
    };
    let written = input.axes().flat_map(|(_, axis)| axis.list.names());
    let others: Vec<String> = written.filter(|name| *name != dimension).map(Ident::to_string).collect();
    let hint = match nearest(&dimension.to_string(), others.iter().map(String::as_str)) {
        Some(other) => format!("; or did you mean `{other}`?"),
        None => String::new(),
    };
    Err(Error::new_spanned(dimension, message + &hint))
}
