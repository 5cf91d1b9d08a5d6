//! Writes the code. Nothing is judged here.

mod layers;

use proc_macro2::{Literal, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{DeriveInput, GenericParam, Generics, Ident, Path, Type, WherePredicate, parse_quote};

use crate::ast::{Field, Input, Shape, elements, last_word};
use crate::attr::{LaidOut, Role};
use crate::axis::{Names, Side};
use crate::branch::Branch;
use crate::lend::Source;
use crate::name::Name;

/// The implementation for a struct that passed every check. `root` is the path of `vitslim_core`.
pub(crate) fn implementation(input: &Input, names: &Names, root: &Path) -> TokenStream {
    let mapper = mapper(Span::mixed_site());
    let declared = names.declared(input).into_iter().map(Name::to_string);
    let inside = inside(input, &mapper);
    let of = |rank| input.fields.iter().filter(move |field| rank_of(field) == rank);
    let steps = (0..=2).flat_map(of).map(|field| {
        let (step, part) = (step(field, names), part_of_branch(field, input));
        quote!(#step #part)
    });
    let treatments = input.fields.iter().map(treat);
    let parts: Vec<TokenStream> = input.fields.iter().map(part).collect();
    let uses = uses(input, root);
    let body = quote! {
        #uses
        let Self { #(#parts),* } = self;
        #mapper.open::<Self>(&[#(#declared),*]);
        #(#treatments)*
        #inside
        #(#steps)*
        #mapper.close();
        Self { #(#parts),* }
    };
    implement(input.original, root, bounds(input, root), &mapper.to_token_stream(), &body)
}

/// Brings in what the steps name, so that they read as a person would write them.
fn uses(input: &Input, root: &Path) -> Option<TokenStream> {
    let ends = input.fields.iter().flat_map(Field::ends).map(layers::side_at_end);
    let sides: Vec<Side> = input.axes().map(|carrier| carrier.axis.side).chain(ends).collect();
    let nested = input.fields.iter().any(|field| matches!(field.role, Role::Nested(_)));
    let used = [
        ("Axis", sides.iter().any(|side| matches!(side, Side::Axis(_)))),
        ("Factor", input.axes().next().is_some()),
        ("Input", sides.contains(&Side::Input)),
        ("Lent", input.lends().next().is_some()),
        ("Output", sides.contains(&Side::Output)),
        (
            "Several",
            input.fields.iter().any(|field| {
                (field.axes().next().is_some() || !field.ends().is_empty()) && holds_a_list(field.ty)
            }),
        ),
        ("Slimmable", nested),
        ("Treatment", input.fields.iter().any(|field| !field.treatments.is_empty())),
    ];
    let used = used.into_iter().filter(|(_, is_used)| *is_used);
    let names: Vec<Ident> = used.map(|(name, _)| Ident::new(name, Span::call_site())).collect();
    match names.as_slice() {
        [] => None,
        [name] => Some(quote!(use #root::slim::#name;)),
        names => Some(quote!(use #root::slim::{#(#names),*};)),
    }
}

fn holds_a_list(ty: &Type) -> bool {
    match elements(ty) {
        Shape::One => false,
        Shape::Option(element) => holds_a_list(element),
        Shape::List(_) => true,
        Shape::Tuple(parts) => parts.into_iter().any(holds_a_list),
    }
}

/// The names that lead into a field, each with its path.
fn inside(input: &Input, mapper: &Ident) -> TokenStream {
    let mut known: Vec<&Name> = Vec::new();
    let mut written = TokenStream::new();
    for name in input.names() {
        let Some((field, rest)) = name.inside().filter(|_| !known.contains(&name)) else { continue };
        let Some(list) = input.field(field) else { continue };
        known.push(name);
        let is_list = matches!(elements(list.ty), Shape::List(_));
        let path = match rest.split_once('.').filter(|_| is_list) {
            Some(("first", rest)) => format!("{field}.0.{rest}").to_token_stream(),
            Some(("last", rest)) => {
                let (path, ident) = (format!("{field}.{{}}.{rest}"), list.ident);
                quote!(&::std::format!(#path, #ident.len().saturating_sub(1)))
            }
            _ => name.as_str().to_token_stream(),
        };
        let (cfgs, name) = (list.cfgs(), name.as_str());
        written.extend(quote!(#(#cfgs)* #mapper.inside(#name, #path);));
    }
    written
}

/// What stands in for the implementation of a struct with errors, so that they are not followed by others where the
/// struct is used.
pub(crate) fn stand_in(node: &DeriveInput, root: &Path) -> TokenStream {
    implement(node, root, module_bound(node, root), &quote!(_), &quote!(self))
}

fn implement(
    node: &DeriveInput,
    root: &Path,
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
    // Where something is not slimmable, the compiler would list all types that are. Of a generic one it must look further:
    // it may be a parameter that is not.
    let unlisted = node.generics.params.is_empty().then(|| quote!(#[diagnostic::do_not_recommend]));
    quote! {
        #[automatically_derived]
        #unlisted
        impl #impl_generics #root::slim::Slimmable for #name #ty_generics #where_clause {
            fn map_dimensions<#kind: #root::slim::DimensionMapper>(self, #mapper: &mut #kind) -> Self {
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

/// `ident` as if written where `location` is.
fn at(ident: &Ident, location: Span) -> Ident {
    let mut value = ident.clone();
    value.set_span(location.resolved_at(ident.span()));
    value
}

/// A field in `Self { ... }`.
fn part(field: &Field) -> TokenStream {
    let (cfgs, ident) = (field.cfgs(), field.ident);
    quote!(#(#cfgs)* #ident)
}

/// Gates of branches come first, then layouts, and then the others.
fn rank_of(field: &Field) -> usize {
    match field.role {
        Role::Branch(_) => 0,
        Role::Layout(_) => 1,
        _ => 2,
    }
}

/// Hands a field to the mapper as a part of a branch, if it is one.
fn part_of_branch(field: &Field, input: &Input) -> Option<TokenStream> {
    let lists = |branch: &Branch| branch.fields.iter().any(|name| name.is(field.ident));
    input.branches().find(|(_, branch)| lists(branch))?;
    let (cfgs, ident, name) = (field.cfgs(), field.ident, field.ident.unraw().to_string());
    let mapper = mapper(Span::mixed_site());
    Some(quote!(#(#cfgs)* let #ident = #mapper.part(#name, #ident);))
}

/// How training treats one field, if its annotations say so.
fn treat(field: &Field) -> Option<TokenStream> {
    if field.treatments.is_empty() {
        return None;
    }
    let (cfgs, name) = (field.cfgs(), field.ident.unraw().to_string());
    let mapper = mapper(Span::mixed_site());
    let said = field.treatments.iter().map(|said| Ident::new(&format!("{said:?}"), Span::call_site()));
    Some(quote!(#(#cfgs)* #mapper.treat(#name, &[#(Treatment::#said),*]);))
}

/// What happens to one field. The calls stand, for the compiler's errors, where that is what does not fit if they do not:
/// at the field's type, or at the key of an axis.
fn step(field: &Field, names: &Names) -> TokenStream {
    let cfgs: Vec<_> = field.cfgs().collect();
    let ident = field.ident;
    let name = ident.unraw().to_string();
    let at_type = type_span(field);
    let value = at(ident, at_type);
    let span = at_type.resolved_at(Span::call_site());
    let mapper = mapper(at_type);
    match &field.role {
        Role::Plain if field.end.is_none() => TokenStream::new(),
        Role::Plain => layers::mapped(field, layers::Axes::OfEach(&[], field.end.as_ref()), &name, names),
        Role::Nested(lends) => {
            let mapped = quote_spanned! {span=>
                Slimmable::map_dimensions(#value, #mapper)
            };
            let lent = lends.iter().map(|lend| {
                let (name, source) = (lend.name.as_str(), lent(&lend.source));
                quote!((#name, #source))
            });
            let (lend, close) = match lends.is_empty() {
                true => (None, None),
                false => (
                    Some(quote!(#(#cfgs)* #mapper.lend_as(#name, &[#(#lent),*]);)),
                    Some(quote!(#(#cfgs)* #mapper.close();)),
                ),
            };
            quote! {
                #lend
                #(#cfgs)*
                #mapper.enter(#name);
                #(#cfgs)*
                let #ident = #mapped;
                #(#cfgs)*
                #mapper.exit();
                #close
            }
        }
        Role::Tokens => {
            let mapped = quote_spanned!(span=> #mapper.tokens(#name, #value));
            quote!(#(#cfgs)* let #ident = #mapped;)
        }
        Role::Branch(branch) => {
            let parts = branch.fields.iter().map(Name::as_str);
            let mapped = quote_spanned!(span=> #mapper.branch(#name, &[#(#parts),*], #value));
            quote!(#(#cfgs)* let #ident = #mapped;)
        }
        Role::Layout(layout) => {
            let groups = layout.groups.to_string();
            let dimensions = layout.dimensions.iter().map(|LaidOut { units, features_per_unit }| {
                let (units, count) = (units.as_str(), Literal::usize_unsuffixed(*features_per_unit));
                quote!((#units, #count))
            });
            let mapped = quote_spanned!(span=> #mapper.layout(#groups, &[#(#dimensions),*], #value));
            quote!(#(#cfgs)* let #ident = #mapped;)
        }
        Role::Layer(axes) => {
            layers::mapped(field, layers::Axes::OfEach(axes, field.end.as_ref()), &name, names)
        }
        Role::Parts(parts) => layers::mapped(field, layers::Axes::OfParts(parts), &name, names),
    }
}

fn lent(source: &Source) -> TokenStream {
    match source {
        Source::Name(name) => {
            let name = name.as_str();
            quote!(Lent::Name(#name))
        }
        Source::Before { dimension, first } => {
            let first = match first.as_ref().map(Name::as_str) {
                Some(first) => quote!(::std::option::Option::Some(#first)),
                None => quote!(::std::option::Option::None),
            };
            let dimension = dimension.as_str();
            quote!(Lent::Before(#dimension, #first))
        }
    }
}

/// Where to underline the type of `field`: at its last word, `Linear` of `nn::Linear`. Of a nested `Vec`, `Option` or
/// array, it is the element that must be slimmable.
fn type_span(field: &Field) -> Span {
    let mut ty = field.ty;
    if let Role::Nested(_) = field.role {
        while let Shape::Option(element) | Shape::List(element) = elements(ty) {
            ty = element;
        }
    }
    last_word(ty).map_or_else(|| ty.span(), Ident::span)
}

/// What a generic struct must promise for its implementation to hold: that it is a module, whatever Burn's derive asks
/// of its parameters for that, and that its annotated fields can do what is asked of them.
fn bounds(input: &Input, root: &Path) -> Vec<WherePredicate> {
    let params: Vec<Ident> = input
        .original
        .generics
        .type_params()
        .map(|param| param.ident.clone())
        .chain(input.original.generics.const_params().map(|param| param.ident.clone()))
        .collect();
    let mut bounds = module_bound(input.original, root);
    let is_generic = |ty: &Type| mentions(ty.to_token_stream(), &params);
    for field in &input.fields {
        if let Role::Nested(_) = field.role
            && is_generic(field.ty)
        {
            let ty = field.ty;
            bounds.push(parse_quote!(#ty: #root::slim::Slimmable));
        }
        bounds.extend(field.ends().into_iter().filter(|ty| is_generic(ty)).map(|ty| -> WherePredicate {
            let side = layers::side(layers::side_at_end(ty));
            parse_quote!(#ty: #root::slim::HasAxis<#root::slim::#side>)
        }));
        for carrier in field.axes() {
            let side = layers::side(carrier.axis.side);
            let types = carrier.types().into_iter().filter(|ty| is_generic(ty));
            bounds.extend(
                types.map(|ty| -> WherePredicate {
                    parse_quote!(#ty: #root::slim::HasAxis<#root::slim::#side>)
                }),
            );
        }
    }
    bounds
}

fn module_bound(node: &DeriveInput, root: &Path) -> Vec<WherePredicate> {
    if node.generics.type_params().next().is_none() {
        return Vec::new();
    }
    let name = &node.ident;
    let (_, ty_generics, _) = node.generics.split_for_impl();
    vec![parse_quote!(#name #ty_generics: #root::prelude::Module)]
}

fn mentions(tokens: TokenStream, params: &[Ident]) -> bool {
    tokens.into_iter().any(|tree| match tree {
        TokenTree::Ident(ident) => params.contains(&ident),
        TokenTree::Group(group) => mentions(group.stream(), params),
        _ => false,
    })
}
