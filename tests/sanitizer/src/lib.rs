//! The kernels without Burn, so that they are quickly built for the address sanitizer: all of them with shapes drawn at random. What
//! they compute is checked by their own tests; here it is where they read and write.

#![allow(dead_code, reason = "what only Burn's side of the kernels uses")]

#[path = "../../../vitslim-core/kernels/src"]
mod kernels {
    pub mod adamw;
    pub mod attention;
    pub mod depthwise;
    pub mod gelu;
    pub mod heads;
    pub mod layer_norm;
    pub mod linear;
    pub mod parts;
    pub mod product;
    pub mod residual;
    pub mod vector;

    pub use heads::{Attention, Heads, Windows};

    mod everywhere {
        use super::attention::{Bias, Inputs};
        use super::depthwise::Sight;
        use super::layer_norm::Norm;
        use super::product::Matrix;
        use super::residual::Factors;
        use super::{
            Attention, Heads, Windows, adamw, attention, depthwise, gelu, layer_norm, linear, residual,
        };

        const ROUNDS: usize = 150;

        /// Numbers from 1 on, by xorshift.
        struct Sizes(u64);

        impl Sizes {
            fn up_to(&mut self, most: u64) -> usize {
                self.0 ^= self.0 << 13;
                self.0 ^= self.0 >> 7;
                self.0 ^= self.0 << 17;
                (1 + self.0 % most) as usize
            }
        }

        fn values(count: usize) -> Vec<f32> {
            (0..count).map(|index| (index * 37 % 101) as f32 / 50.0 - 1.0).collect()
        }

        #[test]
        fn nothing_is_read_or_written_where_it_should_not() {
            let mut sizes = Sizes(1);
            for round in 0..ROUNDS {
                let (batch, tokens, d_input, d_output) =
                    (sizes.up_to(9), sizes.up_to(100), sizes.up_to(250), sizes.up_to(300));
                let x = values(batch * tokens * d_input);
                let (weight, bias) = (values(d_input * d_output), values(d_output));
                let by_rows = Matrix::row_major(&weight, d_output);
                let y = linear::forward(&x, by_rows, &bias);
                let by_columns = Matrix::row_major(&weight, d_input).transposed();
                assert_eq!(linear::forward(&x, by_columns, &bias).len(), y.len());
                let (inputs, gradient) = (Matrix::row_major(&x, d_input), Matrix::row_major(&y, d_output));
                let gradients = linear::backward(Some(inputs), Some(by_rows), gradient, true);
                assert_eq!(gradients.x.map(|x| x.len()), Some(x.len()));
                assert_eq!(gradients.weight.map(|weight| weight.len()), Some(weight.len()));

                let factors = values(tokens);
                let factors = (round % 2 == 0).then_some(&factors[..]);
                let width = d_output + round % 3;
                let norm = Norm { gamma: &bias, beta: &bias, factors, epsilon: 1e-6, width };
                let normalised = layer_norm::forward(&y, norm);
                assert_eq!(layer_norm::backward(&y, norm, &normalised).x.len(), y.len());

                let back = values(d_output * d_input);
                let layers = [(by_rows, &bias[..]), (Matrix::row_major(&back, d_input), &x[..d_input])];
                assert_eq!(linear::mlp(&x, layers).len(), x.len());

                let keep = values(batch);
                let (scale, keep) = (factors.map(|_| &bias[..]), (round % 3 > 0).then_some(&keep[..]));
                let factors = Factors { scale, keep, rows: tokens, width: d_output };
                let branch = residual::forward(&y, &y, factors);
                let gradients = residual::backward(Some(&branch), &y, factors);
                assert_eq!((gradients.0.len(), gradients.1.unwrap().len()), (y.len(), d_output));

                attend(&mut sizes, round, batch.min(3));
                convolve(&mut sizes, batch.min(3));

                let step = adamw::AdamWStep {
                    beta_1: 0.9,
                    beta_2: 0.999,
                    time: 2,
                    epsilon: 1e-8,
                    lr: 1e-3,
                    decay: 0.0,
                };
                let [mut parameters, mut moment_1, mut moment_2] = [x.clone(), x.clone(), vec![0.1; x.len()]];
                adamw::step(&mut parameters, &x, &mut moment_1, &mut moment_2, step);

                assert_eq!(gelu::backward(&x, &gelu::forward(&x)).len(), x.len());
            }
        }

        fn attend(sizes: &mut Sizes, round: usize, batch: usize) {
            let v: Vec<usize> = (0..sizes.up_to(4)).map(|_| sizes.up_to(40) - 1).collect();
            let qk: Vec<usize> = v.iter().map(|_| sizes.up_to(40) - 1).collect();
            let heads = Heads { qk, v, queries: sizes.up_to(3) };
            if heads.output() == 0 {
                return;
            }
            let (along, size) = (sizes.up_to(3), sizes.up_to(8));
            let side = along * size;
            let windows =
                (round % 2 == 0).then(|| Windows { side, size, shift: sizes.up_to(size as u64) - 1 });
            let (tokens, patches) = (side * side, if windows.is_some() { size * size } else { side * side });
            let qkv = values(batch * tokens * heads.input());
            let of_heads = if round % 3 == 0 { 1 } else { heads.queries * heads.v.len() };
            let n = if round % 5 == 0 { batch } else { 1 };
            let bias = values(n * of_heads * patches * patches);
            let bias = (round % 4 > 0).then_some(Bias { values: &bias, heads: of_heads });
            let mask = values(tokens * patches);
            let mask = windows.is_some().then_some(&mask[..]);
            let of_keys = values(batch * tokens);
            let of_keys = (windows.is_none() && round % 4 == 1).then_some(&of_keys[..]);
            let inputs = Inputs { qkv: &qkv, tokens, bias, mask, sizes: of_keys };
            let attention = Attention { heads, scale: 0.2, windows };
            let output = attention::forward(inputs, &attention);
            let (of_qkv, of_bias) = attention::backward(inputs, &output, &attention, true);
            assert_eq!(of_qkv.len(), qkv.len());
            assert_eq!(of_bias.map(|of| of.len()), bias.map(|bias| bias.values.len()));
        }

        fn convolve(sizes: &mut Sizes, batch: usize) {
            let channels = sizes.up_to(50);
            let [mut input, mut kernel, mut stride, mut output] = [[0; 2]; 4];
            let mut before = [0; 2];
            for axis in 0..2 {
                kernel[axis] = sizes.up_to(8);
                before[axis] = sizes.up_to(5) as isize - 1;
                stride[axis] = sizes.up_to(3);
                input[axis] = kernel[axis] + sizes.up_to(30) - 1;
                let read = input[axis] + 2 * before[axis] as usize - kernel[axis];
                output[axis] = read / stride[axis] + 1;
            }
            let sight = Sight { input, output, kernel, stride, before, spread: [1, 1] };
            let x = values(batch * input[0] * input[1] * channels);
            let weight = values(channels * kernel[0] * kernel[1]);
            let output = depthwise::forward(&x, &weight, &x[..1].repeat(channels), sight);
            assert_eq!(depthwise::of_input(&output, &weight, sight).len(), x.len());
            let [of_weight, of_bias] = depthwise::of_parameters(&x, &output, channels, sight);
            assert_eq!((of_weight.len(), of_bias.len()), (weight.len(), channels));
        }
    }
}
