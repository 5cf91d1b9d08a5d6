//! Rejects what is well written and makes no sense.

mod axes;
mod roles;
mod treatments;
mod types;

use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{Attribute, Error, GenericParam, Ident};

use self::axes::{check_factors, check_names};
use self::roles::check_roles;
use self::treatments::check_treatments;
use self::types::check_type;
use crate::ast::{Field, Input};
use crate::attr::{Layout, Role};
use crate::axis::{Meaning, Names};

/// Checks the struct, and adds everything that is wrong to `errors`.
pub(crate) fn check(input: &Input, names: &Names, errors: &mut Vec<Error>) {
    let mut check = Check { input, names, errors, doubtful: Vec::new() };
    check.generics();
    check.annotated();
    check.outer();
    check.layouts();
    check.fields();
    check.axes();
    check.roles();
}

struct Check<'a> {
    input: &'a Input<'a>,
    names: &'a Names<'a>,
    errors: &'a mut Vec<Error>,
    /// Names that something is wrong with already: what else could be said of them would be a guess.
    doubtful: Vec<&'a Ident>,
}

impl<'a> Check<'a> {
    fn error(&mut self, tokens: impl ToTokens, message: impl Into<String>) {
        self.errors.push(Error::new_spanned(tokens, message.into()));
    }

    fn generics(&mut self) {
        let generics = &self.input.original.generics;
        for lifetime in generics.lifetimes() {
            self.error(
                lifetime,
                "a Burn module owns its tensors and cannot borrow them: remove the lifetime",
            );
        }
        for attr in generics.params.iter().flat_map(attributes).filter(|attr| attr.path().is_ident("slim")) {
            self.error(attr, "`#[slim]` annotates a field: move it to the field of this type");
        }
    }

    fn annotated(&mut self) {
        let plain = |field: &Field| matches!(field.role, Role::Plain) && field.treatments.is_empty();
        let input = self.input;
        if input.complete && input.outer.is_empty() && input.fields.iter().all(plain) {
            self.error(
                &input.original.ident,
                "no field is annotated, so nothing can be slimmed: name a prunable axis, as in `#[slim(output = [hidden])]`, or mark a nested slimmable field with `#[slim]`",
            );
        }
    }

    fn outer(&mut self) {
        let input = self.input;
        for (index, name) in input.outer.iter().enumerate() {
            let layout = layouts(input).find(|layout| [&layout.groups, &layout.units].contains(&name));
            let message = if input.outer[..index].contains(name) {
                format!("`{name}` is borrowed twice: remove one")
            } else if let Meaning::Count(_) = self.names.meaning(name) {
                format!("`{name}` is a `usize` field of this struct, and so a count: rename one of the two")
            } else if let Some(layout) = layout {
                format!(
                    "`{name}` is borrowed and has a layout in this struct: remove it here to declare `{0}`, or the layout to borrow `{0}`",
                    layout.units
                )
            } else if input.complete && !self.is_used(name) {
                format!(
                    "no axis of this struct names the borrowed `{name}`: remove it, nested fields borrow for themselves"
                )
            } else {
                continue;
            };
            self.error(name, message);
            self.doubtful.push(name);
        }
    }

    fn is_used(&self, name: &Ident) -> bool {
        self.input.axes().any(|(_, axis)| axis.list.has(name))
    }

    fn layouts(&mut self) {
        let mut seen: Vec<&Ident> = Vec::new();
        for Layout { key, groups, units } in layouts(self.input) {
            for name in [groups, units] {
                let message = if seen.contains(&name) {
                    format!("`{name}` is laid out already: a name stands in one layout, once")
                } else if let Meaning::Count(_) = self.names.meaning(name) {
                    format!(
                        "`{name}` is a `usize` field of this struct, and so a count: rename one of the two"
                    )
                } else {
                    seen.push(name);
                    continue;
                };
                self.error(name, message);
                self.doubtful.extend([groups, units]);
            }
            if self.input.complete && !self.is_used(units) {
                self.error(
                    key,
                    format!("no axis of this struct is laid out like this: write one, as in `#[slim(output = [{groups}, {units}])]`"),
                );
            }
        }
    }

    fn fields(&mut self) {
        for field in &self.input.fields {
            if let Err(error) = check_type(field).and_then(|()| check_treatments(field)) {
                self.errors.push(error);
                self.doubtful.extend(field.axes().iter().flat_map(|axis| axis.list.names()));
            }
            // A token gate is itself a dimension, by the name of its field.
            let name = field.ident.unraw();
            if let Role::Tokens = field.role
                && let Some(dimension) =
                    self.names.declared(self.input).into_iter().find(|other| **other == name)
            {
                self.error(
                    dimension,
                    format!("the token gate `{name}` of this struct is a dimension of that name: rename one of the two"),
                );
            }
        }
    }

    fn axes(&mut self) {
        // Two axes may share a mistake, so that only what was doubtful before keeps one from being checked.
        let doubtful = self.doubtful.clone();
        let mut misunderstood: Vec<&Ident> = Vec::new();
        for (_, axis) in self.input.axes() {
            if axis.list.names().any(|name| doubtful.contains(&name)) {
                continue;
            }
            if let Err(error) = check_names(axis, self.input, self.names) {
                if !axis.list.names().any(|name| misunderstood.contains(&name)) {
                    self.errors.push(error);
                }
                misunderstood.extend(axis.list.names());
            } else if let Err(error) = check_factors(axis, self.names) {
                self.errors.push(error);
                self.doubtful.extend(axis.list.names());
            }
        }
        self.doubtful.extend(misunderstood);
    }

    fn roles(&mut self) {
        if self.input.complete {
            for dimension in self.names.declared(self.input) {
                if !self.doubtful.contains(&dimension) {
                    self.errors.extend(check_roles(dimension, self.input, self.names).err());
                }
            }
        }
    }
}

fn attributes(param: &GenericParam) -> &[Attribute] {
    match param {
        GenericParam::Lifetime(param) => &param.attrs,
        GenericParam::Type(param) => &param.attrs,
        GenericParam::Const(param) => &param.attrs,
    }
}

fn layouts<'a>(input: &'a Input<'a>) -> impl Iterator<Item = &'a Layout> {
    input.fields.iter().filter_map(|field| match &field.role {
        Role::Layout(layout) => Some(layout),
        _ => None,
    })
}
