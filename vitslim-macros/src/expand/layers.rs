//! The calls for the axes of a field: of a layer, or of each in an `Option`, a list or a tuple.

use proc_macro2::{Literal, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Ident, Type};

use super::{at, mapper};
use crate::ast::{Field, Shape, elements, last_word};
use crate::attr::Part;
use crate::axis::{Axis, Factor, Meaning, Names, Side};

/// Which layers have which axes, and which are at the end of a branch.
#[derive(Clone, Copy)]
pub(super) enum Axes<'a> {
    /// Each has all of them, and is at an end if there is this `end`.
    OfEach(&'a [Axis], Option<&'a Ident>),
    /// Parts of a tuple have their own.
    OfParts(&'a [Part]),
}

/// What happens to `field`, which is called `name`.
pub(super) fn mapped(field: &Field, axes: Axes, name: &str, names: &Names) -> TokenStream {
    let (cfgs, ident) = (field.cfgs().collect::<Vec<_>>(), field.ident);
    let name = name.to_token_stream();
    match (elements(field.ty), axes) {
        (Shape::One, Axes::OfEach(axes, end)) => calls(field.ty, axes, end, &name, ident, names)
            .map(|mapped| quote!(#(#cfgs)* let #ident = #mapped;))
            .collect(),
        _ => {
            let mapped = all(field.ty, axes, &name, ident, names);
            quote!(#(#cfgs)* let #ident = #mapped;)
        }
    }
}

/// Hands the layer `ident` of type `ty`, which is called `name` where it is, to the mapper: each of its `axes`, and its `end`.
fn calls<'a>(
    ty: &'a Type,
    axes: &'a [Axis],
    end: Option<&'a Ident>,
    name: &'a TokenStream,
    ident: &'a Ident,
    names: &'a Names,
) -> impl Iterator<Item = TokenStream> + 'a {
    let axes = axes.iter().map(move |axis| one(axis, name, ident, names));
    axes.chain(end.map(move |end| {
        let side = side(side_at_end(ty));
        let at_key = end.span();
        let (value, mapper, span) =
            (at(ident, at_key), mapper(at_key), at_key.resolved_at(Span::call_site()));
        quote_spanned!(span=> #mapper.end::<#side, _>(#name, #value, #side))
    }))
}

/// The side of a layer at the end of a branch. A parameter is multiplied as a whole, along whichever axis.
pub(super) fn side_at_end(ty: &Type) -> Side {
    match last_word(ty) {
        Some(word) if word == "Param" => Side::Axis(0),
        _ => Side::Output,
    }
}

/// Hands `axis` of the layer `ident`, which is called `name` where it is, to the mapper.
fn one(axis: &Axis, name: &TokenStream, ident: &Ident, names: &Names) -> TokenStream {
    let (side, factors) = (side(axis.side), factors(&axis.list.factors, names));
    let gated = axis.gate.is_some();
    let at_key = axis.key.span();
    let (value, mapper, span) = (at(ident, at_key), mapper(at_key), at_key.resolved_at(Span::call_site()));
    // The side is named as a type too: of a layer with one side only, the compiler would infer that one, and complain about
    // the value instead of the layer.
    quote_spanned! {span=>
        #mapper.axis::<#side, _>(#name, #value, #side, &[#factors], #gated)
    }
}

/// What becomes of the layers in `ident`, of type `ty`, which is called `name` where it is.
fn all(ty: &Type, axes: Axes, name: &TokenStream, ident: &Ident, names: &Names) -> TokenStream {
    let mapper = mapper(Span::call_site());
    match (elements(ty), axes) {
        // Was refused.
        (Shape::One, Axes::OfParts(_)) => ident.to_token_stream(),
        (Shape::One, Axes::OfEach(axes, end)) => {
            let calls = calls(ty, axes, end, name, ident, names);
            quote!({ #(let #ident = #calls;)* #ident })
        }
        (Shape::Option(element), _) => {
            let mapped = all(element, axes, name, ident, names);
            quote!(#ident.map(|#ident| #mapped))
        }
        (Shape::List(element), _) => {
            let index = Ident::new("index", Span::mixed_site());
            let mapped = all(element, axes, &index.to_token_stream(), ident, names);
            quote!({
                #mapper.enter(#name);
                let #ident = Several::each(#ident, |#index, #ident| #mapped);
                #mapper.exit();
                #ident
            })
        }
        (Shape::Tuple(types), _) => {
            let parts: Vec<Ident> =
                (0..types.len()).map(|part| Ident::new(&format!("part{part}"), Span::mixed_site())).collect();
            let steps = types.iter().zip(&parts).enumerate().map(|(number, (ty, part))| {
                let axes = match axes {
                    Axes::OfEach(..) => axes,
                    Axes::OfParts(parts) => {
                        let part = parts.iter().find(|part| part.index == number)?;
                        Axes::OfEach(&part.axes, part.end.as_ref())
                    }
                };
                let mapped = all(ty, axes, &number.to_string().to_token_stream(), part, names);
                Some(quote!(let #part = #mapped;))
            });
            quote!({
                #mapper.enter(#name);
                let (#(#parts,)*) = #ident;
                #(#steps)*
                #mapper.exit();
                (#(#parts,)*)
            })
        }
    }
}

pub(super) fn side(side: Side) -> TokenStream {
    match side {
        Side::Input => quote!(Input),
        Side::Output => quote!(Output),
        Side::Axis(number) => {
            let number = Literal::usize_unsuffixed(number);
            quote!(Axis::<#number>)
        }
    }
}

fn factors(factors: &[Factor], names: &Names) -> TokenStream {
    let factors = factors.iter().map(|factor| match factor {
        Factor::Number(number) => {
            let number = Literal::usize_unsuffixed(*number);
            quote!(Factor::Count(#number))
        }
        Factor::Name(name) => {
            let text = name.to_string();
            match names.meaning(name) {
                Meaning::Count(field) => quote!(Factor::Count(#field)),
                Meaning::Groups => quote!(Factor::Groups(#text)),
                Meaning::Units => quote!(Factor::Units(#text)),
            }
        }
        Factor::Sum(terms) => match terms.as_slice() {
            [list] => self::factors(list, names),
            terms => {
                let terms = terms.iter().map(|term| self::factors(term, names));
                quote!(Factor::Sum(&[#(&[#terms]),*]))
            }
        },
    });
    quote!(#(#factors),*)
}
