//! What can be said of a field's type by its name alone.

use syn::{Error, Type};

use crate::ast::Field;
use crate::attr::Role;
use crate::axis::Side;

/// Types that everybody writes by these names, so that one in the wrong place can be told by name. Any other is left to
/// the compiler's own check of the generated code.
const WELL_KNOWN: [&str; 14] = [
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
    "Param",
];

const NUMBERS: [&str; 8] = ["usize", "u32", "u64", "i32", "i64", "f32", "f64", "bool"];

/// Whether the field's type may be what its annotation makes of it.
pub(super) fn check_type(field: &Field) -> Result<(), Error> {
    if let Some(several) = several(field.ty) {
        return check_several(field, several);
    }
    let Some(name) = field.type_name() else {
        return Ok(());
    };
    let text = name.to_string();
    let known = WELL_KNOWN.contains(&text.as_str());
    let number = is_number(&text);
    let message = match (&field.role, text.as_str()) {
        (Role::Tokens, "TokenGate") | (Role::Layout(_), "HeadLayout") => return Ok(()),
        (Role::Nested | Role::Layer(_), "TokenGate") => {
            "a token gate has an annotation of its own: write `#[slim(tokens)]`".into()
        }
        (Role::Nested | Role::Layer(_), "HeadLayout") => {
            "a head layout has an annotation of its own: write `#[slim(layout = [heads, head_dim])]`".into()
        }
        (Role::Nested | Role::Layer(_), _) if number => {
            format!("a field of type `{name}` has nothing to prune: remove the annotation")
        }
        (Role::Layer(axes), "Param") => {
            return match axes.iter().find(|axis| !matches!(axis.side, Side::Axis(_))) {
                Some(axis) => Err(Error::new_spanned(
                    &axis.key,
                    format!(
                        "a parameter has no `{}`: count its axes from 0, as in `axis(2) = [width]`",
                        axis.side
                    ),
                )),
                None => Ok(()),
            };
        }
        (Role::Tokens, _) if known || number => {
            format!(
                "`tokens` marks a field of type `TokenGate`, and this is a `{name}`: move it to that field"
            )
        }
        (Role::Layout(_), _) if known || number => {
            format!(
                "`layout` marks a field of type `HeadLayout`, and this is a `{name}`: move it to that field"
            )
        }
        _ => return Ok(()),
    };
    Err(Error::new_spanned(name, message))
}

/// Whether `ty` is a number, or a flag.
pub(super) fn is_number(ty: &str) -> bool {
    NUMBERS.contains(&ty)
}

fn check_several(field: &Field, several: &str) -> Result<(), Error> {
    let message = match field.role {
        Role::Plain | Role::Nested => return Ok(()),
        Role::Tokens => format!(
            "`tokens` marks one `TokenGate`, and this is {several}: write a plain `TokenGate` in the struct of each block; it does nothing where tokens are not searched"
        ),
        Role::Layout(_) => format!(
            "`layout` marks one `HeadLayout`, and this is {several}: write a plain `HeadLayout` beside the layers that it lays out"
        ),
        Role::Layer(_) => format!(
            "this is {several}, and only a single layer has axes: give the layer a struct of its own, annotate it there, and write `#[slim]` here"
        ),
    };
    Err(Error::new_spanned(field.ty, message))
}

/// What `ty` is, if it may hold another number of values than one.
fn several(ty: &Type) -> Option<&'static str> {
    match ty {
        Type::Group(group) => several(&group.elem),
        Type::Array(_) => Some("an array"),
        Type::Tuple(_) => Some("a tuple"),
        Type::Path(path) => match path.path.segments.last()?.ident.to_string().as_str() {
            "Vec" => Some("a `Vec`"),
            "Option" => Some("an `Option`"),
            _ => None,
        },
        _ => None,
    }
}
