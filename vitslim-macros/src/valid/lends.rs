//! Whether what is lent to a nested field, and what is borrowed from one, can be what its name says.

use syn::Error;

use crate::ast::{Field, Input, Shape, elements};
use crate::attr::{Role, nearest};
use crate::axis::{Meaning, Names};
use crate::lend::{Lend, Source};
use crate::name::Name;

/// Whether `field` can be lent this.
pub(super) fn check_lend(lend: &Lend, field: &Field, names: &Names) -> Result<(), Error> {
    let Lend { name, source } = lend;
    if let Some(here) = source.name()
        && let Meaning::Count(_) = names.meaning(here)
    {
        let message = format!(
            "`{here}` is a `usize` of this struct and so a count, and a nested field borrows dimensions: name one"
        );
        return Err(Error::new_spanned(here, message));
    }
    match source {
        Source::Name(here) if here == name => Err(Error::new_spanned(
            here,
            format!("a nested field borrows `{name}` by its own name anyway: write a bare `#[slim]`"),
        )),
        Source::Before { dimension, .. } if !matches!(elements(field.ty), Shape::List(_)) => {
            let message = "`before` is the element before, and this field is no `Vec` or array: name the field that declares the dimension, as in `stage1.width`";
            Err(Error::new_spanned(dimension, message))
        }
        _ => Ok(()),
    }
}

/// Whether a name with dots leads into a nested field.
pub(super) fn check_path(name: &Name, input: &Input) -> Result<(), Error> {
    let Some((first, rest)) = name.inside() else { return Ok(()) };
    let nested = |field: &&Field| matches!(field.role, Role::Nested(_));
    let message = match input.field(first) {
        None if first == "before" => {
            "`before` is the element before in a list, and only lent to the next: write it behind a name that its elements borrow, as in `#[slim(former = before.width)]`".into()
        }
        None => {
            let fields: Vec<String> =
                input.fields.iter().filter(nested).map(|field| field.ident.to_string()).collect();
            let hint = match nearest(first, fields.iter().map(String::as_str)) {
                Some(right) => format!("did you mean `{right}`?"),
                None => "name the nested field whose struct declares the dimension".into(),
            };
            format!("this struct has no field `{first}`: {hint}")
        }
        Some(field) if !nested(&field) => format!(
            "`{first}` is no nested field, and only these declare dimensions: write `#[slim]` on it, or name the dimension without `{first}`"
        ),
        Some(field) if matches!(elements(field.ty), Shape::List(_)) && !is_of_element(rest) => format!(
            "`{first}` is a list, of which each element declares its own: write `{first}.first.{rest}`, `{first}.last.{rest}` or the number of one, `{first}.1.{rest}`"
        ),
        Some(_) => return Ok(()),
    };
    Err(Error::new_spanned(name, message))
}

/// Whether a path into a list begins with an element.
fn is_of_element(rest: &str) -> bool {
    rest.split_once('.')
        .is_some_and(|(element, _)| matches!(element, "first" | "last") || element.parse::<usize>().is_ok())
}
