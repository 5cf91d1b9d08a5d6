//! Whether a branch has the fields that it lists, and a layer at its end.

use syn::ext::IdentExt;
use syn::{Error, Type};

use super::treatments::WITHOUT;
use crate::ast::{Field, Input, last_word};
use crate::attr::{Role, nearest};
use crate::branch::Branch;

/// Whether the fields of `branch`, whose gate is `gate`, can be in it, and one of them may end it.
pub(super) fn check_branch(branch: &Branch, gate: &Field, input: &Input) -> Result<(), Error> {
    for (index, name) in branch.fields.iter().enumerate() {
        let message = match input.field(name.as_str()) {
            _ if branch.fields[..index].contains(name) => format!("`{name}` is listed twice: remove one"),
            None => {
                let fields: Vec<String> =
                    input.fields.iter().map(|field| field.ident.unraw().to_string()).collect();
                let hint = match nearest(name.as_str(), fields.iter().map(String::as_str)) {
                    Some(right) => format!("did you mean `{right}`?"),
                    None => "list the fields that only this branch uses".to_owned(),
                };
                format!("this struct has no field `{name}`: {hint}")
            }
            Some(field) if field.ident == gate.ident => {
                format!("`{name}` is the gate itself: list the layers that only this branch uses")
            }
            Some(field) => match field.role {
                Role::Tokens => format!(
                    "`{name}` is a token gate, and what a branch is added to must have the same tokens: call `keep` before the branch, and remove `{name}` here"
                ),
                Role::Branch(_) => {
                    format!("`{name}` is the gate of another branch: list the fields of that one here")
                }
                _ => continue,
            },
        };
        return Err(Error::new_spanned(name, message));
    }
    // What ends it may be in a nested struct.
    let parts = || branch.fields.iter().filter_map(|name| input.field(name.as_str()));
    let is_nested = |field: &Field| matches!(field.role, Role::Nested(_));
    if !parts().any(|field| is_nested(field) || !field.ends().is_empty()) {
        return Err(Error::new_spanned(
            &branch.key,
            "no layer ends this branch, so that its mask would act nowhere: write `end` on the layer that computes what it adds, as in `#[slim(input = [hidden], end)]`",
        ));
    }
    Ok(())
}

/// Whether the field can be at the end of a branch.
pub(super) fn check_end(field: &Field) -> Result<(), Error> {
    let Some(end) = &field.end else { return Ok(()) };
    let message = match &field.role {
        Role::Nested(_) => {
            "`end` marks the layer that computes what a branch adds: write it in the struct of this field, on the layer"
        }
        Role::Parts(_) => "which part ends the branch? write `end` there, as in `1(output = [width], end)`",
        Role::Plain | Role::Layer(_) if !field.ends().into_iter().all(is_without) => return Ok(()),
        _ => {
            "`end` marks a layer, and this is none: write it on the layer that computes what the branch adds"
        }
    };
    Err(Error::new_spanned(end, message))
}

/// Whether a type has no parameters, by the name that everybody gives it.
fn is_without(ty: &Type) -> bool {
    last_word(ty).is_some_and(|word| WITHOUT.iter().any(|without| word == without))
}
