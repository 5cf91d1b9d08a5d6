//! Dimensions that are lent to a nested field under another name.

use proc_macro2::{TokenStream, TokenTree};
use syn::{Error, Ident};

use crate::name::Name;

/// `width = width1`: the field borrows by one name what has another here.
pub(crate) struct Lend {
    pub(crate) name: Name,
    pub(crate) source: Source,
}

/// What is lent.
pub(crate) enum Source {
    /// A dimension that has a name here.
    Name(Name),
    /// `before.width or stem`: what the element before declares by a name; for the first element, what has the other name here.
    Before { dimension: Name, first: Option<Name> },
}

impl Source {
    /// Reads what stands after `width =`.
    pub(crate) fn read(name: &str, key: &Ident, tokens: &[TokenTree]) -> Result<Self, Error> {
        let right = format!("write the name that it has here, as in `{name} = {name}1`");
        let named = |tokens: &[TokenTree]| {
            Name::of(tokens).ok_or_else(|| match tokens {
                [] => Error::new_spanned(key, format!("`{name}` is lent to this field: {right}")),
                [TokenTree::Literal(_)] => {
                    Error::new_spanned(&tokens[0], format!("a dimension is a name without quotes: {right}"))
                }
                _ => Error::new_spanned(
                    tokens.iter().cloned().collect::<TokenStream>(),
                    format!("this names no dimension: {right}"),
                ),
            })
        };
        let or = tokens.iter().position(|tree| matches!(tree, TokenTree::Ident(word) if word == "or"));
        let (source, first) = tokens.split_at(or.unwrap_or(tokens.len()));
        let (source, first) = (named(source)?, first.get(1..).map(named).transpose()?);
        match source.inside() {
            Some(("before", dimension)) if !dimension.contains('.') => {
                let dimension = source.last();
                Ok(Self::Before { dimension, first })
            }
            _ if or.is_some() => Err(Error::new_spanned(
                &tokens[or.unwrap_or_default()],
                format!(
                    "only the first element of a list has none before it: write `or` after `before`, as in `{name} = before.width or width0`"
                ),
            )),
            _ => Ok(Self::Name(source)),
        }
    }

    /// What has a name in this struct; only of the first element, if there is one before.
    pub(crate) fn name(&self) -> Option<&Name> {
        match self {
            Self::Name(name) => Some(name),
            Self::Before { first, .. } => first.as_ref(),
        }
    }
}
