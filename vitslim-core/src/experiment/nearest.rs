//! The right name nearest to a wrong one.

/// Longest name, in bytes, that is compared: longer ones take time, and are no misspelling of a short one.
const LONGEST: usize = 100;

/// The candidate that `name` is probably a misspelling of.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > LONGEST {
        return None;
    }
    let plain = |text: &str| text.to_lowercase().replace(['-', ' '], "_");
    let name = plain(name);
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let right = plain(candidate);
            let distance = strsim::damerau_levenshtein(&name, &right);
            let near = distance <= name.chars().count().max(3) / 3;
            let begun = name.chars().count() >= 3 && (right.starts_with(&name) || name.starts_with(&right));
            (near || begun).then_some((distance, candidate))
        })
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// The end of a message about the wrong `name`: `; did you mean ...?`, or nothing if none of `candidates` is near.
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, candidates).map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

/// `` `a`, `b` and `c` ``.
pub(super) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspellings_find_the_right_name() {
        let names = ["epochs", "batch", "optimizer", "head_dim"];
        assert_eq!(nearest("epoch", names), Some("epochs"));
        assert_eq!(nearest("head-dim", names), Some("head_dim"));
        assert_eq!(nearest("Optimiser", names), Some("optimizer"));
        assert_eq!(nearest("opt", names), Some("optimizer"));
        assert_eq!(nearest("weight", names), None);
    }

    #[test]
    fn lists_read_as_prose() {
        assert_eq!(list(["a"]), "`a`");
        assert_eq!(list(["a", "b", "c"]), "`a`, `b` and `c`");
    }
}
