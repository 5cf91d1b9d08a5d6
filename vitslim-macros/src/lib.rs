//! The derive macro of vitslim. `vitslim_core::slim` exports it beside the trait that it implements.

mod ast;
mod attr;
mod axis;
mod expand;
mod root;
mod treatment;
mod valid;

use proc_macro2::TokenStream;
use syn::{DeriveInput, Error, Path, parse_macro_input};

/// Implements `Slimmable` for a struct of layers, from the annotations of its fields.
///
/// ```ignore
/// #[derive(Module, Debug, Slimmable)]
/// pub struct Mlp {
///     #[slim(output = [hidden])]
///     fc1: Linear,
///     act: Gelu,
///     #[slim(input = [hidden], gate)]
///     fc2: Linear,
/// }
///
/// #[derive(Module, Debug, Slimmable)]
/// pub struct Attention {
///     #[slim(output = [3, heads, head_dim], gate)]
///     qkv: Linear,
///     #[slim(input = [heads, head_dim])]
///     proj: Linear,
///     #[slim(layout = [heads, head_dim])]
///     heads: HeadLayout,
/// }
///
/// #[derive(Module, Debug, Slimmable)]
/// pub struct Block {
///     #[slim(tokens)]
///     tokens: TokenGate,
///     norm1: LayerNorm,
///     #[slim]
///     attn: Attention,
///     norm2: LayerNorm,
///     #[slim]
///     mlp: Mlp,
/// }
/// ```
///
/// # Annotations
///
/// A *dimension* is a named set of prunable units: the `hidden` units of an MLP, the dims of its attention heads. Fields
/// say which of their axes run along which dimension. A field without an annotation stays as it is.
///
/// | On a field | Its type | It says |
/// | --- | --- | --- |
/// | `input = [...]` | a layer | what its input features are |
/// | `output = [...]` | a layer | what its output features are; a norm has only these |
/// | `axis(N) = [...]` | `Param<Tensor<D>>` | what its axis `N` is, counted from 0 |
/// | `gate`, after one of these | | the mask of the dimension multiplies the weights at this axis |
/// | `layout = [groups, units]` | `HeadLayout` | the dimension `units` is grouped, and this field holds the sizes of its groups |
/// | `tokens` | `TokenGate` | the token positions are a dimension, named like the field |
/// | `norm` | a layer or parameter | it is a norm: `no_decay, no_freeze`, and it produces no dimension |
/// | `no_decay`, `decay` | a layer or parameter | weight decay spares its parameters, or applies to them |
/// | `freeze`, `no_freeze` | a layer or parameter | a search with `freeze: Weights` leaves its parameters as they are, or trains them |
/// | `layer = first`, `layer = last` | a layer or parameter | `layer_decay` counts its parameters to what comes before, or after, all blocks |
/// | a bare `#[slim]` | a type that is `Slimmable`, or a `Vec`, an `Option` or an array of one | the struct goes on in there |
///
/// | On the struct | It says |
/// | --- | --- |
/// | `outer = [...]` | these dimensions are borrowed from an enclosing struct |
/// | `crate = path` | `vitslim_core` is found at `path`: only needed where `Cargo.toml` does not name it, under whatever name |
///
/// Several annotations stand in one attribute, separated by commas, or in several. A field is a layer with axes, a
/// layout, a token gate or a nested field, and only one of these.
///
/// How training treats parameters may be said of a layer without axes too, and of a `Vec`, an `Option`, an array or a tuple
/// of layers; it holds for all parameters in the field. What is not said, training tells by the shapes of the parameters and by
/// the order in which the forward pass uses them. In a nested field, the fields of its own struct say it.
///
/// ```ignore
/// #[slim(axis(2) = [width], gate, no_decay, freeze)]
/// pos_embed: Param<Tensor<3>>,
/// #[slim(output = [width], gate, norm)]
/// norm: ScaleNorm,
/// ```
///
/// ## Axes
///
/// An axis is a list of factors, outermost first: the output of `qkv` above is `[3, heads, head_dim]`, since its features
/// are queries, keys and values, each with its heads one after the other. A factor is
///
/// - a whole number of at least 1,
/// - the name of a `usize` field or `usize` const parameter of the struct, which is that number,
/// - any other name, which is a dimension.
///
/// An axis has exactly one dimension. A grouped dimension has two names, its groups and its units. They stand next to each
/// other in this order, and count as one. Numbers may stand before and after.
///
/// An axis may also name the groups alone, where it has an entry for each of them and none for their units, as a bias of
/// the attention of each head has. It follows the layout: a group that loses all its units is gone there too. It has no
/// `gate`, since masks multiply units.
///
/// ```ignore
/// #[slim(layout = [heads, head_dim])]
/// heads: HeadLayout,
/// #[slim(axis(1) = [heads])]
/// position_bias: Param<Tensor<2>>,
/// ```
///
/// ## Dimensions
///
/// The struct *declares* every dimension that it names and does not borrow; in a model its path is that of the struct,
/// `blocks.3.mlp.hidden`. Of structs in one another that declare the same name, each has its own. A declared dimension needs
///
/// - a producer: an `output`,
/// - a consumer: an `input`, cut together with the producer,
/// - a gate at any of its axes, or at several, as with separate queries, keys and values.
///
/// The `axis(N)` of a parameter counts as either. Nested structs that borrow the dimension are not looked into, so that what
/// they do does not count. A norm writes what it reads: where no nested struct could be the producer, it is none either.
///
/// ## Borrowing
///
/// With a prunable embedding width, one dimension runs through all structs of a model. The model declares it, and its
/// blocks borrow it:
///
/// ```ignore
/// #[derive(Module, Debug, Slimmable)]
/// #[slim(outer = [width])]
/// pub struct Mlp {
///     #[slim(input = [width], output = [hidden])]
///     fc1: Linear,
///     #[slim(input = [hidden], gate, output = [width], gate)]
///     fc2: Linear,
/// }
///
/// #[derive(Module, Debug, Slimmable)]
/// pub struct Model {
///     #[slim(output = [width], gate)]
///     embed: Linear,
///     #[slim(axis(2) = [width], gate)]
///     pos_embed: Param<Tensor<3>>,
///     #[slim]
///     layers: Vec<Mlp>,
///     #[slim(output = [width], gate)]
///     norm: LayerNorm,
///     #[slim(input = [width])]
///     head: Linear,
/// }
/// ```
///
/// A struct lists in `outer` what its own axes name; nested structs borrow for themselves. Where no enclosing struct
/// declares a borrowed dimension, it cannot be pruned, and the axis is left alone. To borrow a grouped dimension, list both
/// of its names; where only its groups are named, list these.
///
/// # Generic structs
///
/// The implementation asks of a type parameter what Burn's derive asks, and of an annotated field that mentions one what
/// the annotation needs: `Slimmable`, or `SlimLayer` for the side named.
#[proc_macro_derive(Slimmable, attributes(slim))]
pub fn derive_slimmable(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let node = parse_macro_input!(input as DeriveInput);
    derive(&node, root::of_manifest).into()
}

/// One stage after the other. A stage adds what it finds wrong and goes on, so that all mistakes are told at once.
/// `root` finds the path of `vitslim_core` where the struct does not give it.
fn derive(node: &DeriveInput, root: impl Fn() -> Result<Path, Error>) -> TokenStream {
    let mut errors = Vec::new();
    let Some(input) = ast::Input::from_syn(node, &mut errors) else {
        return told(&errors);
    };
    let names = axis::Names::of(&input);
    valid::check(&input, &names, &mut errors);
    let root = match input.root.clone().map_or_else(root, Ok) {
        Ok(root) => root,
        Err(error) => {
            errors.push(error);
            return told(&errors);
        }
    };
    if errors.is_empty() {
        return expand::implementation(&input, &names, &root);
    }
    let mut written = told(&errors);
    // A struct with a lifetime is no Burn module either.
    if node.generics.lifetimes().next().is_none() {
        written.extend(expand::stand_in(node, &root));
    }
    written
}

fn told(errors: &[Error]) -> TokenStream {
    errors.iter().map(Error::to_compile_error).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;
    use syn::parse_quote;

    /// What is written for a crate that finds vitslim under its own name.
    fn derived(node: DeriveInput) -> TokenStream {
        derive(&node, || Ok(parse_quote!(::vitslim_core)))
    }

    /// Code without its spans and spaces.
    fn item(code: TokenStream) -> syn::Item {
        syn::parse2(code).expect("an item")
    }

    #[test]
    fn code_of_a_flat_dimension() {
        let written = derived(parse_quote! {
            struct Mlp {
                #[slim(output = [hidden])]
                fc1: Linear,
                act: Gelu,
                #[slim(input = [hidden], gate)]
                fc2: Linear,
            }
        });
        let expected = quote! {
            #[automatically_derived]
            #[diagnostic::do_not_recommend]
            impl ::vitslim_core::slim::Slimmable for Mlp {
                fn map_dimensions<M: ::vitslim_core::slim::DimensionMapper>(self, mapper: &mut M) -> Self {
                    use ::vitslim_core::slim::{Factor, Input, Output};
                    let Self { fc1, act, fc2 } = self;
                    mapper.open::<Self>(&["hidden"]);
                    let fc1 = mapper.axis::<Output, _>("fc1", fc1, Output, &[Factor::Units("hidden")], false);
                    let fc2 = mapper.axis::<Input, _>("fc2", fc2, Input, &[Factor::Units("hidden")], true);
                    mapper.close();
                    Self { fc1, act, fc2 }
                }
            }
        };
        assert_eq!(item(written), item(expected));
    }

    #[test]
    fn layouts_come_first_and_nothing_clashes() {
        let written = derived(parse_quote! {
            struct Block<M: Module, const N: usize> {
                #[cfg(feature = "nested")]
                #[slim]
                r#type: Nested<M>,
                #[slim(tokens)]
                tokens: TokenGate,
                #[slim(axis(1) = [copies, heads, head_dim, N], gate)]
                pos: Param<Tensor<N>>,
                #[slim(layout = [heads, head_dim])]
                heads: HeadLayout,
                copies: usize,
            }
        });
        let expected = quote! {
            #[automatically_derived]
            impl<M: Module, const N: usize> ::vitslim_core::slim::Slimmable for Block<M, N>
            where
                Block<M, N>: ::vitslim_core::prelude::Module,
                Nested<M>: ::vitslim_core::slim::Slimmable,
                Param<Tensor<N>>: ::vitslim_core::slim::HasAxis<::vitslim_core::slim::Axis::<1>>
            {
                fn map_dimensions<MM: ::vitslim_core::slim::DimensionMapper>(self, mapper: &mut MM) -> Self {
                    use ::vitslim_core::slim::{Axis, Factor, Slimmable};
                    let Self { #[cfg(feature = "nested")] r#type, tokens, pos, heads, copies } = self;
                    mapper.open::<Self>(&["head_dim"]);
                    let heads = mapper.layout("heads", "head_dim", heads);
                    #[cfg(feature = "nested")]
                    mapper.enter("type");
                    #[cfg(feature = "nested")]
                    let r#type = Slimmable::map_dimensions(r#type, mapper);
                    #[cfg(feature = "nested")]
                    mapper.exit();
                    let tokens = mapper.tokens("tokens", tokens);
                    let pos = mapper.axis::<Axis::<1>, _>(
                        "pos",
                        pos,
                        Axis::<1>,
                        &[
                            Factor::Count(copies),
                            Factor::Groups("heads"),
                            Factor::Units("head_dim"),
                            Factor::Count(N)
                        ],
                        true
                    );
                    mapper.close();
                    Self { #[cfg(feature = "nested")] r#type, tokens, pos, heads, copies }
                }
            }
        };
        assert_eq!(item(written), item(expected));
    }

    #[test]
    fn the_path_of_vitslim_is_that_of_the_manifest_or_the_given_one() {
        let found = derive(
            &parse_quote!(
                struct A {
                    #[slim]
                    b: B,
                }
            ),
            || Ok(parse_quote!(::vs)),
        );
        let given = derived(parse_quote!(
            #[slim(crate = facade::vitslim)]
            struct A<B> {
                #[slim]
                b: B,
            }
        ));
        for (written, root) in [(found, ":: vs"), (given, "facade :: vitslim")] {
            let written = written.to_string();
            assert!(!written.contains("vitslim_core"), "{written}");
            for item in ["slim :: Slimmable for A", "slim :: DimensionMapper >", "slim :: Slimmable ;"] {
                assert!(written.contains(&format!("{root} :: {item}")), "{root} :: {item} in {written}");
            }
        }
    }

    #[test]
    fn an_axis_of_groups_alone() {
        let attention = |axis: TokenStream| {
            let written = derived(parse_quote! {
                struct Attention {
                    #[slim(output = [heads, head_dim], gate)]
                    v: Linear,
                    #[slim(axis(1) = #axis)]
                    bias: Param<Tensor<2>>,
                    #[slim(layout = [heads, head_dim])]
                    heads: HeadLayout,
                    #[slim(input = [heads, head_dim])]
                    proj: Linear,
                }
            });
            written.to_string()
        };
        let factor = quote!(&[Factor::Groups("heads")], false).to_string();
        let written = attention(quote!([heads]));
        assert!(written.contains(&factor) && !written.contains("compile_error"), "{written}");
        let gated = attention(quote!([heads], gate));
        assert!(gated.contains("are only the groups of `head_dim`, and masks multiply units"), "{gated}");
    }

    #[test]
    fn code_of_how_training_treats_parameters() {
        let written = derived(parse_quote! {
            struct Bias {
                #[cfg(feature = "table")]
                #[slim(norm, layer = last)]
                r#type: Param<Tensor<2>>,
            }
        });
        let expected = quote! {
            #[automatically_derived]
            #[diagnostic::do_not_recommend]
            impl ::vitslim_core::slim::Slimmable for Bias {
                fn map_dimensions<M: ::vitslim_core::slim::DimensionMapper>(self, mapper: &mut M) -> Self {
                    use ::vitslim_core::slim::Treatment;
                    let Self { #[cfg(feature = "table")] r#type } = self;
                    mapper.open::<Self>(&[]);
                    #[cfg(feature = "table")]
                    mapper.treat("type", &[Treatment::Norm, Treatment::LastLayer]);
                    mapper.close();
                    Self { #[cfg(feature = "table")] r#type }
                }
            }
        };
        assert_eq!(item(written), item(expected));
    }

    #[test]
    fn a_broken_struct_still_implements_the_trait() {
        let written = derived(parse_quote! {
            struct Broken { #[slim(unknown)] fc1: Linear }
        });
        let written = written.to_string();
        assert!(written.contains("compile_error"), "{written}");
        assert!(written.contains("impl :: vitslim_core :: slim :: Slimmable for Broken"), "{written}");
    }
}
