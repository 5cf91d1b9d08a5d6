//! Trees: their paths, how they are laid over each other, and how they print.

use super::*;

fn node(text: &str) -> Node {
    parse(&Source::new("t.ron", text), 0).unwrap().unwrap()
}

#[test]
fn paths_go_through_records_maps_and_lists() {
    let tree = node(r#"X(a: Some((b: { "c.d": [1, 2] })))"#);
    assert_eq!(tree.at(&["a", "b", "c.d", "1"]), Some(&node("2")));
    assert_eq!(tree.at(&["a", "x"]), None);
    assert_eq!(tree.at(&["a"]).unwrap().key_span("b").unwrap().place(), (1, 12));
}

#[test]
fn overlays_merge_by_key_and_replace_the_rest() {
    let merged = |base, over| overlay(node(base), node(over)).to_string();
    assert_eq!(merged("(a: 1, b: (c: 2, d: 3))", "(b: (d: 4), e: 5)"), "(a: 1, b: (c: 2, d: 4), e: 5)");
    assert_eq!(merged("(a: 1)", "(a: None)"), "(a: None)");
    assert_eq!(merged("(a: Cosine(x: 1))", "(a: Constant(y: 2))"), "(a: Constant(y: 2))");
    assert_eq!(merged("(a: Cosine(x: 1))", "(a: Cosine(y: 2))"), "(a: Cosine(x: 1, y: 2))");
    assert_eq!(merged(r#"{"a": 1}"#, r#"{"b": 2, "a": [3]}"#), r#"{"a": [3], "b": 2}"#);
    assert_eq!(merged("(a: 1)", "()"), "(a: 1)");
    assert_eq!(merged("(a: Some((b: 1, c: 2)))", "(a: (c: 3))"), "(a: (b: 1, c: 3))");
    assert_eq!(merged("(a: (b: 1, c: 2))", "(a: Some((c: 3)))"), "(a: (b: 1, c: 3))");
}

#[test]
fn a_tree_prints_as_it_reads() {
    let text = r#"X(a: [1, 0.5], r#b-c: {"k": Some('x')}, d: ("a\"\n", true), e: None, f: Y(), g: Z, h: ())"#;
    assert_eq!(node(text).to_string(), text);
    // What would be another value or no name at all without `r#`.
    let text = "r#Some(r#inf: r#None, r#true: r#nan, r#false: r#2x, r#٣: r#a.b, infx: é)";
    assert_eq!(node(text).to_string(), text);
}
