//! Self-attention on tokens of the form `[q | k | v]`, where each of the three has the features of all heads in order. Heads
//! may have any size, and several queries.

use std::borrow::Cow;

use super::parts::{computed_with, part};
use super::product::{Matrix, Output, Write, product};
use super::vector::{LANES, exp, largest, sum, sum2, vectorised};
use super::{Attention, Heads};

/// The values that attention is computed from.
#[derive(Clone, Copy)]
pub(super) struct Inputs<'a> {
    /// `[batch, tokens, width]`
    pub(super) qkv: &'a [f32],
    /// Number of tokens of an image.
    pub(super) tokens: usize,
    pub(super) bias: Option<Bias<'a>>,
    /// What is added to the scores of each window of an image beside the bias, `[windows, tokens, tokens]`.
    pub(super) mask: Option<&'a [f32]>,
    /// How often each key counts, `[batch, tokens]`.
    pub(super) sizes: Option<&'a [f32]>,
}

/// What is added to the scaled scores, `[n, heads, tokens, tokens]`: to those of window `w`, counted through all images, `bias[w % n]`.
#[derive(Clone, Copy)]
pub(super) struct Bias<'a> {
    pub(super) values: &'a [f32],
    /// As many as there are, or one for all.
    pub(super) heads: usize,
}

/// The queries of one head: where their features start, and where they go.
struct Query {
    q: usize,
    k: usize,
    v: usize,
    output: usize,
    /// Features of a query and of a key.
    qk: usize,
    /// Features of a value.
    dims: usize,
    /// Number of the head of the bias.
    number: usize,
    /// Whether others before it have the same keys and values.
    shares: bool,
}

/// The queries of all heads that have values.
fn queries(heads: &Heads) -> Vec<Query> {
    let all_qk: usize = heads.qk.iter().sum();
    let (mut q, mut k, mut v) = (0, heads.queries * all_qk, (heads.queries + 1) * all_qk);
    let (mut output, mut number, mut all) = (0, 0, Vec::new());
    for (&qk, &dims) in heads.qk.iter().zip(&heads.v) {
        for query in 0..heads.queries {
            if dims > 0 {
                all.push(Query { q, k, v, output, qk, dims, number, shares: query > 0 });
            }
            (q, output, number) = (q + qk, output + dims, number + 1);
        }
        (k, v) = (k + qk, v + dims);
    }
    all
}

/// Scores of a query, `[tokens, tokens]`. Rows are padded to whole vectors, so that no values are left for slower instructions.
struct Scores {
    values: Vec<f32>,
    tokens: usize,
    row_stride: usize,
}

impl Scores {
    fn new(tokens: usize) -> Self {
        let row_stride = tokens.next_multiple_of(LANES);
        Self { values: vec![0.0; tokens * row_stride], tokens, row_stride }
    }

    /// Replaces the scores by `a * b`, and the padding by `filling`.
    fn multiply(&mut self, a: Matrix, b: Matrix, filling: f32, parallel: bool) {
        if a.columns == 0 {
            self.values.fill(0.0);
        }
        let all = Output { values: &mut self.values, row_stride: self.row_stride, first: 0 };
        product(all, a, b, Write::Replace, parallel);
        for row in self.values.chunks_exact_mut(self.row_stride) {
            row[self.tokens..].fill(filling);
        }
    }

    fn rows(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.values.chunks_exact_mut(self.row_stride)
    }

    fn matrix(&self) -> Matrix<'_> {
        Matrix::row_major(&self.values, self.row_stride).select_columns(0, self.tokens)
    }
}

/// Attention whose sizes are known.
struct Plan<'a> {
    inputs: Inputs<'a>,
    queries: Vec<Query>,
    scale: f32,
    /// Features of a token, and of one of the output.
    widths: [usize; 2],
    /// The tokens of an image, window by window, if there are windows.
    places: Option<Vec<usize>>,
    /// Tokens of a window.
    tokens: usize,
    /// Whether there are too few images and windows to give each thread one.
    parallel: bool,
}

/// The tokens that attend to one another.
struct Window<'a> {
    /// `[tokens, width]`
    qkv: Cow<'a, [f32]>,
    bias: Option<Bias<'a>>,
    mask: Option<&'a [f32]>,
    sizes: Option<&'a [f32]>,
}

impl<'a> Plan<'a> {
    fn new(inputs: Inputs<'a>, attention: &Attention) -> Self {
        // A window that is the image as it lies is none.
        let windows = attention.windows.filter(|windows| (windows.size, windows.shift) != (windows.side, 0));
        let places = windows.map(super::Windows::places);
        let tokens = attention.windows.map_or(inputs.tokens, |windows| windows.size.pow(2));
        let widths = [attention.heads.input(), attention.heads.output()];
        let windows = inputs.qkv.len() / (widths[0] * tokens);
        let parallel = windows < rayon::current_num_threads();
        let scale = attention.scale as f32;
        Self { inputs, queries: queries(&attention.heads), scale, widths, places, tokens, parallel }
    }

    /// Windows of an image.
    fn windows(&self) -> usize {
        self.inputs.tokens / self.tokens
    }

    /// The rows of `image`, `[tokens, width]`, that are in a window.
    fn gathered<'v>(&self, image: &'v [f32], width: usize, window: usize) -> Cow<'v, [f32]> {
        let Some(places) = &self.places else { return Cow::Borrowed(image) };
        let places = &places[window * self.tokens..][..self.tokens];
        Cow::Owned(places.iter().map(|place| part(image, width, *place)).collect::<Vec<_>>().concat())
    }

    /// Puts `rows`, window by window, where they are in the image.
    fn scatter(&self, rows: &[f32], width: usize, image: &mut [f32]) {
        for (place, row) in self.places.iter().flatten().zip(rows.chunks_exact(width)) {
            image[place * width..][..width].copy_from_slice(row);
        }
    }

    fn window(&self, [image, window]: [usize; 2]) -> Window<'a> {
        let Inputs { qkv, tokens, bias, mask, sizes } = self.inputs;
        let scores = self.tokens * self.tokens;
        let bias = bias.map(|Bias { values, heads }| {
            let of_window = heads * scores;
            let number = (image * self.windows() + window) % (values.len() / of_window);
            Bias { values: part(values, of_window, number), heads }
        });
        Window {
            qkv: self.gathered(part(qkv, tokens * self.widths[0], image), self.widths[0], window),
            bias,
            mask: mask.map(|mask| part(mask, scores, window)),
            sizes: sizes.map(|sizes| part(sizes, tokens, image)),
        }
    }

    /// Values of `width` for each token, from what `compute` writes for the tokens of each window of an image; and what it returns, which is
    /// added to the gradient of the bias: of one window after the other, added up by image as far as that goes.
    fn by_window<S>(
        &self,
        width: usize,
        scratch: impl Fn() -> S + Send + Sync,
        compute: impl Fn(&mut S, [usize; 2], &mut [f32]) -> Vec<f32> + Sync,
    ) -> (Vec<f32>, Vec<Vec<f32>>) {
        let (of_image, of_window) = (self.inputs.tokens * width, self.tokens * width);
        let size = self.inputs.qkv.len() / self.widths[0] * width;
        if self.places.is_none() {
            return computed_with(size, of_image, scratch, |scratch, image, output| {
                let output = output.cleared();
                let given = compute(scratch, [image, 0], output);
                (output, given)
            });
        }
        let of_bias = self.inputs.bias.map_or(0, |bias| bias.values.len());
        computed_with(
            size,
            of_image,
            || (),
            |(), image, output| {
                let (rows, given) =
                    computed_with(of_image, of_window, &scratch, |scratch, window, output| {
                        let output = output.cleared();
                        let given = compute(scratch, [image, window], output);
                        (output, given)
                    });
                let output = output.cleared();
                self.scatter(&rows, width, output);
                let all = given.iter().map(Vec::len).sum::<usize>();
                // If the windows of an image go through the whole bias, those of each begin with the same.
                let size = if all.is_multiple_of(of_bias) { all.min(of_bias) } else { all };
                (output, added(&given, size))
            },
        )
    }

    /// Softmax of the scores of a query.
    fn attend(&self, query: &Query, window: &Window, scores: &mut Scores) {
        let Window { qkv, bias, mask, sizes } = window;
        let qkv = Matrix::row_major(qkv, self.widths[0]);
        let (q, k) = (qkv.select_columns(query.q, query.qk), qkv.select_columns(query.k, query.qk));
        scores.multiply(q, k.transposed(), f32::NEG_INFINITY, self.parallel);
        let (tokens, scale) = (self.tokens, self.scale);
        let bias = bias.map(|bias| part(bias.values, tokens * tokens, query.number % bias.heads));
        vectorised(
            #[inline(always)]
            || {
                for (number, row) in scores.rows().enumerate() {
                    let added = [bias, *mask].map(|added| added.map(|added| part(added, tokens, number)));
                    match added {
                        [None, None] => softmax(row, *sizes, scale),
                        _ => {
                            for score in row.iter_mut() {
                                *score *= scale;
                            }
                            for added in added.into_iter().flatten() {
                                for (score, added) in row.iter_mut().zip(added) {
                                    *score += added;
                                }
                            }
                            softmax(row, *sizes, 1.0);
                        }
                    }
                }
            },
        );
    }
}

/// The output, `[batch, tokens, features]`.
pub(super) fn forward(inputs: Inputs, attention: &Attention) -> Vec<f32> {
    let plan = Plan::new(inputs, attention);
    let [width, of_output] = plan.widths;
    let scratch = || Scores::new(plan.tokens);
    let (output, _) = plan.by_window(of_output, scratch, |scores, place, output| {
        let window = plan.window(place);
        for query in &plan.queries {
            plan.attend(query, &window, scores);
            let v = Matrix::row_major(&window.qkv, width).select_columns(query.v, query.dims);
            let all = Output { values: &mut *output, row_stride: of_output, first: query.output };
            product(all, scores.matrix(), v, Write::Replace, plan.parallel);
        }
        Vec::new()
    });
    output
}

/// Gradients of `qkv` and, if `of_bias`, of the bias, from that of the output. The scores are computed again, since keeping them costs more memory
/// than this costs time.
pub(super) fn backward(
    inputs: Inputs,
    gradient: &[f32],
    attention: &Attention,
    of_bias: bool,
) -> (Vec<f32>, Option<Vec<f32>>) {
    let plan = Plan::new(inputs, attention);
    let [width, of_output] = plan.widths;
    let scratch = || [Scores::new(plan.tokens), Scores::new(plan.tokens)];
    let (of_qkv, sums) = plan.by_window(width, scratch, |[scores, of_scores], place, of_qkv| {
        let window = plan.window(place);
        let gradient = part(gradient, inputs.tokens * of_output, place[0]);
        let gradient = plan.gathered(gradient, of_output, place[1]);
        let (qkv, gradient) =
            (Matrix::row_major(&window.qkv, width), Matrix::row_major(&gradient, of_output));
        let bias = window.bias.filter(|_| of_bias);
        let mut sum = vec![0.0; bias.map_or(0, |bias| bias.values.len())];
        for query in &plan.queries {
            let gradient = gradient.select_columns(query.output, query.dims);
            plan.attend(query, &window, scores);
            of_scores.multiply(
                gradient,
                qkv.select_columns(query.v, query.dims).transposed(),
                0.0,
                plan.parallel,
            );
            let of_bias = bias.map(|bias| {
                let size = plan.tokens * plan.tokens;
                &mut sum[query.number % bias.heads * size..][..size]
            });
            vectorised(
                #[inline(always)]
                || softmax_backward(of_scores, scores, of_bias, plan.scale),
            );
            let (scores, of_scores) = (scores.matrix(), of_scores.matrix());
            let mut write = |first: usize, a: Matrix, b: Matrix, write: Write| {
                let part = Output { values: &mut *of_qkv, row_stride: width, first };
                product(part, a, b, write, plan.parallel);
            };
            let shared = if query.shares { Write::Add } else { Write::Replace };
            write(query.q, of_scores, qkv.select_columns(query.k, query.qk), Write::Replace);
            write(query.k, of_scores.transposed(), qkv.select_columns(query.q, query.qk), shared);
            write(query.v, scores.transposed(), gradient, shared);
        }
        sum
    });
    (of_qkv, inputs.bias.filter(|_| of_bias).map(|bias| added(&sums, bias.values.len())))
}

/// The sum of `parts`, each behind the one before, and from `size` values on again from the first.
fn added(parts: &[Vec<f32>], size: usize) -> Vec<f32> {
    let (mut sums, mut first) = (vec![0.0; size], 0);
    for part in parts.iter().filter(|part| !part.is_empty()) {
        for (sum, value) in sums[first..].iter_mut().zip(part) {
            *sum += value;
        }
        first = (first + part.len()) % size;
    }
    sums
}

/// Replaces a row of scores by the softmax of them, scaled, each as often as its size says.
#[inline(always)]
fn softmax(row: &mut [f32], sizes: Option<&[f32]>, scale: f32) {
    let most = largest(row);
    for score in row.iter_mut() {
        *score = exp((*score - most) * scale);
    }
    for (score, size) in row.iter_mut().zip(sizes.unwrap_or_default()) {
        *score *= size;
    }
    let factor = 1.0 / sum(row, |value| value);
    for score in row.iter_mut() {
        *score *= factor;
    }
}

/// Replaces the gradients of what left the softmax by those of the scores before scaling, and adds those after it to `of_bias`.
#[inline(always)]
fn softmax_backward(
    gradients: &mut Scores,
    scores: &mut Scores,
    mut of_bias: Option<&mut [f32]>,
    scale: f32,
) {
    let tokens = scores.tokens;
    for (number, (gradient, softmax)) in gradients.rows().zip(scores.rows()).enumerate() {
        let mean = sum2(gradient, softmax, |a, b| a * b);
        if let Some(of_bias) = &mut of_bias {
            let of_bias = &mut of_bias[number * tokens..][..tokens];
            for ((sum, gradient), &softmax) in of_bias.iter_mut().zip(&*gradient).zip(&*softmax) {
                *sum += softmax * (gradient - mean);
            }
        }
        for (gradient, &softmax) in gradient.iter_mut().zip(&*softmax) {
            *gradient = softmax * (*gradient - mean) * scale;
        }
    }
}
