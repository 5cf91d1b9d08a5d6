//! Whether an axis is integers times one dimension, or a sum of such products.

use quote::ToTokens;
use syn::{Error, Ident, Type};

use crate::ast::{Field, Input, last_word};
use crate::attr::Role;
use crate::axis::{Axis, Factor, Names};
use crate::name::Name;

/// Whether the names of `axis` can mean what the author wants them to. A mistake of this kind is one, at however many
/// axes the name stands.
pub(super) fn check_names(axis: &Axis, input: &Input, names: &Names) -> Result<(), Error> {
    let ways: Vec<Vec<&Name>> = axis.list.ways().iter().map(|way| dimensions(way, names)).collect();
    for name in ways.iter().flatten() {
        if let Some(ty) = integer_type(name, input) {
            let message = format!("`{name}` is a `{ty}`, and a count is a `usize`: change its type");
            return Err(Error::new_spanned(name, message));
        }
    }
    if ways.iter().all(Vec::is_empty)
        && let Some(count) = axis.list.names().next()
    {
        let message = format!(
            "`{count}` is a `usize` of this struct and so only a number here, and an axis needs a dimension: if `{count}` is what can be pruned, give the `usize` another name; if not, name the dimension too, as in `[{count}, units]`"
        );
        return Err(Error::new_spanned(count, message));
    }
    ways.iter().try_for_each(|way| match way.as_slice() {
        [first, second] if first != second && needs_layout(first, second, names) => {
            let layout = match input.fields.iter().find(|field| is_unannotated_layout(field)) {
                Some(field) => {
                    format!("write `#[slim(layout = [{first}, {second}])]` on the field `{}`", field.ident)
                }
                None => format!("add a field `#[slim(layout = [{first}, {second}])] {first}: HeadLayout`"),
            };
            let message = format!(
                "`{first}` and `{second}` are two dimensions, and a list of factors has one: if `{first}` groups `{second}`, {layout}; if one is a count, make it a `usize` field; if they lie side by side, write `{first} + {second}`"
            );
            Err(Error::new_spanned(second, message))
        }
        _ => Ok(()),
    })
}

/// Whether the factors of `axis` are integers times one dimension, whichever terms of its sums are taken.
pub(super) fn check_factors(axis: &Axis, names: &Names) -> Result<(), Error> {
    let ways = axis.list.ways();
    let dimensions: Vec<_> = ways.iter().map(|way| dimensions(way, names)).collect();
    if dimensions.iter().all(Vec::is_empty) {
        let message = "an axis has a dimension, and this one has only numbers: name what can be pruned along it, as in `[3, hidden]`";
        return Err(Error::new_spanned(&axis.list.brackets, message));
    }
    // Where a sum has units too, the masks multiply these.
    let has_units = dimensions.iter().flatten().any(|name| names.units_of(name).is_none());
    dimensions.iter().try_for_each(|way| check_way(way, axis, has_units, names))
}

/// Whether one way through the sums of `axis` has one dimension, or none.
fn check_way(way: &[&Name], axis: &Axis, has_units: bool, names: &Names) -> Result<(), Error> {
    let brackets = axis.list.brackets.to_token_stream();
    let (wrong, message) = match way {
        [] => return Ok(()),
        [name] => {
            let message = match (names.units_of(name), names.groups_of(name)) {
                (Some(_), _) if axis.gate.is_none() || has_units => return Ok(()),
                (Some(units), _) => format!(
                    "`{name}` are only the groups of `{units}`, and masks multiply units: write both, `{name}, {units}`, or remove the `gate` of an axis that has an entry for each group"
                ),
                (None, Some(groups)) => {
                    format!("`{name}` is grouped by `{groups}`: write both, `{groups}, {name}`")
                }
                (None, None) => return Ok(()),
            };
            (name.to_token_stream(), message)
        }
        [first, second] if first == second => (
            second.to_token_stream(),
            format!("`{second}` stands twice in this axis: a list of factors has one dimension, once"),
        ),
        [first, second] if names.groups_of(second) == Some(first) => return Ok(()),
        [first, second] if names.groups_of(first) == Some(second) => (
            brackets,
            format!(
                "`{first}` and `{second}` stand the other way round elsewhere in this struct, groups first: write `{second}, {first}`"
            ),
        ),
        [first, second] => {
            (second.to_token_stream(), two_dimensions(first, second, axis, names) + way_out(axis))
        }
        [_, _, third, ..] => (
            third.to_token_stream(),
            format!(
                "`{third}` is one dimension too many: a list of factors is integers times one dimension, such as `[3, heads, head_dim]`"
            ) + way_out(axis),
        ),
    };
    Err(Error::new_spanned(wrong, message))
}

/// What always works instead of one layer with several dimensions side by side.
fn way_out(axis: &Axis) -> &'static str {
    match has_sum(axis) {
        true => "; or use two layers and add what they compute, `W[a; b] = W1 a + W2 b`",
        false => "",
    }
}

/// Whether dimensions lie side by side in `axis`.
fn has_sum(axis: &Axis) -> bool {
    let is_sum = |factor: &Factor| matches!(factor, Factor::Sum(terms) if terms.len() > 1);
    axis.list.factors.iter().any(is_sum)
}

/// The names of `factors` that are no counts.
fn dimensions<'a>(factors: &[&'a Factor], names: &Names) -> Vec<&'a Name> {
    factors.iter().filter_map(|factor| names.dimension(factor)).collect()
}

/// Whether nothing groups either of two names, and both live in this struct or outside.
fn needs_layout(first: &Name, second: &Name, names: &Names) -> bool {
    let is_grouped = |name: &Name| names.groups_of(name).is_some() || names.units_of(name).is_some();
    second.as_str() != "gate"
        && [first, second].iter().all(|name| name.inside().is_none())
        && !is_grouped(first)
        && !is_grouped(second)
        && names.is_borrowed(first) == names.is_borrowed(second)
}

fn two_dimensions(first: &Name, second: &Name, axis: &Axis, names: &Names) -> String {
    if second.as_str() == "gate" {
        return format!("`gate` stands after the list: write `[{first}], gate`");
    }
    if let Some(groups) = names.groups_of(second) {
        return format!("`{second}` is grouped by `{groups}`, not by `{first}`: write `{groups}, {second}`");
    }
    if let Some(units) = names.units_of(first) {
        // Two dimensions of a layout are queries and keys, and values: not what lies beside the heads.
        let both = match has_sum(axis) {
            true => String::new(),
            false => format!(", or lay out both, as in `layout = [{first}, {units}, {second}]`"),
        };
        return format!(
            "`{first}` are the groups of `{units}`, not of `{second}`: write `{first}, {units}`{both}"
        );
    }
    if first.inside().is_some() || second.inside().is_some() {
        return format!("`{second}` is one dimension too many: an axis has one");
    }
    let (borrowed, other) = match names.is_borrowed(first) {
        true => (first, second),
        false => (second, first),
    };
    format!(
        "`{borrowed}` is borrowed and `{other}` is not: if they are one grouped dimension, write `#[slim(outer = [{first}, {second}])]` on the struct"
    )
}

fn is_unannotated_layout(field: &Field) -> bool {
    matches!(field.role, Role::Plain) && field.type_name().is_some_and(|name| name == "HeadLayout")
}

/// The type of the field or const parameter `name`, if it is an integer other than `usize`: surely meant as a count.
fn integer_type(name: &Name, input: &Input) -> Option<String> {
    let fields = input.fields.iter().map(|field| (field.ident, field.ty));
    let params = input.original.generics.const_params().map(|param| (&param.ident, &param.ty));
    let ty: &Type = fields.chain(params).find(|(other, _): &(&Ident, _)| name.is(other)).map(|(_, ty)| ty)?;
    let word = last_word(ty)?.to_string();
    let integers = ["u8", "u16", "u32", "u64", "u128", "i8", "i16", "i32", "i64", "i128", "isize"];
    integers.contains(&word.as_str()).then_some(word)
}
