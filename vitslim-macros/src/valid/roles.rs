//! Whether a dimension has all that it needs.

use syn::{Error, Ident};

use crate::ast::{Carrier, Field, Input, Shape, elements, last_word, layers};
use crate::attr::{Role, nearest};
use crate::axis::{Names, Side};
use crate::name::Name;

/// Layers that write as many features as they read, by the names that everybody gives them: they produce nothing.
const NORMS: [&str; 5] = ["LayerNorm", "RmsNorm", "BatchNorm", "GroupNorm", "InstanceNorm"];

/// Layers that read and write features of their own, by the names that everybody gives them.
const WEIGHTED: [&str; 3] = ["Linear", "Conv1d", "Conv2d"];

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
    let perhaps = |side| match perhaps(side, input, &carriers) {
        Some(field) => format!(", perhaps `{field}`"),
        None => String::new(),
    };
    // The axis of a parameter counts as either.
    let message = match (carrier(Side::Input), carrier(Side::Output)) {
        (None, Some(consumer)) => format!(
            "`{dimension}` is read by `{consumer}`, but nothing in this struct produces it: write `output = [{list}]` on the layer that does{}, or {nested}",
            perhaps(Side::Output)
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
        (Some(producer), None) if is_product(&carriers) => format!(
            "`{dimension}` is produced by `{producer}`, but nothing in this struct reads it: if only a product sums over it, as the scores of attention do, write `layout = [heads, {dimension}, v]` on their `HeadLayout`, or `#[slim(contracted = [{dimension}])]` on the struct for a product of your own; if a layer reads it, write `input = [{list}]` there; or {nested}"
        ),
        (Some(producer), None) => format!(
            "`{dimension}` is produced by `{producer}`, but nothing in this struct reads it: write `input = [{list}]` on the layer that does{}, or {nested}",
            perhaps(Side::Input)
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
            // What is read before it is written comes from outside.
            let comes_in = carriers.first().is_some_and(|carrier| carrier.axis.side == Side::Input);
            let outside = if comes_in {
                format!("; or, if an enclosing struct has it, {borrow}")
            } else {
                String::new()
            };
            format!(
                "`{dimension}` has no gate, so that its mask would act nowhere: write `gate` after its axis on {either}{outside}"
            )
        }
        _ => return Ok(()),
    };
    Err(Error::new_spanned(dimension, message + &hint(dimension, input)))
}

/// The one other layer than `carriers` that could have an axis at `side` and has none.
fn perhaps<'a>(side: Side, input: &'a Input, carriers: &[Carrier]) -> Option<&'a Ident> {
    let lacks = |field: &&Field| {
        let carries = carriers.iter().any(|carrier| carrier.field.ident == field.ident);
        let could = layers(field.ty, None)
            .into_iter()
            .any(|ty| last_word(ty).is_some_and(|word| WEIGHTED.iter().any(|layer| word == layer)));
        could && !carries && field.axes().all(|carrier| carrier.axis.side != side)
    };
    let mut fields = input.fields.iter().filter(lacks);
    fields.next().filter(|_| fields.next().is_none()).map(|field| field.ident)
}

/// Whether several layers write it, whose product may sum over it.
fn is_product(carriers: &[Carrier]) -> bool {
    carriers.iter().filter(|carrier| !is_norm(carrier)).count() > 1
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
