//! The operations that `docs/running.md` lists are those that are written.

use std::collections::BTreeSet;
use std::path::Path;

/// What the operations of each kind are called in the source.
const KINDS: [&str; 7] = ["Base", "Numeric", "Float", "Int", "Bool", "Activation", "Module"];

const POINTWISE: &str = include_str!("pointwise.rs");

/// The operations that `source` takes apart: `Numeric::Add(of)`.
fn operations(source: &str) -> BTreeSet<String> {
    let words = source.split(|letter: char| !letter.is_alphanumeric() && !":(".contains(letter));
    let calls = words.flat_map(|word| word.split_inclusive('('));
    let operation = |call: &str| {
        let (kind, name) = call.strip_suffix('(')?.split_once("::")?;
        KINDS.contains(&kind).then(|| name.to_owned())
    };
    calls.filter_map(operation).collect()
}

#[test]
fn the_documents_list_what_is_written() {
    let onnx = operations(&[POINTWISE, include_str!("onnx/operation.rs")].concat());
    let pytorch = operations(&[POINTWISE, include_str!("pytorch/operation.rs")].concat());
    assert!(onnx.len() > 80 && onnx.contains("MeanDim") && onnx.contains("Conv2d"), "{onnx:?}");

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/running.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, section) = text.split_once("### Operations\n").unwrap();
    let paragraphs: Vec<&str> = section.split("\n\n").collect();
    let named = |paragraph: &str| -> BTreeSet<String> {
        paragraph.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    assert_eq!(named(paragraphs[1]), onnx.intersection(&pytorch).cloned().collect());
    let of_one: BTreeSet<_> = onnx.symmetric_difference(&pytorch).cloned().collect();
    let told = named(paragraphs[2]);
    assert!(of_one.is_subset(&told), "{of_one:?} of one format alone");
}
