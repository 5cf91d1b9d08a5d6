//! Attention of every kind.

use super::*;

/// Heads of any size, also 0.
#[test]
fn attention_over_ragged_heads() {
    attends(&Case::default());
}

#[test]
fn attention_where_keys_count_more_than_once() {
    let sizes = [1.0, 3.0, 1.0, 2.0, 7.0, 1.0, 1.5, 4.0, 1.0, 1.0, 2.0, 9.0, 1.0, 5.0, 1.0, 2.0, 3.0, 1.0];
    attends(&Case { sizes: Some(sizes), ..Case::default() });
}

/// One bias for all, one for each image, one for all heads.
#[test]
fn attention_with_a_bias() {
    for (n, of_heads) in [(1, 4), (2, 4), (1, 1)] {
        attends(&Case { bias: Some([n, of_heads]), ..Case::default() });
    }
}

/// Queries and keys of other sizes than values, also 0, and several queries for each.
#[test]
fn attention_of_grouped_queries() {
    let heads = Heads { qk: vec![2, 0, 5, 1], v: vec![3, 2, 0, 1], queries: 2 };
    attends(&Case { heads: heads.clone(), ..Case::default() });
    attends(&Case { heads, bias: Some([1, 8]), ..Case::default() });
}

/// Windows of 3 x 3 in images of 3 x 3, and of 2 x 2 in images of 4 x 4, shifted or not; with a bias for all of them, and one for each.
#[test]
fn attention_in_windows() {
    let heads = Heads { qk: vec![3, 2], v: vec![3, 2], queries: 1 };
    for (side, size, shift, n) in [(3, 3, 0, 1), (4, 2, 0, 1), (4, 2, 1, 1), (4, 2, 1, 4), (4, 2, 0, 8)] {
        for masked in [false, true] {
            let windows = Some(Windows { side, size, shift });
            attends(&Case { heads: heads.clone(), windows, bias: Some([n, 2]), masked, ..Case::default() });
        }
    }
}

struct Case {
    heads: Heads,
    windows: Option<Windows>,
    bias: Option<[usize; 2]>,
    masked: bool,
    sizes: Option<[f64; 18]>,
}

impl Default for Case {
    fn default() -> Self {
        let heads = Heads { qk: vec![17, 0, 3, 1], v: vec![17, 0, 3, 1], queries: 1 };
        Self { heads, windows: None, bias: None, masked: false, sizes: None }
    }
}

/// Checks attention on two images, of nine tokens if there are no windows.
fn attends(case: &Case) {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let (batch, scale) = (2, 0.4);
    let tokens = case.windows.map_or(9, |windows| windows.side * windows.side);
    let patches = case.windows.map_or(tokens, |windows| windows.size * windows.size);
    let (windows, heads) = (tokens / patches, &case.heads);
    let [all_qk, all_v] = [&heads.qk, &heads.v].map(|sizes| sizes.iter().sum::<usize>());
    let (width, of_output) = ((heads.queries + 1) * all_qk + all_v, heads.queries * all_v);
    let [n, of_heads] = case.bias.unwrap_or([1, 1]);
    let mut inputs = vec![values(&mut rng, batch * tokens * width, 2.0)];
    if case.bias.is_some() {
        inputs.push(values(&mut rng, n * of_heads * patches * patches, 1.0));
    }
    let mask = case.masked.then(|| values(&mut rng, windows * patches * patches, 1.0));
    let weights = values(&mut rng, batch * tokens * of_output, 1.0);
    let qkv = leaf(&inputs[0], [batch, tokens, width], DType::F32);
    let bias = case.bias.map(|_| leaf(&inputs[1], [n, of_heads, patches, patches], DType::F32));
    let mask_on_device =
        mask.as_ref().map(|mask| leaf(mask, [windows, patches, patches], DType::F32).detach());
    let sizes = case.sizes.map(|sizes| leaf(&sizes, [batch, tokens], DType::F32));
    let whole = Attention { heads: heads.clone(), scale, windows: case.windows };
    let output = attention(&qkv, bias.as_ref(), mask_on_device.as_ref(), sizes.as_ref(), &whole).unwrap();
    // The token at a place of a window: the image moved up and to the left, in squares.
    let token = |window: usize, place: usize| match case.windows {
        None => place,
        Some(Windows { side, size, shift }) => {
            let (row, column) =
                (window / (side / size) * size + place / size, window % (side / size) * size + place % size);
            (row + shift) % side * side + (column + shift) % side
        }
    };
    let reference = |inputs: &[Vec<f64>]| {
        let at = |image: usize, token: usize, feature: usize| {
            inputs[0][(image * tokens + token) * width + feature]
        };
        let mut output = vec![0.0; batch * tokens * of_output];
        for (image, window) in (0..batch).flat_map(|image| (0..windows).map(move |window| (image, window))) {
            let (mut k_start, mut v_start, mut q_start, mut o_start, mut number) =
                (heads.queries * all_qk, (heads.queries + 1) * all_qk, 0, 0, 0);
            for (&qk, &v) in heads.qk.iter().zip(&heads.v) {
                for _ in 0..heads.queries {
                    for query in 0..patches {
                        let often = |key: usize| {
                            let products = (0..qk).map(|f| {
                                at(image, token(window, query), q_start + f)
                                    * at(image, token(window, key), k_start + f)
                            });
                            let mut score = products.sum::<f64>() * scale;
                            let pair = query * patches + key;
                            if let Some(bias) = inputs.get(1) {
                                let of_window = (image * windows + window) % n;
                                score += bias
                                    [(of_window * of_heads + number % of_heads) * patches * patches + pair];
                            }
                            score +=
                                mask.as_ref().map_or(0.0, |mask| mask[window * patches * patches + pair]);
                            case.sizes.map_or(1.0, |sizes| sizes[image * tokens + key]) * score.exp()
                        };
                        let scores: Vec<f64> = (0..patches).map(often).collect();
                        let sum: f64 = scores.iter().sum();
                        for feature in 0..v {
                            let values = scores.iter().enumerate().map(|(key, score)| {
                                score / sum * at(image, token(window, key), v_start + feature)
                            });
                            output[(image * tokens + token(window, query)) * of_output + o_start + feature] =
                                values.sum();
                        }
                    }
                    (q_start, o_start, number) = (q_start + qk, o_start + v, number + 1);
                }
                (k_start, v_start) = (k_start + qk, v_start + v);
            }
        }
        output
    };
    match bias {
        None => agrees(&computed!(weights, output, [qkv]), &inputs, &weights, F32, reference),
        Some(bias) => agrees(&computed!(weights, output, [qkv, bias]), &inputs, &weights, F32, reference),
    }
}
