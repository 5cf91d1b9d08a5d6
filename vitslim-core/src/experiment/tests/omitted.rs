//! A comma, colon, bracket or field that is not there: the place is its line, or that of what comes next.

use super::*;

fn line(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

/// Leaves out the bytes `start..end` and says where the first mistake is told, if not where it should be.
fn misplaced(start: usize, end: usize) -> Option<String> {
    let mut text = QUICKSTART.to_owned();
    let left_out = text[start..end].to_owned();
    text.replace_range(start..end, "");
    let error_line = line(QUICKSTART, start);
    let next =
        QUICKSTART[end..].find(|c: char| !c.is_whitespace()).map_or(QUICKSTART.len(), |next| end + next);
    let next_line = line(QUICKSTART, next);
    match experiment(&text, &[]) {
        Ok(_) => Some(format!("line {error_line}, {left_out:?}: accepted")),
        Err(errors) => {
            let told = errors.first().span().place().0;
            (told != error_line && told != next_line)
                .then(|| format!("line {error_line}, {left_out:?}: {}", lines(&errors).join(" | ")))
        }
    }
}

#[test]
fn what_is_left_out_is_missed_where_it_was() {
    let mut wrong = Vec::new();
    for (offset, c) in QUICKSTART.char_indices() {
        // Before a closing bracket a comma may be left out.
        let next = QUICKSTART[offset + 1..].trim_start().chars().next();
        let optional = c == ',' && matches!(next, Some(')' | ']' | '}'));
        if matches!(c, ',' | ':' | '(' | ')' | '[' | ']' | '{' | '}') && !optional {
            wrong.extend(misplaced(offset, offset + 1));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_missing_bracket_is_one_mistake() {
    for (offset, c) in QUICKSTART.char_indices().filter(|(_, c)| matches!(c, ')' | ']' | '}')) {
        let mut text = QUICKSTART.to_owned();
        text.remove(offset);
        let errors = lines(&experiment(&text, &[]).unwrap_err());
        assert_eq!(errors.len(), 1, "{c} of line {}: {errors:?}", line(QUICKSTART, offset));
        assert!(errors[0].contains(&format!("expected `{c}`")), "{errors:?}");
    }
}

#[test]
fn a_missing_field_is_missed_where_its_struct_begins() {
    let fields = [
        ("    name: \"digits\",\n", "2:1: missing field `name` in `Experiment`"),
        ("architecture: \"vit\", ", "5:12: missing field `architecture` in `model`"),
        ("    data: Digits,\n", "2:1: missing field `data` in `Experiment`"),
        ("epochs: 40, ", "7:15: missing field `epochs` in `pretrain`"),
        ("optimizer: AdamW(lr: 1e-3, weight_decay: 0.05), ", "7:15: missing field `optimizer` in `pretrain`"),
        ("lr: 1e-3, ", "7:39: missing field `lr` in `AdamW`"),
        ("        epochs: 10,\n", "8:13: missing field `epochs` in `search`"),
        ("weight: 5e-5, ", "14:25: missing field `weight` in `hidden`"),
    ];
    for (field, told) in fields {
        assert!(QUICKSTART.contains(field), "{field}");
        let errors = experiment(&QUICKSTART.replacen(field, "", 1), &[]).unwrap_err();
        assert_eq!(lines(&errors), [format!("f.ron:{told}")]);
    }
}

/// Any text is read or refused, whatever is cut from it.
#[test]
fn no_prefix_panics() {
    for (offset, _) in QUICKSTART.char_indices() {
        let _ = experiment(&QUICKSTART[..offset], &[]);
        let _ = experiment(&QUICKSTART[offset..], &[]);
    }
    for text in [
        "", "\"", "'", "r#", "r#\"", "b'", "br#", "#!", "#![", "Some", "Some(", "-", "+.", "0x", "\\", "é",
        "/*", "'\\u{", "\"\\x",
    ] {
        let _ = experiment(text, &[]);
        let _ = experiment(QUICKSTART, &[&format!("seed={text}"), text]);
    }
    let deep = "[".repeat(10_000);
    assert!(lines(&experiment(&deep, &[]).unwrap_err())[0].contains("nested more than 64 deep"));
}
