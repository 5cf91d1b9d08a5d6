//! The code that the derive writes.

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
                let heads = mapper.layout("heads", &[("head_dim", 1)], heads);
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

/// What is written for the axis `input = ...` of a struct whose `width` and `other` are dimensions, and `copies` a count.
fn written_for(axis: TokenStream) -> String {
    let written = derived(parse_quote! {
        #[slim(outer = [width, other])]
        struct Head {
            #[slim(input = #axis)]
            fc: Linear,
            #[slim(output = [width])]
            norm: LayerNorm,
            #[slim(output = [other])]
            other_norm: LayerNorm,
            copies: usize,
        }
    });
    written.to_string()
}

#[test]
fn code_of_sums() {
    let (width, other) = (quote!(Factor::Units("width")), quote!(Factor::Units("other")));
    for (axis, factors) in [
        (quote!([width + other]), quote!(Factor::Sum(&[&[#width], &[#other]]))),
        (quote!([width + 4, 2]), quote!(Factor::Sum(&[&[#width], &[Factor::Count(4)]]), Factor::Count(2))),
        (
            quote!([(copies, width) + width]),
            quote!(Factor::Sum(&[&[Factor::Count(copies), #width], &[#width]])),
        ),
        (
            quote!([width + (2, other + 1)]),
            quote!(Factor::Sum(&[
                &[#width],
                &[Factor::Count(2), Factor::Sum(&[&[#other], &[Factor::Count(1)]])]
            ])),
        ),
        (quote!([(3, width)]), quote!(Factor::Count(3), #width)),
    ] {
        let written = written_for(axis);
        let call = quote!(&[#factors], false).to_string();
        assert!(written.contains(&call) && !written.contains("compile_error"), "{call} in {written}");
    }
}

#[test]
fn what_is_wrong_with_a_sum_is_told() {
    for (axis, told) in [
        (quote!([width+]), "a `+` stands between what lies side by side"),
        (quote!([width + ()]), "nothing stands in these parentheses"),
        (quote!([width + [other]]), "a factor is a name, a whole number, or what lies side by side"),
        (quote!([3 + copies]), "an axis needs a dimension"),
        (quote!([3 + 4]), "this one has only numbers"),
        (quote!([width, other + 4, width]), "use two layers and add what they compute"),
    ] {
        let written = written_for(axis);
        assert!(written.contains(told), "{told} in {written}");
    }
}

#[test]
fn code_of_layouts_with_counts_and_two_dimensions() {
    let layout = |layout: TokenStream, used: &[TokenStream]| {
        let written = derived(parse_quote! {
            struct Attention {
                #(#[slim(output = [heads, #used], gate)] r#in: Linear,)*
                #[slim(layout = #layout)]
                heads: HeadLayout,
                #[slim(input = [heads, v])]
                proj: Linear,
            }
        });
        written.to_string()
    };
    for (written, dimensions) in [
        (layout(quote!([heads, v]), &[quote!(3, v)]), quote!(("v", 1))),
        (layout(quote!([heads, 2, v, 3]), &[quote!(2, v, 3)]), quote!(("v", 6))),
        (layout(quote!([heads, qk, v]), &[quote!(qk + qk + v)]), quote!(("qk", 1), ("v", 1))),
        (layout(quote!([heads, (2, qk), v]), &[quote!((2, qk) + v)]), quote!(("qk", 2), ("v", 1))),
    ] {
        let call = quote!("heads", &[#dimensions], heads).to_string();
        assert!(written.contains(&call) && !written.contains("compile_error"), "{call} in {written}");
    }
}

#[test]
fn a_contracted_dimension_needs_no_reader() {
    let written = |contracted: TokenStream, gate: TokenStream| {
        let written = derived(parse_quote! {
            #contracted
            struct Scores {
                #[slim(output = [qk] #gate)]
                q: Linear,
                #[slim(output = [qk])]
                k: Linear,
            }
        });
        written.to_string()
    };
    let contracted = || quote!(#[slim(contracted = [qk])]);
    assert!(!written(contracted(), quote!(, gate)).contains("compile_error"));
    assert!(written(quote!(), quote!(, gate)).contains("nothing in this struct reads it"));
    assert!(written(contracted(), quote!()).contains("write `gate` after its axis on `q` or `k`"));
    assert!(written(quote!(#[slim(contracted = [q])]), quote!(, gate)).contains("has a dimension `q`"));
}

#[test]
fn code_of_what_is_lent_and_of_lists() {
    let written = derived(parse_quote! {
        #[slim(outer = [width], own = [inner])]
        struct Stages {
            #[slim(dim = stages.last.width, r#in = width)]
            first: Block,
            #[slim(former = before.width or width)]
            stages: Vec<Stage>,
            #[slim(0(output = [stages.first.width], gate))]
            norms: Option<(LayerNorm, Gelu)>,
            #[slim(input = [inner])]
            heads: [Linear; 2],
        }
    });
    let expected = quote! {
        #[automatically_derived]
        #[diagnostic::do_not_recommend]
        impl ::vitslim_core::slim::Slimmable for Stages {
            fn map_dimensions<M: ::vitslim_core::slim::DimensionMapper>(self, mapper: &mut M) -> Self {
                use ::vitslim_core::slim::{Factor, Input, Lent, Output, Several, Slimmable};
                let Self { first, stages, norms, heads } = self;
                mapper.open::<Self>(&["inner"]);
                mapper.inside("stages.first.width", "stages.0.width");
                mapper.inside(
                    "stages.last.width",
                    &::std::format!("stages.{}.width", stages.len().saturating_sub(1))
                );
                mapper.lend_as("first", &[("dim", Lent::Name("stages.last.width")), ("in", Lent::Name("width"))]);
                mapper.enter("first");
                let first = Slimmable::map_dimensions(first, mapper);
                mapper.exit();
                mapper.close();
                mapper.lend_as("stages", &[(
                    "former",
                    Lent::Before("width", ::std::option::Option::Some("width"))
                )]);
                mapper.enter("stages");
                let stages = Slimmable::map_dimensions(stages, mapper);
                mapper.exit();
                mapper.close();
                let norms = norms.map(|norms| {
                    mapper.enter("norms");
                    let (part0, part1,) = norms;
                    let part0 = {
                        let part0 = mapper.axis::<Output, _>(
                            "0",
                            part0,
                            Output,
                            &[Factor::Units("stages.first.width")],
                            true
                        );
                        part0
                    };
                    mapper.exit();
                    (part0, part1,)
                });
                let heads = {
                    mapper.enter("heads");
                    let heads = Several::each(heads, |index, heads| {
                        let heads = mapper.axis::<Input, _>(
                            index,
                            heads,
                            Input,
                            &[Factor::Units("inner")],
                            false
                        );
                        heads
                    });
                    mapper.exit();
                    heads
                };
                mapper.close();
                Self { first, stages, norms, heads }
            }
        }
    };
    assert_eq!(item(written), item(expected));
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

#[test]
fn a_count_in_a_layout_is_a_number() {
    let written = derived(parse_quote! {
        struct Rotary {
            #[slim(output = [heads, pairs, rot], gate)]
            qkv: Linear,
            #[slim(layout = [heads, pairs, rot])]
            layout: HeadLayout,
            #[slim(input = [heads, pairs, rot])]
            proj: Linear,
            pairs: usize,
        }
    });
    let written = written.to_string();
    assert_eq!(written.matches("compile_error").count(), 1, "{written}");
    assert!(written.contains("a count in a layout is a number: write `[heads, 2, rot]`"), "{written}");
}

#[test]
fn a_dimension_beside_units_is_none_of_their_layout() {
    let told = |axis: TokenStream| {
        let written = derived(parse_quote! {
            struct Attention {
                #[slim(output = [width], gate)]
                embed: Linear,
                #[slim(output = [heads, head_dim], gate)]
                qkv: Linear,
                #[slim(layout = [heads, head_dim])]
                heads: HeadLayout,
                #[slim(input = #axis)]
                proj: Linear,
            }
        });
        written.to_string()
    };
    assert!(told(quote!([heads, width])).contains("or lay out both"));
    let told = told(quote!([heads, head_dim + width]));
    assert!(told.contains("use two layers") && !told.contains("lay out both"), "{told}");
}

#[test]
fn gates_of_branches_come_first_and_their_fields_are_handed_on() {
    let written = derived(parse_quote! {
        struct Block {
            norm: LayerNorm,
            #[slim(end)]
            fc: Option<Linear>,
            #[slim(axis(0) = [hidden], gate, end)]
            scale: Param<Tensor<1>>,
            #[slim(axis(0) = [hidden])]
            other: Param<Tensor<1>>,
            #[slim(branch = [norm, fc, scale])]
            branch: BranchGate,
        }
    });
    let expected = quote! {
        #[automatically_derived]
        #[diagnostic::do_not_recommend]
        impl ::vitslim_core::slim::Slimmable for Block {
            fn map_dimensions<M: ::vitslim_core::slim::DimensionMapper>(self, mapper: &mut M) -> Self {
                use ::vitslim_core::slim::{Axis, Factor, Output};
                let Self { norm, fc, scale, other, branch } = self;
                mapper.open::<Self>(&["hidden"]);
                let branch = mapper.branch("branch", &["norm", "fc", "scale"], branch);
                let norm = mapper.part("norm", norm);
                let fc = fc.map(|fc| {
                    let fc = mapper.end::<Output, _>("fc", fc, Output);
                    fc
                });
                let fc = mapper.part("fc", fc);
                let scale =
                    mapper.axis::<Axis::<0>, _>("scale", scale, Axis::<0>, &[Factor::Units("hidden")], true);
                let scale = mapper.end::<Axis::<0>, _>("scale", scale, Axis::<0>);
                let scale = mapper.part("scale", scale);
                let other =
                    mapper.axis::<Axis::<0>, _>("other", other, Axis::<0>, &[Factor::Units("hidden")], false);
                mapper.close();
                Self { norm, fc, scale, other, branch }
            }
        }
    };
    assert_eq!(item(written), item(expected));
}
