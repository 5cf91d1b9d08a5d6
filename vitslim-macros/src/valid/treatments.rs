//! Whether a field has parameters that training could treat as its annotation says.

use syn::Error;

use super::types::is_number;
use crate::ast::Field;
use crate::attr::Role;

/// Types without parameters that everybody writes by these names.
const WITHOUT: [&str; 5] = ["Gelu", "Dropout", "DropPath", "HeadLayout", "TokenGate"];

/// Layers that are no norms, by the names that everybody gives them.
const NO_NORMS: [&str; 4] = ["Linear", "Conv1d", "Conv2d", "Embedding"];

/// Whether the field may be a layer or a parameter, and a norm if it is said to be one.
pub(super) fn check_treatments(field: &Field) -> Result<(), Error> {
    let Some(key) = field.treatments.first() else { return Ok(()) };
    let ty = field.type_name().map(ToString::to_string).unwrap_or_default();
    let (key, message) = match (&field.role, ty.as_str()) {
        (Role::Nested, _) => (
            key,
            format!(
                "`{key}` is about the parameters of one layer, and `#[slim]` marks a nested field: write `{key}` on the fields of its own struct"
            ),
        ),
        (Role::Tokens | Role::Layout(_), _) => {
            (key, format!("this field has no parameters to train: remove `{key}`"))
        }
        (_, "Tensor") => {
            (key, format!("a `Tensor` is not trained: remove `{key}`, or make the field a `Param` of it"))
        }
        (_, ty) if WITHOUT.contains(&ty) || is_number(ty) => {
            (key, format!("a field of type `{ty}` has no parameters to train: remove `{key}`"))
        }
        (_, ty) if NO_NORMS.contains(&ty) => match field.treatments.norm() {
            Some(norm) => {
                (norm, format!("a `{ty}` is no norm: to train it as one, write `no_decay, no_freeze`"))
            }
            None => return Ok(()),
        },
        _ => return Ok(()),
    };
    Err(Error::new_spanned(key, message))
}
