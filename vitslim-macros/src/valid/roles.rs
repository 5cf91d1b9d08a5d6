//! Whether a dimension has all that it needs.

use syn::Error;

use crate::ast::{Carrier, Input, Shape, elements, last_word};
use crate::attr::{Role, nearest};
use crate::axis::{Names, Side};
use crate::name::Name;

/// Layers that write as many features as they read, by the names that everybody gives them: they produce nothing.
const NORMS: [&str; 5] = ["LayerNorm", "RmsNorm", "BatchNorm", "GroupNorm", "InstanceNorm"];

/// Whether the declared `dimension` is written, read and gated.
pub(super) fn check_roles(dimension: &Name, input: &Input, names: &Names) -> Result<(), Error> {
    // What nested fields do is not seen.
    if input.own.contains(dimension) {
        return Ok(());
    }
    let list = match names.groups_of(dimension) {
        Some(groups) => format!("{groups}, {dimension}"),
        None => dimension.to_string(),
    };
    let lent: Vec<_> = input
        .lends()
        .filter(|(_, lend)| lend.source.name() == Some(dimension))
        .map(|(field, _)| field)
        .collect();
    let carriers: Vec<Carrier> = input.axes().filter(|carrier| carrier.axis.list.has(dimension)).collect();
    match (carriers.as_slice(), lent.as_slice()) {
        (_, []) => {}
        // What multiplies it is in there too.
        ([], [_]) if is_contracted(dimension, input) => return Ok(()),
        ([], [field]) => {
            let field = field.ident;
            let message = format!(
                "`{dimension}` is lent to `{field}`, and nothing else in this struct has it: name it at the layer or field that does too; or if `{field}` has all of it, declare it with `#[slim(own = [{list}])]` on the struct"
            );
            return Err(Error::new_spanned(dimension, message + &hint(dimension, input)));
        }
        _ => return Ok(()),
    }
    let carrier = |not: Side| carriers.iter().find(|carrier| carrier.axis.side != not).map(Carrier::name);
    // A nested struct may borrow the dimension, and the axis of a parameter be anything.
    let all_seen = !input.fields.iter().any(|field| matches!(field.role, Role::Nested(_)))
        && !carriers.iter().any(|carrier| matches!(carrier.axis.side, Side::Axis(_)));
    let mut writers = carriers.iter().filter(|carrier| carrier.axis.side == Side::Output);
    let borrow = format!("borrow it with `#[slim(outer = [{list}])]` on the struct");
    let nested = match input.fields.iter().any(|field| matches!(field.role, Role::Nested(_))) {
        true => format!(
            "{borrow}; if a nested field does, write `#[slim(own = [{list}])]` on the struct, or `#[slim(its_name = {dimension})]` on the field if it has another name there"
        ),
        false => borrow.clone(),
    };
    // The axis of a parameter counts as either.
    let message = match (carrier(Side::Input), carrier(Side::Output)) {
        (None, Some(consumer)) => format!(
            "`{dimension}` is read by `{consumer}`, but nothing in this struct produces it: write `output = [{list}]` on the layer that does, or {nested}"
        ),
        (Some(_), None) if is_contracted(dimension, input) => match carriers.as_slice() {
            carriers if carriers.iter().any(|carrier| carrier.axis.gate.is_some()) => return Ok(()),
            carriers => {
                let names: Vec<String> =
                    carriers.iter().map(|carrier| format!("`{}`", carrier.name())).collect();
                format!(
                    "`{dimension}` has no gate, so that its mask would act nowhere: write `gate` after its axis on {}",
                    names.join(" or ")
                )
            }
        },
        (Some(producer), None) => format!(
            "`{dimension}` is produced by `{producer}`, but nothing in this struct reads it: write `input = [{list}]` on the layer that does, or {nested}"
        ),
        (Some(norm), Some(_)) if all_seen && writers.all(is_norm) => format!(
            "`{dimension}` is the output of `{norm}` only, and a norm writes what it reads: write `output = [{list}]` on the layer before it too, or {borrow}"
        ),
        (Some(layer), Some(_))
            if all_seen && carriers.iter().all(|carrier| carrier.name() == layer && is_one(carrier)) =>
        {
            format!(
                "`{dimension}` is what `{layer}` reads and what it writes, and no other layer of this struct has it: name the two axes differently, or {borrow}"
            )
        }
        (Some(producer), Some(consumer)) if carriers.iter().all(|carrier| carrier.axis.gate.is_none()) => {
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
    Err(Error::new_spanned(dimension, message + &hint(dimension, input)))
}

/// Whether only a product reads `dimension`: that of queries and keys, or one that the struct names.
fn is_contracted(dimension: &Name, input: &Input) -> bool {
    input.contracted.contains(dimension)
        || input.layouts().any(|layout| layout.contracted() == Some(dimension))
}

/// The name in this struct that `dimension` was perhaps meant to be.
fn hint(dimension: &Name, input: &Input) -> String {
    let others: Vec<&str> =
        input.own.iter().chain(input.names()).filter(|name| *name != dimension).map(Name::as_str).collect();
    match nearest(dimension.as_str(), others) {
        Some(other) => format!("; or did you mean `{other}`?"),
        None => String::new(),
    }
}

fn is_norm(carrier: &Carrier) -> bool {
    let types = carrier.types();
    let mut words = types.iter().map(|ty| last_word(ty));
    carrier.field.treatments.norm().is_some()
        || words.all(|word| word.is_some_and(|word| NORMS.iter().any(|norm| word == norm)))
}

/// Whether the field, or the part, is a single layer.
fn is_one(carrier: &Carrier) -> bool {
    matches!(elements(carrier.field.ty), Shape::One | Shape::Option(_)) && carrier.types().len() == 1
}
