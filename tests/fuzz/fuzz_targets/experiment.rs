//! Any text as an experiment file and `--set` arguments.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../reading.rs"]
mod reading;

fuzz_target!(|input: &str| reading::read_any(input));
