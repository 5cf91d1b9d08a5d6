//! What `#[derive(Slimmable)]` accepts, and the words in which it refuses the rest: one file a case in `ui/`.
//!
//! After a change of words, `TRYBUILD=overwrite cargo test -p vitslim-tests --test ui` writes the `.stderr` files anew;
//! read their diff. Those of `layer_without_input` and `nested_without_derive` hold rustc's own
//! words and may change with the toolchain.

// One `TestCases` for all: each one builds Burn's crates anew.
#[test]
fn ui() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/pass/*.rs");
    cases.compile_fail("ui/fail/*.rs");
}
