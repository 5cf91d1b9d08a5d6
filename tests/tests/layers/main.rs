//! What every kind of layer must do: hard-masked and sliced it is the same function, gated weights are gated activations, and
//! the mask of every unit gets a gradient. In f64, which is set once per process: a test binary of its own.

mod attention;
mod batch_norm;
mod convolutions;
mod features;
mod harness;
mod heads;
mod refusals;
mod sums;
