//! Rejects what is well written and makes no sense.

mod axes;
mod branches;
mod lends;
mod roles;
mod treatments;
mod types;

use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{Attribute, Error, GenericParam};

use self::axes::{check_factors, check_names};
use self::branches::{check_branch, check_end};
use self::lends::{check_lend, check_path};
use self::roles::check_roles;
use self::treatments::check_treatments;
use self::types::check_type;
use crate::ast::{Field, Input};
use crate::attr::{Layout, Role};
use crate::axis::{Meaning, Names};
use crate::name::Name;

/// Checks the struct, and adds everything that is wrong to `errors`.
pub(crate) fn check(input: &Input, names: &Names, errors: &mut Vec<Error>) {
    let mut check = Check { input, names, errors, doubtful: Vec::new() };
    check.generics();
    check.annotated();
    check.outer();
    check.own();
    check.layouts();
    check.contracted();
    check.fields();
    check.branches();
    check.paths();
    check.axes();
    check.roles();
}

struct Check<'a> {
    input: &'a Input<'a>,
    names: &'a Names<'a>,
    errors: &'a mut Vec<Error>,
    /// Names that something is wrong with already: what else could be said of them would be a guess.
    doubtful: Vec<&'a Name>,
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
        let plain = |field: &Field| {
            matches!(field.role, Role::Plain) && field.treatments.is_empty() && field.end.is_none()
        };
        let input = self.input;
        let annotated = input.fields.iter().find(|field| !plain(field));
        if let Some(none) = &input.none {
            if let Some(field) = annotated {
                let message = format!(
                    "`none` says that this struct has no dimensions, and `{}` is annotated: remove one of the two",
                    field.ident
                );
                self.error(none, message);
            }
        } else if input.complete
            && [&input.outer, &input.own, &input.contracted].iter().all(|names| names.is_empty())
            && annotated.is_none()
        {
            self.error(
                &input.original.ident,
                "no field is annotated, so nothing can be slimmed: name a prunable axis, as in `#[slim(output = [hidden])]`, or mark a nested slimmable field with `#[slim]`; if there is nothing to prune, say so with `#[slim(none)]` on the struct",
            );
        }
    }

    fn outer(&mut self) {
        let input = self.input;
        for (index, name) in input.outer.iter().enumerate() {
            let has = |layout: &&Layout| layout.groups == *name || layout.units().any(|units| units == name);
            let layout = input.layouts().find(has);
            let message = if input.outer[..index].contains(name) {
                format!("`{name}` is borrowed twice: remove one")
            } else if let Meaning::Count(_) = self.names.meaning(name) {
                format!("`{name}` is a `usize` field of this struct, and so a count: rename one of the two")
            } else if let Some(layout) = layout {
                let units =
                    layout.units().map(|units| format!("`{units}`")).collect::<Vec<_>>().join(" and ");
                format!(
                    "`{name}` is borrowed and has a layout in this struct: remove it here to declare {units}, or the layout to borrow {units}"
                )
            } else if input.complete && !self.is_used(name) {
                format!(
                    "no axis of this struct names the borrowed `{name}`: remove it, nested fields borrow for themselves; one that calls it otherwise is lent it, as in `#[slim(its_name = {name})]`"
                )
            } else {
                continue;
            };
            self.error(name, message);
            self.doubtful.push(name);
        }
    }

    fn own(&mut self) {
        let input = self.input;
        let nests = input.fields.iter().any(|field| matches!(field.role, Role::Nested(_)));
        for (index, name) in input.own.iter().enumerate() {
            let message = if input.own[..index].contains(name) {
                format!("`{name}` is declared twice: remove one")
            } else if input.outer.contains(name) {
                format!("`{name}` is borrowed and declared: remove one of the two")
            } else if let Meaning::Count(_) = self.names.meaning(name) {
                format!("`{name}` is a `usize` field of this struct, and so a count: rename one of the two")
            } else if self.names.units_of(name).is_some() {
                format!("`{name}` are only groups: declare the dimension that they group")
            } else if input.complete && !nests {
                format!(
                    "`{name}` is declared for nested fields, and there are none: remove it, an axis declares what it names"
                )
            } else {
                continue;
            };
            self.error(name, message);
            self.doubtful.push(name);
        }
    }

    /// Whether anything here names it.
    fn is_used(&self, name: &Name) -> bool {
        self.input.own.iter().chain(self.input.names()).any(|other| other == name)
    }

    fn layouts(&mut self) {
        let mut seen: Vec<&Name> = Vec::new();
        let input = self.input;
        for layout @ Layout { key, groups, .. } in input.layouts() {
            for name in std::iter::once(groups).chain(layout.units()) {
                let message = if seen.contains(&name) {
                    format!("`{name}` is laid out already: a name stands in one layout, once")
                } else if let Meaning::Count(_) = self.names.meaning(name) {
                    match layout.units().find(|units| *units != name) {
                        Some(units) if name != groups => format!(
                            "`{name}` is a `usize` field of this struct, and a count in a layout is a number: write `[{groups}, 2, {units}]`"
                        ),
                        _ => format!(
                            "`{name}` is a `usize` field of this struct, and so a count: rename one of the two"
                        ),
                    }
                } else {
                    seen.push(name);
                    continue;
                };
                self.error(name, message);
                self.doubtful.push(groups);
                self.doubtful.extend(layout.units());
            }
            for units in layout.units() {
                if input.complete && !self.is_used(units) {
                    self.error(
                        key,
                        format!("no axis of this struct is laid out like this: write one, as in `#[slim(output = [{groups}, {units}])]`"),
                    );
                }
            }
        }
    }

    fn contracted(&mut self) {
        let input = self.input;
        for (index, name) in input.contracted.iter().enumerate() {
            let in_layout = input.layouts().find(|layout| layout.contracted() == Some(name));
            let message = if input.contracted[..index].contains(name) {
                format!("`{name}` is contracted twice: remove one")
            } else if input.outer.contains(name) {
                format!("`{name}` is borrowed, and contracted where it is declared: remove it here")
            } else if in_layout.is_some() {
                format!("the layout says already that `{name}` is contracted: remove it here")
            } else if input.complete && !self.names.declared(input).contains(&name) {
                format!(
                    "no axis of this struct has a dimension `{name}`: name one that a product reads, and no layer"
                )
            } else {
                continue;
            };
            self.error(name, message);
            self.doubtful.push(name);
        }
    }

    fn fields(&mut self) {
        for field in &self.input.fields {
            if let Err(error) =
                check_type(field).and_then(|()| check_treatments(field)).and_then(|()| check_end(field))
            {
                self.errors.push(error);
                self.doubtful.extend(field.axes().flat_map(|carrier| carrier.axis.list.names()));
                self.doubtful.extend(field.lends().iter().filter_map(|lend| lend.source.name()));
                continue;
            }
            for lend in field.lends() {
                if let Err(error) = check_lend(lend, field, self.names) {
                    self.errors.push(error);
                    self.doubtful.extend(lend.source.name());
                }
            }
            // A gate is itself a dimension, by the name of its field.
            let name = field.ident.unraw();
            let gate = match field.role {
                Role::Tokens => Some("token gate"),
                Role::Branch(_) => Some("gate of a branch"),
                _ => None,
            };
            if let Some(gate) = gate
                && let Some(dimension) =
                    self.names.declared(self.input).into_iter().find(|other| other.is(field.ident))
            {
                self.error(
                    dimension,
                    format!("the {gate} `{name}` of this struct is a dimension of that name: rename one of the two"),
                );
            }
        }
    }

    fn branches(&mut self) {
        let input = self.input;
        // What a branch lists may be what could not be read.
        if input.complete {
            let checked = input.branches().map(|(gate, branch)| check_branch(branch, gate, input));
            self.errors.extend(checked.filter_map(Result::err));
        }
    }

    /// Names that lead into a field.
    fn paths(&mut self) {
        let input = self.input;
        for name in input.names() {
            if !self.doubtful.contains(&name)
                && let Err(error) = check_path(name, input)
            {
                self.errors.push(error);
                self.doubtful.push(name);
            }
        }
    }

    fn axes(&mut self) {
        // Two axes may share a mistake, so that only what was doubtful before keeps one from being checked.
        let doubtful = self.doubtful.clone();
        let mut misunderstood: Vec<&Name> = Vec::new();
        for axis in self.input.axes().map(|carrier| carrier.axis) {
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
