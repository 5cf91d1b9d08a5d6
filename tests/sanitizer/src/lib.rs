//! The kernels without Burn, so that they are quickly built for the address sanitizer: all of them with shapes drawn at random. What
//! they compute is checked by their own tests; here it is where they read and write.

#![allow(dead_code, reason = "what only Burn's side of the kernels uses")]

#[path = "../../../vitslim-core/kernels/src"]
mod kernels {
    pub mod adamw;
    pub mod attention;
    pub mod gelu;
    pub mod layer_norm;
    pub mod linear;
    pub mod parts;
    pub mod product;
    pub mod vector;

    mod everywhere {
        use super::layer_norm::Norm;
        use super::product::Matrix;
        use super::{adamw, attention, gelu, layer_norm, linear};

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

                let heads: Vec<usize> = (0..sizes.up_to(4)).map(|_| sizes.up_to(40) - 1).collect();
                let features: usize = heads.iter().sum();
                if features > 0 {
                    let qkv = values(batch * tokens * 3 * features);
                    let of_keys = (round % 2 == 0).then(|| values(batch * tokens));
                    let of_keys = of_keys.as_deref();
                    let output = attention::forward(&qkv, of_keys, tokens, &heads, 0.2);
                    let of_qkv = attention::backward(&qkv, of_keys, &output, tokens, &heads, 0.2);
                    assert_eq!(of_qkv.len(), qkv.len());
                }

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
    }
}
