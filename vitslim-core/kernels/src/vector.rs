//! Loops over slices that compile to vector instructions.

use pulp::Arch;

/// Values of a task: few enough for the first cache of a core, enough to be worth a task.
pub(super) const PART: usize = 8192;

/// The widest vector instructions of this processor, which the fused operations use.
pub fn instructions() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    match pulp::Arch::new() {
        pulp::Arch::V4(_) => "AVX-512",
        pulp::Arch::V3(_) => "AVX2",
        _ => "SSE2",
    }
    #[cfg(not(target_arch = "x86_64"))]
    if cfg!(target_arch = "aarch64") { "NEON" } else { "no vector instructions" }
}

/// Runs `compute` compiled for the widest vector instructions of this processor. `compute` and everything that it calls must
/// be inlined: mark them `#[inline(always)]`, and write loops with `for`, not `for_each`. Otherwise they are compiled for
/// any processor, with library calls for `mul_add`.
#[inline(always)]
pub fn vectorised<T>(compute: impl FnOnce() -> T) -> T {
    Arch::new().dispatch(compute)
}

/// Lanes of a sum: independent sums that the compiler keeps in vectors of whatever width, so that the order of additions is
/// always the same.
pub(super) const LANES: usize = 16;

/// Sum of `f` over the pairs of `a` and `b`.
#[inline(always)]
pub(super) fn sum2(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (whole_a, whole_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = whole_a.remainder().iter().zip(whole_b.remainder());
    for (a, b) in whole_a.zip(whole_b) {
        for lane in 0..LANES {
            lanes[lane] += f(a[lane], b[lane]);
        }
    }
    let rest: f32 = rest.map(|(a, b)| f(*a, *b)).sum();
    lanes.iter().sum::<f32>() + rest
}

/// Sum of `f` over `a`.
#[inline(always)]
pub(super) fn sum(a: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    sum2(a, a, |a, _| f(a))
}

/// Largest of `a`.
#[inline(always)]
pub(super) fn largest(a: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let whole = a.chunks_exact(LANES);
    let rest = whole.remainder().iter().copied();
    for a in whole {
        for lane in 0..LANES {
            lanes[lane] = lanes[lane].max(a[lane]);
        }
    }
    lanes.into_iter().chain(rest).fold(f32::NEG_INFINITY, f32::max)
}

/// `e^x` for `x <= 0`, with a relative error of 2e-7: as Cephes' `expf`, `2^n * p(r)` with `x = n ln 2 + r`. Below -87 it is 0:
/// products with numbers as small as `e^-87` are a hundred times slower.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    /// So large that a sum with it has no fraction, and `n` in its last bits. (`as` checks each value for what does not fit
    /// an integer, and so does not compile to a vector instruction.)
    const ROUND: f32 = 12_582_912.0;

    let rounded = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = rounded - ROUND;
    let power = f32::from_bits((rounded.to_bits() << 23).wrapping_add(1.0_f32.to_bits()));
    // ln 2 in two parts, so that `r` keeps its digits.
    let r = n.mul_add(2.121_944_4e-4, n.mul_add(-0.693_359_4, x));
    let p = 1.987_569_1e-4_f32
        .mul_add(r, 1.398_199_9e-3)
        .mul_add(r, 8.333_452e-3)
        .mul_add(r, 4.166_579_5e-2)
        .mul_add(r, 1.666_666_5e-1)
        .mul_add(r, 0.5)
        .mul_add(r * r, r + 1.0);
    if x < -87.0 { 0.0 } else { p * power }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_accurate_to_its_last_digits() {
        for step in 0..=870_000 {
            let x = -(step as f32) * 1e-4;
            let exact = f64::from(x).exp();
            assert!(((f64::from(exp(x)) - exact) / exact).abs() < 2e-7, "{x}: {} {exact}", exp(x));
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!([exp(f32::NEG_INFINITY), exp(f32::MIN), exp(-87.1)], [0.0; 3]);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn sums_and_maxima_take_in_the_last_values() {
        for size in [0, 1, 15, 16, 17, 100] {
            let values: Vec<f32> = (0..size).map(|value| value as f32).collect();
            assert_eq!(sum(&values, |value| value), (size * (size.max(1) - 1) / 2) as f32);
            assert_eq!(sum2(&values, &values, |a, b| a - b), 0.0);
            assert_eq!(largest(&values), values.last().copied().unwrap_or(f32::NEG_INFINITY));
        }
    }
}
