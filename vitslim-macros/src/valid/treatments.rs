//! Whether a field has parameters that training could treat as its annotation says.

use syn::{Error, Ident};

use super::types::is_number;
use crate::ast::{Field, last_word, layers};
use crate::attr::Role;

/// Types without parameters that everybody writes by these names.
pub(super) const WITHOUT: [&str; 6] =
    ["Gelu", "Dropout", "DropPath", "HeadLayout", "TokenGate", "BranchGate"];

/// Layers that are no norms, by the names that everybody gives them.
const NO_NORMS: [&str; 4] = ["Linear", "Conv1d", "Conv2d", "Embedding"];

/// Whether the field may be a layer or a parameter, and a norm if it is said to be one.
pub(super) fn check_treatments(field: &Field) -> Result<(), Error> {
    let Some(key) = field.treatments.first() else { return Ok(()) };
    let message = match &field.role {
        Role::Nested(_) => format!(
            "`{key}` is about the parameters of one layer, and `#[slim]` marks a nested field: write `{key}` on the fields of its own struct"
        ),
        Role::Tokens | Role::Branch(_) | Role::Layout(_) => {
            format!("this field has no parameters to train: remove `{key}`")
        }
        Role::Plain | Role::Layer(_) | Role::Parts(_) => return check_layers(field, key),
    };
    Err(Error::new_spanned(key, message))
}

fn check_layers(field: &Field, key: &Ident) -> Result<(), Error> {
    let types: Vec<String> = layers(field.ty, None)
        .into_iter()
        .map(|ty| last_word(ty).map(ToString::to_string).unwrap_or_default())
        .collect();
    let without = |ty: &str| ty == "Tensor" || WITHOUT.contains(&ty) || is_number(ty);
    let no_norm = types.iter().find(|ty| NO_NORMS.contains(&ty.as_str()));
    let (key, message) = match (types.first().map(String::as_str), field.treatments.norm(), no_norm) {
        (Some(ty), ..) if types.iter().all(|ty| without(ty)) => (
            key,
            match ty {
                "Tensor" => {
                    format!("a `Tensor` is not trained: remove `{key}`, or make the field a `Param` of it")
                }
                _ => format!("a field of type `{ty}` has no parameters to train: remove `{key}`"),
            },
        ),
        (_, Some(norm), Some(ty)) => {
            (norm, format!("a `{ty}` is no norm: to train it as one, write `no_decay, no_freeze`"))
        }
        _ => return Ok(()),
    };
    Err(Error::new_spanned(key, message))
}
