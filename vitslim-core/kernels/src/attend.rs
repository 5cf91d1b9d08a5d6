//! Which attention is computed: of which heads, and in which windows.

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use super::{Kernels, Optional, is_fused};

/// How the features of tokens `[q | k | v]` split into heads.
#[derive(Clone, Debug)]
pub struct Heads {
    /// Features of the queries and keys of each head.
    pub qk: Vec<usize>,
    /// Features of the values of each head.
    pub v: Vec<usize>,
    /// Queries for each head of keys and values.
    pub queries: usize,
}

impl Heads {
    /// Features of a token.
    pub(crate) fn input(&self) -> usize {
        (self.queries + 1) * self.qk.iter().sum::<usize>() + self.v.iter().sum::<usize>()
    }

    /// Features of a token of the output.
    pub(crate) fn output(&self) -> usize {
        self.queries * self.v.iter().sum::<usize>()
    }
}

/// Square windows that fill a square image.
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    /// Tokens along each side of the image.
    pub side: usize,
    /// Tokens along each side of a window.
    pub size: usize,
    /// Tokens by which the windows are shifted down and to the right, wrapping around at the edges of the image.
    pub shift: usize,
}

impl Windows {
    /// The token at each place of each window.
    pub(crate) fn places(self) -> Vec<usize> {
        let Self { side, size, shift } = self;
        let line = |window: usize, place: usize| (window * size + place + shift) % side;
        let (windows, places) = ((side / size).pow(2), size * size);
        let along = side / size;
        let token = |window: usize, place: usize| {
            line(window / along, place / size) * side + line(window % along, place % size)
        };
        (0..windows).flat_map(|window| (0..places).map(move |place| token(window, place))).collect()
    }
}

/// An attention.
#[derive(Clone, Debug)]
pub struct Attention {
    /// The heads, at least one of which has values.
    pub heads: Heads,
    /// What scores are multiplied by, above 0.
    pub scale: f64,
    /// The windows that tokens attend in, if they do not attend to all of an image.
    pub windows: Option<Windows>,
}

/// Attention of tokens to one another: `qkv` is `[batch, tokens, (queries + 1) * qk + v]`, the output `[batch, tokens, queries * v]`.
///
/// - `bias`, `[n, heads * queries, patches, patches]` or `[n, 1, patches, patches]`, is added to the scaled scores, `bias[w % n]` to
///   those of window `w`, counted through all images. Without windows, an image is one.
/// - `mask`, `[windows, patches, patches]`, is added too, and gets no gradient.
/// - A key counts as often in the softmax as its size among `sizes`, `[batch, tokens]`, says, to which no gradient flows.
///
/// `None` if there is no fused operation for `qkv`.
pub fn attention(
    qkv: &Tensor<3>,
    bias: Option<&Tensor<4>>,
    mask: Option<&Tensor<3>>,
    sizes: Option<&Tensor<2>>,
    attention: &Attention,
) -> Option<Tensor<3>> {
    let Attention { heads, scale, windows } = attention;
    (is_fused(qkv) && *scale > 0.0 && heads.output() > 0).then(|| {
        let [batch, tokens, width] = qkv.dims();
        assert_eq!(width, heads.input(), "attention: the heads do not fit the input");
        let fits = windows.is_none_or(|Windows { side, size, .. }| {
            size > 0 && side.is_multiple_of(size) && side.checked_mul(side) == Some(tokens)
        });
        assert!(fits, "attention: the windows do not fill the input");
        let patches = windows.map_or(tokens, |windows| windows.size.pow(2));
        let of_image = tokens / patches;
        if let Some(bias) = bias {
            let [n, of_heads, rows, columns] = bias.dims();
            let all = heads.queries * heads.v.len();
            let fits = [rows, columns] == [patches; 2] && [1, all].contains(&of_heads) && n > 0;
            assert!(
                fits && (batch * of_image).is_multiple_of(n),
                "attention: the bias does not fit the input"
            );
        }
        if let Some(mask) = mask {
            assert_eq!(
                mask.dims(),
                [of_image, patches, patches],
                "attention: the mask does not fit the input"
            );
        }
        if let Some(sizes) = sizes {
            assert_eq!(sizes.dims(), [batch, tokens], "attention: the sizes do not fit the input");
            assert!(windows.is_none(), "attention: tokens in windows have no sizes");
        }
        Tensor::from_dispatch(Dispatch::fused_attention(
            qkv.clone().into_dispatch(),
            Optional::of(bias),
            Optional::of(mask),
            Optional::of(sizes),
            attention.clone(),
        ))
    })
}
