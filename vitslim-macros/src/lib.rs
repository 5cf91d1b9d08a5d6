//! The derive macro of vitslim. `vitslim_core::slim` exports it beside the trait that it implements.

mod ast;
mod attr;
mod axis;
mod branch;
mod container;
mod expand;
mod lend;
mod name;
mod root;
#[cfg(test)]
mod tests;
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
/// | `layout = [groups, qk, v]` | `HeadLayout` | likewise of two dimensions: that of queries and keys, and that of values |
/// | `tokens` | `TokenGate` | the token positions are a dimension, named like the field |
/// | `branch = [...]` | `BranchGate` | a residual branch is a dimension of one unit, named like the field; only this branch uses these fields |
/// | `end` | a layer or parameter | it computes what the branches around it add, and their masks multiply it |
/// | `norm` | a layer or parameter | it is a norm: `no_decay, no_freeze`, and it produces no dimension |
/// | `no_decay`, `decay` | a layer or parameter | weight decay spares its parameters, or applies to them |
/// | `freeze`, `no_freeze` | a layer or parameter | a search with `freeze: Weights` leaves its parameters as they are, or trains them |
/// | `layer = first`, `layer = last` | a layer or parameter | `layer_decay` counts its parameters to what comes before, or after, all blocks |
/// | a bare `#[slim]` | a type that is `Slimmable`, or a `Vec`, an `Option` or an array of one | the struct goes on in there |
/// | `width = width1` | the same | likewise, and what is `width1` here is `width` there |
///
/// What is annotated like a layer may also be an `Option`, a `Vec`, an array or a tuple of layers, and each of them has the axes.
/// `0(output = [...]), 1(input = [...])` annotates parts of a tuple.
///
/// | On the struct | It says |
/// | --- | --- |
/// | `outer = [...]` | these dimensions are borrowed from an enclosing struct |
/// | `own = [...]` | these are declared here for nested fields: none of the struct's own axes needs to name them |
/// | `contracted = [...]` | no layer reads these, only a product: scores of queries and keys, say |
/// | `none` | there are no dimensions in here |
/// | `crate = path` | `vitslim_core` is found at `path`: only needed where `Cargo.toml` does not name it, under whatever name |
///
/// Several annotations stand in one attribute, separated by commas, or in several. A field is a layer with axes, a
/// layout, a token gate, the gate of a branch or a nested field, and only one of these. `end` goes with the axes of a layer.
///
/// How training treats parameters may be said of a layer without axes too, and of a `Vec`, an `Option`, an array or a tuple
/// of layers; it holds for all parameters in the field. What is not said, training tells by the shapes of the parameters and by
/// the order in which the forward pass uses them. In a nested field, the fields of its own struct say it. To say it of one part of a
/// tuple, give that a struct of its own.
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
/// - any other name, which is a dimension,
/// - a sum of such lists, which lie side by side: `a + b`. A list of several factors stands in parentheses, `a + (2, b)`.
///
/// A name may lead into a nested field, whose struct declares the dimension: `stage1.width`, or of an element of a list
/// `stages.first.width`, `stages.1.width`, `stages.last.width`.
///
/// A list of factors has one dimension. A grouped dimension has two names, its groups and its units, in this order. Numbers may stand
/// before, between and after:
///
/// | Axis | Its features |
/// | --- | --- |
/// | `[3, heads, head_dim]` | queries of all heads, then keys, then values |
/// | `[heads, 3, head_dim]` | for each head its queries, keys and values |
/// | `[kv_heads, 4, head_dim]` | four queries for each head of keys and values |
/// | `[heads, 2, rot]`, `[heads, rot, 2]` | dims that are turned in pairs: the first of all pairs of a head and then the second; or pair by pair |
/// | `[a + b]` | two dimensions side by side, as `Tensor::cat` puts them |
/// | `[width + 4]` | likewise a dimension and four features that stay |
/// | `[width + width]`, the same as `[2, width]` | a class token and the mean of the others |
/// | `[heads, qk + qk + v]` | for each head its queries, keys and values, of two sizes |
/// | `[(heads, qk) + (heads, qk) + (heads, v)]` | the same, with the queries of all heads first |
///
/// `gate` at a sum multiplies each of its terms by its own masks, and what has none by 1. How many features of a sum are of which
/// dimension is told by layouts, and by layers that have one of them alone.
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
/// ## Layouts
///
/// `HeadLayout` has the dims of each head. A number in its annotation says how many of them are one unit: of heads whose dims are turned
/// in pairs, `layout = [heads, 2, rot]`. Queries and keys may have other dims than values:
///
/// ```ignore
/// #[slim(output = [heads, qk + qk + v], gate)]
/// qkv: Linear,
/// #[slim(layout = [heads, qk, v])]
/// heads: HeadLayout,
/// #[slim(input = [heads, v])]
/// proj: Linear,
/// ```
///
/// A head is gone when it has no units of either. `qk` needs no consumer, since the product of queries and keys is: it is
/// *contracted*. So is, by `#[slim(contracted = [qk])]` on the struct, a dimension of a product that the forward pass computes without
/// a `HeadLayout`. A gate on one of the two factors is enough: a product with 0 is 0. Gate what enters the product, behind anything
/// that adds to it.
///
/// ## Dimensions
///
/// The struct *declares* every dimension that it names and does not borrow; in a model its path is that of the struct,
/// `blocks.3.mlp.hidden`. Of structs in one another that declare the same name, each has its own. A declared dimension needs
///
/// - a producer: an `output`,
/// - a consumer: an `input`, cut together with the producer, unless it is contracted,
/// - a gate at any of its axes, or at several, as with separate queries, keys and values.
///
/// The `axis(N)` of a parameter counts as either, and so does a nested field that is lent the dimension by another name. Nested
/// structs that borrow it by its own name are not looked into, so that what they do does not count: if they have what the struct
/// itself lacks, list the dimension in `own`. A norm writes what it reads: where no nested struct could be the producer, it is
/// none either.
///
/// ## Branches
///
/// A residual branch can be cut as a whole, with all that only this branch uses:
///
/// ```ignore
/// #[derive(Module, Debug, Slimmable)]
/// pub struct Mlp {
///     #[slim(output = [hidden])]
///     fc1: Linear,
///     #[slim(input = [hidden], gate, end)]
///     fc2: Linear,
/// }
///
/// #[derive(Module, Debug, Slimmable)]
/// pub struct Block {
///     norm: LayerNorm,
///     #[slim]
///     mlp: Mlp,
///     #[slim(branch = [norm, mlp])]
///     mlp_branch: BranchGate,
/// }
///
/// impl Block {
///     pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
///         self.mlp_branch.add(x, |x| self.mlp.forward(self.norm.forward(x)))
///     }
/// }
/// ```
///
/// The mask of the branch multiplies the layers in its fields that are marked `end`: the last one, or where several add up, each. A
/// factor behind it, such as a LayerScale, needs no mark. `add` or `add_scaled` computes the branch; once it is cut, it returns what the branch would
/// be added to, and the fields have no parameters. A dimension that only layers in the branch carry goes with it. A field may be in several
/// branches: one of attention and one of MLP, and one of both.
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
/// ## Borrowing by another name
///
/// A network with several widths uses one kind of block for all of them. The block borrows `width`, and the network says which
/// of its dimensions that is:
///
/// ```ignore
/// #[derive(Module, Debug, Slimmable)]
/// pub struct TwoWidths {
///     #[slim(output = [width0], gate)]
///     embed: Linear,
///     #[slim(width = width0)]
///     first: Vec<Mlp>,
///     #[slim(input = [width0], output = [width1], gate)]
///     widen: Linear,
///     #[slim(width = width1)]
///     second: Vec<Mlp>,
///     #[slim(input = [width1])]
///     head: Linear,
/// }
/// ```
///
/// Of a grouped dimension, lend both names: `#[slim(heads = heads1, head_dim = head_dim1)]`. A struct may lend on what it borrows.
/// All other names stand for what they stand for outside.
///
/// In a list, the struct of the elements declares the width, and each element may borrow from the one before it:
///
/// ```ignore
/// #[derive(Module, Debug, Slimmable)]
/// #[slim(outer = [former], own = [width])]
/// pub struct Stage {
///     #[slim(input = [former], output = [width], gate)]
///     widen: Linear,
///     #[slim]
///     blocks: Vec<Mlp>,
/// }
///
/// #[derive(Module, Debug, Slimmable)]
/// pub struct Stages {
///     #[slim(output = [width], gate)]
///     embed: Linear,
///     #[slim(former = before.width or width)]
///     stages: Vec<Stage>,
///     #[slim(input = [stages.last.width])]
///     head: Linear,
/// }
/// ```
///
/// `before.width` is the `width` of the element before. The first has none before it: there, `former` is what stands after `or`;
/// without that it is borrowed and not declared. A name that leads into a field leads to a dimension that the struct in there
/// declares. The derive does not look into it; `vitslim check`, and whatever slims, does. A grouped dimension can be borrowed like
/// this only behind the field that declares it.
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
