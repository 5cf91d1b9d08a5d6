//! Reads the `#[slim(...)]` of a struct.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::Parser;
use syn::{Attribute, Error, Ident, Meta, Path};

use crate::attr::{FIELD_KEYS, equals_sign, flag, slim_attributes};
use crate::axis::{Factor, Item, List, items};
use crate::name::Name;
use crate::treatment;

pub(crate) const STRUCT_KEYS: [&str; 5] = ["outer", "own", "contracted", "none", "crate"];

/// What the annotations of a struct say.
#[derive(Default)]
pub(crate) struct Container {
    /// `#[slim(outer = [width])]`
    pub(crate) outer: Vec<Name>,
    /// `#[slim(own = [width])]`
    pub(crate) own: Vec<Name>,
    /// `#[slim(contracted = [qk])]`
    pub(crate) contracted: Vec<Name>,
    /// `#[slim(none)]`
    pub(crate) none: Option<Ident>,
    /// `#[slim(crate = other::vitslim_core)]`
    pub(crate) root: Option<Path>,
}

const STRUCT_FORMS: &str = "`outer = [...]`, the dimensions that it borrows, `own = [...]`, those that it declares for its nested fields, `contracted = [...]`, those that only a product of its own reads, `none`, if it has no dimensions, and `crate = ...`, the path of `vitslim_core`";

impl Container {
    /// Reads the `#[slim]` attributes of a struct.
    pub(crate) fn from_attributes(attrs: &[Attribute], errors: &mut Vec<Error>) -> Self {
        let mut container = Container::default();
        let mut seen = Vec::new();
        for attr in slim_attributes(attrs) {
            match &attr.meta {
                Meta::List(list) if !list.tokens.is_empty() => {
                    for item in items(list.tokens.clone(), errors) {
                        container.read(&item, &mut seen, errors);
                    }
                }
                Meta::NameValue(_) => errors.push(equals_sign(attr)),
                _ => errors.push(Error::new_spanned(
                    attr,
                    format!("`#[slim]` marks a nested field; a struct takes {STRUCT_FORMS}"),
                )),
            }
        }
        container
    }

    fn read(&mut self, item: &Item, seen: &mut Vec<String>, errors: &mut Vec<Error>) {
        let Some((key, value)) = item.key() else {
            let message = format!("a struct takes {STRUCT_FORMS}");
            errors.push(Error::new_spanned(item.tokens(), message));
            return;
        };
        let name = key.to_string();
        let message = match name.as_str() {
            "outer" | "own" | "contracted" if seen.contains(&name) => {
                format!("`{name}` is written twice: put all names into one list")
            }
            known if STRUCT_KEYS.contains(&known) && seen.contains(&name) => {
                format!("`{name}` is written twice: remove one")
            }
            "outer" | "own" | "contracted" => {
                let list = List::parse(key, &name, value, "width", errors);
                let names = list.map(|list| only_names(&name, &list, errors)).unwrap_or_default();
                *match name.as_str() {
                    "outer" => &mut self.outer,
                    "own" => &mut self.own,
                    _ => &mut self.contracted,
                } = names;
                seen.push(name);
                return;
            }
            "none" => {
                self.none = flag(key, value, errors).then(|| key.clone());
                seen.push(name);
                return;
            }
            "crate" => {
                self.root = read_root(key, value, errors);
                seen.push(name);
                return;
            }
            field if FIELD_KEYS.contains(&field) || treatment::KEYS.contains(&field) => {
                format!("`{field}` belongs on a field; a struct takes {STRUCT_FORMS}")
            }
            _ => format!("unknown key `{name}`: a struct takes {STRUCT_FORMS}"),
        };
        errors.push(Error::new_spanned(key, message));
    }
}

/// Reads `crate = other::vitslim_core`.
fn read_root(key: &Ident, value: &[TokenTree], errors: &mut Vec<Error>) -> Option<Path> {
    let (wrong, message) = match value {
        [TokenTree::Punct(equals), path @ ..] if equals.as_char() == '=' && !path.is_empty() => {
            let path: TokenStream = path.iter().cloned().collect();
            match Path::parse_mod_style.parse2(path.clone()) {
                Ok(path) => return Some(path),
                Err(_) => (path, "expected a path, without quotes: write `crate = other::vitslim_core`"),
            }
        }
        _ => (key.to_token_stream(), "`crate` needs a path: write `crate = other::vitslim_core`"),
    };
    errors.push(Error::new_spanned(wrong, message));
    None
}

fn only_names(key: &str, list: &List, errors: &mut Vec<Error>) -> Vec<Name> {
    let plain = |factor: &Factor| matches!(factor, Factor::Name(name) if name.inside().is_none());
    if !list.factors.iter().all(plain) {
        let message = match key {
            "outer" => {
                "`outer` names the dimensions that the struct borrows: write names only, as in `outer = [width]`"
            }
            "contracted" => {
                "`contracted` names the dimensions that only a product reads: write names only, as in `contracted = [qk]`"
            }
            _ => {
                "`own` names the dimensions that the struct declares: write names only, as in `own = [width]`"
            }
        };
        errors.push(Error::new_spanned(&list.brackets, message));
    }
    list.names().filter(|name| name.inside().is_none()).cloned().collect()
}
