//! The names of dimensions.

use std::fmt;

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::Ident;
use syn::ext::IdentExt;

/// A name as written, without `r#`, as paths show it: `hidden`; or `layers.last.width`, what the struct in a field declares.
#[derive(Clone)]
pub(crate) struct Name {
    text: String,
    tokens: TokenStream,
}

impl Name {
    /// Names and numbers with dots between, if the first and the last are names.
    pub(crate) fn of(trees: &[TokenTree]) -> Option<Self> {
        let mut steps = Vec::new();
        for pair in trees.chunks(2) {
            steps.push(match &pair[0] {
                TokenTree::Ident(name) => name.unraw().to_string(),
                TokenTree::Literal(number) if number.to_string().parse::<usize>().is_ok() => {
                    number.to_string()
                }
                _ => return None,
            });
            if !pair.get(1).is_none_or(|dot| matches!(dot, TokenTree::Punct(dot) if dot.as_char() == '.')) {
                return None;
            }
        }
        let is_name =
            |tree: Option<&TokenTree>| matches!(tree, Some(TokenTree::Ident(name)) if name != "self");
        (is_name(trees.first()) && is_name(trees.last()))
            .then(|| Self { text: steps.join("."), tokens: trees.iter().cloned().collect() })
    }

    /// The field that it leads into, and the rest; `None` of a name without dots.
    pub(crate) fn inside(&self) -> Option<(&str, &str)> {
        self.text.split_once('.')
    }

    /// Where it leads, `layers.last` of `layers.last.width`.
    pub(crate) fn place(&self) -> Option<&str> {
        self.text.rsplit_once('.').map(|(place, _)| place)
    }

    /// Its last step, `width` of `layers.last.width`, underlined as a whole.
    pub(crate) fn last(&self) -> Self {
        let last = self.text.rsplit('.').next().unwrap_or(&self.text);
        Self { text: last.to_owned(), tokens: self.tokens.clone() }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is the name of `ident`.
    pub(crate) fn is(&self, ident: &Ident) -> bool {
        ident.unraw() == self.text.as_str()
    }
}

impl From<&Ident> for Name {
    fn from(ident: &Ident) -> Self {
        Self { text: ident.unraw().to_string(), tokens: ident.to_token_stream() }
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl ToTokens for Name {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.tokens.to_tokens(tokens);
    }
}
