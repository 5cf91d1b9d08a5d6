//! Writes the code. Nothing is judged here.

use proc_macro2::{Literal, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{
    DeriveInput, GenericArgument, GenericParam, Generics, Ident, PathArguments, Type, WherePredicate,
    parse_quote,
};

use crate::ast::{Field, Input};
use crate::attr::Role;
use crate::axis::{Factor, List, Meaning, Names, Side};

/// The implementation for a struct that passed every check.
pub(crate) fn implementation(input: &Input, names: &Names) -> TokenStream {
    let mapper = mapper(Span::mixed_site());
    let declared = names.declared(input).into_iter().map(Ident::to_string);
    let layouts = input.fields.iter().filter(|field| is_layout(field));
    let others = input.fields.iter().filter(|field| !is_layout(field));
    let steps = layouts.chain(others).map(|field| step(field, names));
    let parts: Vec<TokenStream> = input.fields.iter().map(part).collect();
    let body = quote! {
        let Self { #(#parts),* } = self;
        #mapper.open(&[#(#declared),*]);
        #(#steps)*
        #mapper.close();
        Self { #(#parts),* }
    };
    implement(input.original, bounds(input), &mapper.to_token_stream(), &body)
}

/// What stands in for the implementation of a struct with errors, so that they are not followed by others where the
/// struct is used.
pub(crate) fn stand_in(node: &DeriveInput) -> TokenStream {
    implement(node, module_bound(node), &quote!(_), &quote!(self))
}

fn implement(
    node: &DeriveInput,
    bounds: Vec<WherePredicate>,
    mapper: &TokenStream,
    body: &TokenStream,
) -> TokenStream {
    let mut generics = node.generics.clone();
    if !bounds.is_empty() {
        generics.make_where_clause().predicates.extend(bounds);
    }
    let name = &node.ident;
    let kind = mapper_type(&node.generics);
    let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #impl_generics ::vitslim_core::slim::Slimmable for #name #ty_generics #where_clause {
            fn map_dimensions<#kind: ::vitslim_core::slim::DimensionMapper>(self, #mapper: &mut #kind) -> Self {
                #body
            }
        }
    }
}

/// The parameter `mapper`, as if written where `location` is, but never confused with a field of that name.
fn mapper(location: Span) -> Ident {
    Ident::new("mapper", location.resolved_at(Span::mixed_site()))
}

/// The type parameter `M`, or the first name like it that the struct does not use.
fn mapper_type(generics: &Generics) -> Ident {
    let taken: Vec<String> = generics
        .params
        .iter()
        .map(|param| match param {
            GenericParam::Type(param) => param.ident.to_string(),
            GenericParam::Const(param) => param.ident.to_string(),
            GenericParam::Lifetime(param) => param.lifetime.to_string(),
        })
        .collect();
    let mut name = String::from("M");
    while taken.contains(&name) {
        name.push('M');
    }
    Ident::new(&name, Span::call_site())
}

/// A field in `Self { ... }`.
fn part(field: &Field) -> TokenStream {
    let (cfgs, ident) = (field.cfgs(), field.ident);
    quote!(#(#cfgs)* #ident)
}

fn is_layout(field: &Field) -> bool {
    matches!(field.role, Role::Layout(_))
}

/// What happens to one field. The calls stand, for the compiler's errors, where the field's type is: that is what does
/// not fit if one does not.
fn step(field: &Field, names: &Names) -> TokenStream {
    let cfgs: Vec<_> = field.cfgs().collect();
    let ident = field.ident;
    let name = ident.unraw().to_string();
    let at_type = type_span(field);
    let mut value = ident.clone();
    value.set_span(at_type.resolved_at(ident.span()));
    let span = at_type.resolved_at(Span::call_site());
    let mapper = mapper(at_type);
    match &field.role {
        Role::Plain => TokenStream::new(),
        Role::Nested => {
            let mapped = quote_spanned! {span=>
                ::vitslim_core::slim::Slimmable::map_dimensions(#value, #mapper)
            };
            quote! {
                #(#cfgs)*
                #mapper.enter(#name);
                #(#cfgs)*
                let #ident = #mapped;
                #(#cfgs)*
                #mapper.exit();
            }
        }
        Role::Tokens => {
            let mapped = quote_spanned!(span=> #mapper.tokens(#name, #value));
            quote!(#(#cfgs)* let #ident = #mapped;)
        }
        Role::Layout(layout) => {
            let (groups, dimension) = (layout.groups.to_string(), layout.units.to_string());
            let mapped = quote_spanned!(span=> #mapper.layout(#groups, #dimension, #value));
            quote!(#(#cfgs)* let #ident = #mapped;)
        }
        Role::Layer(axes) => axes
            .iter()
            .map(|axis| {
                let (side, factors) = (side(axis.side), factors(&axis.list, names));
                let gated = axis.gate.is_some();
                // The side is named as a type too: of a layer with one side only, the compiler would infer that one, and
                // complain about the value instead of the layer.
                let mapped = quote_spanned! {span=>
                    #mapper.axis::<#side, _>(#name, #value, #side, &[#factors], #gated)
                };
                quote!(#(#cfgs)* let #ident = #mapped;)
            })
            .collect(),
    }
}

fn side(side: Side) -> TokenStream {
    match side {
        Side::Input => quote!(::vitslim_core::slim::Input),
        Side::Output => quote!(::vitslim_core::slim::Output),
        Side::Axis(number) => {
            let number = Literal::usize_unsuffixed(number);
            quote!(::vitslim_core::slim::Axis::<#number>)
        }
    }
}

fn factors(list: &List, names: &Names) -> TokenStream {
    let factors = list.factors.iter().map(|factor| match factor {
        Factor::Number(number) => {
            let number = Literal::usize_unsuffixed(*number);
            quote!(::vitslim_core::slim::Factor::Count(#number))
        }
        Factor::Name(name) => {
            let text = name.to_string();
            match names.meaning(name) {
                Meaning::Count(field) => quote!(::vitslim_core::slim::Factor::Count(#field)),
                Meaning::Groups => quote!(::vitslim_core::slim::Factor::Groups(#text)),
                Meaning::Units => quote!(::vitslim_core::slim::Factor::Units(#text)),
            }
        }
    });
    quote!(#(#factors),*)
}

/// Where to underline the type of `field`: at its last word, `Linear` of `nn::Linear`. Of a nested `Vec` or `Option`, it
/// is the element that must be slimmable.
fn type_span(field: &Field) -> Span {
    let mut ty = field.ty;
    loop {
        let last = match ty {
            Type::Group(group) => {
                ty = &group.elem;
                continue;
            }
            Type::Path(path) => path.path.segments.last(),
            _ => None,
        };
        let Some(last) = last else {
            return ty.span();
        };
        match &last.arguments {
            PathArguments::AngleBracketed(arguments)
                if matches!(field.role, Role::Nested)
                    && (last.ident == "Vec" || last.ident == "Option")
                    && let Some(GenericArgument::Type(element)) = arguments.args.first() =>
            {
                ty = element;
            }
            _ => return last.ident.span(),
        }
    }
}

/// What a generic struct must promise for its implementation to hold: that it is a module, whatever Burn's derive asks
/// of its parameters for that, and that its annotated fields can do what is asked of them.
fn bounds(input: &Input) -> Vec<WherePredicate> {
    let params: Vec<Ident> = input
        .original
        .generics
        .type_params()
        .map(|param| param.ident.clone())
        .chain(input.original.generics.const_params().map(|param| param.ident.clone()))
        .collect();
    let mut bounds = module_bound(input.original);
    let generic = |field: &&Field| mentions(field.ty.to_token_stream(), &params);
    for Field { ty, role, .. } in input.fields.iter().filter(generic) {
        match role {
            Role::Nested => bounds.push(parse_quote!(#ty: ::vitslim_core::slim::Slimmable)),
            Role::Layer(axes) => bounds.extend(axes.iter().map(|axis| -> WherePredicate {
                let side = side(axis.side);
                parse_quote!(#ty: ::vitslim_core::slim::SlimLayer<#side>)
            })),
            _ => {}
        }
    }
    bounds
}

fn module_bound(node: &DeriveInput) -> Vec<WherePredicate> {
    if node.generics.type_params().next().is_none() {
        return Vec::new();
    }
    let name = &node.ident;
    let (_, ty_generics, _) = node.generics.split_for_impl();
    vec![parse_quote!(#name #ty_generics: ::burn::module::Module)]
}

fn mentions(tokens: TokenStream, params: &[Ident]) -> bool {
    tokens.into_iter().any(|tree| match tree {
        TokenTree::Ident(ident) => params.contains(&ident),
        TokenTree::Group(group) => mentions(group.stream(), params),
        _ => false,
    })
}
