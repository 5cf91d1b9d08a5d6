//! What can be said of a field's type by its name alone.

use syn::{Error, Ident, Type};

use crate::ast::{Field, Shape, elements, last_word};
use crate::attr::{Part, Role, likely_key};
use crate::axis::{Axis, Side};
use crate::lend::Lend;

/// Types that everybody writes by these names, so that one in the wrong place can be told by name. Any other is left to
/// the compiler's own check of the generated code.
const WELL_KNOWN: [&str; 15] = [
    "Linear",
    "Conv1d",
    "Conv2d",
    "LayerNorm",
    "RmsNorm",
    "BatchNorm",
    "GroupNorm",
    "Embedding",
    "Gelu",
    "Dropout",
    "DropPath",
    "HeadLayout",
    "TokenGate",
    "BranchGate",
    "Param",
];

const NUMBERS: [&str; 8] = ["usize", "u32", "u64", "i32", "i64", "f32", "f64", "bool"];

/// Whether the field's type may be what its annotation makes of it.
pub(super) fn check_type(field: &Field) -> Result<(), Error> {
    match &field.role {
        Role::Layer(_) | Role::Parts(_) => {
            if let Role::Parts(parts) = &field.role {
                check_parts(field.ty, parts)?;
            }
            field.axes().try_for_each(|carrier| {
                carrier.types().into_iter().try_for_each(|ty| check_layer(ty, carrier.axis))
            })
        }
        Role::Nested(lends) => check_nested(field.ty, lends),
        Role::Tokens => check_only(field.ty, "tokens", "TokenGate"),
        Role::Branch(_) => check_only(field.ty, "branch", "BranchGate"),
        Role::Layout(_) => check_only(field.ty, "layout", "HeadLayout"),
        Role::Plain => Ok(()),
    }
}

fn check_layer(ty: &Type, axis: &Axis) -> Result<(), Error> {
    check_prunable(ty)?;
    match last_word(ty) {
        Some(name) if name == "Param" && !matches!(axis.side, Side::Axis(_)) => Err(Error::new_spanned(
            &axis.key,
            format!("a parameter has no `{}`: count its axes from 0, as in `axis(2) = [width]`", axis.side),
        )),
        _ => Ok(()),
    }
}

fn check_nested(ty: &Type, lends: &[Lend]) -> Result<(), Error> {
    check_prunable(ty)?;
    let (Some(lend), Some(name)) = (lends.first(), last_word(ty)) else { return Ok(()) };
    if !WELL_KNOWN.contains(&name.to_string().as_str()) {
        return Ok(());
    }
    let Lend { name: key, .. } = lend;
    let message = match likely_key(key.as_str()) {
        Some(right) => format!("unknown key `{key}`: did you mean `{right}`?"),
        None => format!(
            "`{key}` is lent to this field, and a `{name}` has no struct that could borrow it: name its axis instead, as in `output = [width]`"
        ),
    };
    Err(Error::new_spanned(key, message))
}

/// Whether `ty` may have something to prune.
fn check_prunable(ty: &Type) -> Result<(), Error> {
    let Some(name) = last_word(ty) else { return Ok(()) };
    let message = match name.to_string().as_str() {
        "TokenGate" => "a token gate has an annotation of its own: write `#[slim(tokens)]`".into(),
        "BranchGate" => {
            "the gate of a branch has an annotation of its own: write `#[slim(branch = [norm1, attn])]`, with the fields that only the branch uses".into()
        }
        "HeadLayout" => {
            "a head layout has an annotation of its own: write `#[slim(layout = [heads, head_dim])]`".into()
        }
        text if is_number(text) => {
            format!("a field of type `{name}` has nothing to prune: remove the annotation")
        }
        _ => return Ok(()),
    };
    Err(Error::new_spanned(name, message))
}

/// Whether `ty` may be the one type that `key` is for.
fn check_only(ty: &Type, key: &str, right: &str) -> Result<(), Error> {
    let several = match elements(ty) {
        Shape::One => {
            return match last_word(ty) {
                Some(name) if name != right && is_known(name) => Err(Error::new_spanned(
                    name,
                    format!(
                        "`{key}` marks a field of type `{right}`, and this is a `{name}`: move it to that field"
                    ),
                )),
                _ => Ok(()),
            };
        }
        Shape::Option(_) => "an `Option`",
        Shape::List(_) => "a list",
        Shape::Tuple(_) => "a tuple",
    };
    let instead = match right {
        "TokenGate" => {
            "write a plain `TokenGate` in the struct of each block; it does nothing where tokens are not searched"
        }
        "BranchGate" => "give each branch a plain `BranchGate`",
        _ => "write a plain `HeadLayout` beside the layers that it lays out",
    };
    Err(Error::new_spanned(ty, format!("`{key}` marks one `{right}`, and this is {several}: {instead}")))
}

fn is_known(name: &Ident) -> bool {
    let text = name.to_string();
    WELL_KNOWN.contains(&text.as_str()) || is_number(&text)
}

/// Whether `ty` is a number, or a flag.
pub(super) fn is_number(ty: &str) -> bool {
    NUMBERS.contains(&ty)
}

/// Whether `ty` has these parts.
fn check_parts(ty: &Type, parts: &[Part]) -> Result<(), Error> {
    let count = match elements(ty) {
        Shape::Option(element) | Shape::List(element) => return check_parts(element, parts),
        Shape::Tuple(types) => types.len(),
        Shape::One => {
            let message = "only a tuple has numbered parts: write the axes of a layer without a number, as in `output = [hidden]`";
            return Err(Error::new_spanned(ty, message));
        }
    };
    match parts.iter().find(|part| part.index >= count) {
        Some(part) => Err(Error::new_spanned(
            &part.key,
            format!("the tuple has no part {}: its {count} parts are counted from 0", part.index),
        )),
        None => Ok(()),
    }
}
