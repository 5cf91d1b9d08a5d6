//! Reads the list of a branch: `branch = [norm1, attn]`.

use proc_macro2::TokenTree;
use syn::{Error, Ident};

use crate::axis::{Factor, List};
use crate::name::Name;

/// `branch = [norm1, attn]`
pub(crate) struct Branch {
    pub(crate) key: Ident,
    /// The fields that only the branch uses, in the order written.
    pub(crate) fields: Vec<Name>,
}

impl Branch {
    /// Reads the `= [norm1, attn]` that follows `key`.
    pub(crate) fn read(key: &Ident, value: &[TokenTree], errors: &mut Vec<Error>) -> Option<Self> {
        if value.is_empty() {
            let message = "which fields does only this branch use? list them: write `branch = [norm1, attn]`";
            errors.push(Error::new_spanned(key, message));
            return None;
        }
        let list = List::parse(key, "branch", value, "norm1, attn", errors)?;
        let is_field = |factor: &Factor| matches!(factor, Factor::Name(name) if name.inside().is_none());
        if !list.factors.iter().all(is_field) {
            errors.push(Error::new_spanned(
                &list.brackets,
                "a branch lists fields of this struct: write their names only, as in `branch = [norm1, attn]`",
            ));
            return None;
        }
        Some(Self { key: key.clone(), fields: list.names().cloned().collect() })
    }
}
