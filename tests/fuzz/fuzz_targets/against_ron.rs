//! Any text, read by the parser of experiments and by the `ron` crate: both read the same, except for the differences that are meant.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../differences.rs"]
mod differences;

fuzz_target!(|text: &str| {
    if let Some(difference) = differences::unexplained(text) {
        panic!("{difference}");
    }
});
