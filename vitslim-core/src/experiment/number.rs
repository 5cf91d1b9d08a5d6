//! Numbers as researchers type them: what Rust and Python both read, and what both read from a string (`.5`, `1.`).

use unicode_ident::is_xid_continue;

/// Whether a number starts here.
pub(super) fn begins(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut chars = unsigned.chars();
    match chars.next() {
        Some(c) if c.is_ascii_digit() => true,
        Some('.') => chars.next().is_some_and(|c| c.is_ascii_digit()),
        Some(_) => is_not_finite(&unsigned[..word_length(unsigned)]),
        None => false,
    }
}

fn is_not_finite(word: &str) -> bool {
    ["inf", "infinity", "nan"].iter().any(|name| word.eq_ignore_ascii_case(name))
}

/// Whether a field has the name that starts here, which would be a number if it were a value: `nan: 3`.
pub(super) fn names_a_field(text: &str) -> bool {
    let (word, rest) = text.split_at(word_length(text));
    is_not_finite(word) && rest.trim_start().starts_with(':')
}

fn word_length(text: &str) -> usize {
    text.find(|c: char| !is_xid_continue(c)).unwrap_or(text.len())
}

/// Length in bytes of the number that starts here, with the letters attached to it.
pub(super) fn length(text: &str) -> usize {
    let hexadecimal = text.trim_start_matches(['+', '-']).starts_with("0x");
    let mut before = ' ';
    for (offset, c) in text.char_indices() {
        let sign = matches!(c, '+' | '-') && (offset == 0 || matches!(before, 'e' | 'E') && !hexadecimal);
        if !sign && !is_xid_continue(c) && c != '.' {
            return offset;
        }
        before = c;
    }
    text.len()
}

/// What is wrong with the spelling of a number, and what to do.
pub(super) fn mistake(text: &str) -> Option<(String, &'static str)> {
    let plain = text.replace('_', "");
    let unsigned = text.trim_start_matches(['+', '-']);
    if is_not_finite(unsigned) {
        return None;
    }
    if !underscores_are_between_digits(radix(unsigned).map_or(unsigned, |(_, digits)| digits)) {
        let message = format!("`{text}` is not a number: an underscore stands between two digits");
        return Some((message, "write for example `1_000` or `0.000_1`"));
    }
    let is_number = |text: &str| integer(text).is_some() || text.parse::<f64>().is_ok();
    if is_number(&plain) {
        return None;
    }
    let suffixes =
        ["f16", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "u8", "u16", "u32", "u64", "u128", "usize"];
    if suffixes.iter().find_map(|suffix| plain.strip_suffix(suffix)).is_some_and(is_number) {
        let message = format!("`{text}` has a type at its end: a number is written without one");
        return Some((message, "leave the type out, for example `5e-4`"));
    }
    if radix(unsigned).is_some() {
        let message = format!("`{text}` is not a number: it has a digit that its base lacks, or too many");
        return Some((message, "write a number, for example `64` or `1e-4`"));
    }
    Some((
        format!("`{text}` is not a number"),
        "write a number, for example `64` or `1e-4`; a string needs quotes",
    ))
}

fn underscores_are_between_digits(digits: &str) -> bool {
    let digit = |c: Option<&u8>| c.is_some_and(u8::is_ascii_hexdigit);
    let bytes = digits.as_bytes();
    bytes
        .iter()
        .enumerate()
        .filter(|(_, c)| **c == b'_')
        .all(|(at, _)| at > 0 && digit(bytes.get(at - 1)) && digit(bytes.get(at + 1)))
}

fn radix(unsigned: &str) -> Option<(u32, &str)> {
    [("0x", 16), ("0o", 8), ("0b", 2)]
        .into_iter()
        .find_map(|(prefix, radix)| Some((radix, unsigned.strip_prefix(prefix)?)))
}

/// The value of a number without fraction and exponent.
pub(super) fn integer(text: &str) -> Option<i128> {
    let plain = text.replace('_', "");
    let (negative, unsigned) = match plain.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let (radix, digits) = radix(unsigned).unwrap_or((10, unsigned));
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    let value = i128::from_str_radix(digits, radix).ok()?;
    Some(if negative { -value } else { value })
}

/// A float, or what is wrong with its size.
pub(super) fn float(text: &str) -> Result<f64, String> {
    let plain = text.replace('_', "");
    let value = match integer(text) {
        Some(integer) if radix(plain.trim_start_matches(['+', '-'])).is_some() => integer as f64,
        _ => plain.parse().map_err(|_| format!("`{text}` is not a number"))?,
    };
    finite(text, value, value == 0.0)
}

/// [`float`] in single precision.
pub(super) fn single(text: &str) -> Result<f32, String> {
    let value = float(text)? as f32;
    finite(text, f64::from(value), value == 0.0)?;
    Ok(value)
}

fn finite(text: &str, value: f64, zero: bool) -> Result<f64, String> {
    let mantissa = text.split(['e', 'E']).next().unwrap_or(text);
    let written_zero = !mantissa.contains(|c: char| matches!(c, '1'..='9'));
    if is_not_finite(text.trim_start_matches(['+', '-'])) {
        Err(format!("must be a finite number, but is `{text}`"))
    } else if !value.is_finite() {
        Err(format!("must be a finite number, but `{text}` is too large"))
    } else if zero && !written_zero {
        Err(format!("must not be so small: `{text}` would become 0"))
    } else {
        Ok(value)
    }
}

/// The number in a spelling that every parser of RON accepts.
pub(super) fn canonical(text: &str) -> String {
    let plain = text.replace('_', "");
    let plain = plain.strip_prefix('+').unwrap_or(&plain);
    match (integer(plain), float(plain)) {
        (None, Ok(value)) => format!("{value:?}"),
        // -0 would lose its sign, for which fields refuse it.
        (Some(value), _) if value != 0 => value.to_string(),
        _ => plain.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_measured_and_judged() {
        assert_eq!(length("1e-4, x"), 4);
        assert_eq!(length("0x1e-4"), 4);
        assert_eq!(length("5e-4f32)"), 7);
        for good in
            ["1e-4", "1E-4", ".0001", "1.e-4", "+1e-4", "0.000_1", "1_000.0", "1", "0xFF", "-0.0", "inf"]
        {
            assert!(mistake(good).is_none(), "{good}");
        }
        for bad in ["5e-4f32", "1__0", "1_", "1.2.3", "0xZZ", "0b_0", "12abc", "1e", "64u8"] {
            assert!(mistake(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn numbers_have_values() {
        assert_eq!(integer("1_000"), Some(1000));
        assert_eq!(integer("-0x10"), Some(-16));
        assert_eq!(integer("1.0"), None);
        assert_eq!(float("1.e-4"), Ok(1e-4));
        assert_eq!(float("0x10"), Ok(16.0));
        assert_eq!(float("0e-400"), Ok(0.0));
        assert!(float("1e-400").is_err());
        assert!(float("1e400").is_err());
        assert!(single("1e-60").is_err());
        assert_eq!(canonical("+.5"), "0.5");
        assert_eq!(["1_000", "0x1F", "-0", "0"].map(canonical), ["1000", "31", "-0", "0"]);
    }
}
