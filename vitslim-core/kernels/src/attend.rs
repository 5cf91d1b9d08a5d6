//! Attention as Burn's tensors have it.

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use super::{Attention, Kernels, Optional, Windows, is_fused};

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
