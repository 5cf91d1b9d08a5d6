//! What holds for whole networks, in f32.

mod gating;
mod precision;
mod units;
