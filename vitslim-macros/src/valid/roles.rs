//! Whether a dimension has all that it needs.

use syn::{Error, Ident};

use crate::ast::{Field, Input};
use crate::attr::{Role, nearest};
use crate::axis::{Axis, Names, Side};

/// Layers that write as many features as they read, by the names that everybody gives them: they produce nothing.
const NORMS: [&str; 5] = ["LayerNorm", "RmsNorm", "BatchNorm", "GroupNorm", "InstanceNorm"];

/// Whether the declared `dimension` is written, read and gated.
pub(super) fn check_roles(dimension: &Ident, input: &Input, names: &Names) -> Result<(), Error> {
    let list = match names.groups_of(dimension) {
        Some(groups) => format!("{groups}, {dimension}"),
        None => dimension.to_string(),
    };
    let carriers: Vec<(&Field, &Axis)> = input.axes().filter(|(_, axis)| axis.list.has(dimension)).collect();
    let carrier =
        |not: Side| carriers.iter().find(|(_, axis)| axis.side != not).map(|(field, _)| field.ident);
    // A nested struct may borrow the dimension, and the axis of a parameter be anything.
    let all_seen = !input.fields.iter().any(|field| matches!(field.role, Role::Nested))
        && !carriers.iter().any(|(_, axis)| matches!(axis.side, Side::Axis(_)));
    let mut writers = carriers.iter().filter(|(_, axis)| axis.side == Side::Output);
    let borrow = format!("borrow it with `#[slim(outer = [{list}])]` on the struct");
    // The axis of a parameter counts as either.
    let message = match (carrier(Side::Input), carrier(Side::Output)) {
        (None, Some(consumer)) => format!(
            "`{dimension}` is read by `{consumer}`, but nothing in this struct produces it: write `output = [{list}]` on the layer that does, or {borrow}"
        ),
        (Some(producer), None) => format!(
            "`{dimension}` is produced by `{producer}`, but nothing in this struct reads it: write `input = [{list}]` on the layer that does, or {borrow}"
        ),
        (Some(norm), Some(_)) if all_seen && writers.all(|(field, _)| is_norm(field)) => format!(
            "`{dimension}` is the output of `{norm}` only, and a norm writes what it reads: write `output = [{list}]` on the layer before it too, or {borrow}"
        ),
        (Some(layer), Some(_)) if all_seen && carriers.iter().all(|(field, _)| field.ident == layer) => {
            format!(
                "`{dimension}` is what `{layer}` reads and what it writes, and no other layer of this struct has it: name the two axes differently, or {borrow}"
            )
        }
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

fn is_norm(field: &Field) -> bool {
    field.treatments.norm().is_some()
        || field.type_name().is_some_and(|name| NORMS.iter().any(|norm| name == norm))
}
