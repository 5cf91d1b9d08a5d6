//! Rules that give the tensors of other programs our names.

/// What a program calls a tensor or a layer, and what we call it. What follows a layer, `.weight`, stays.
///
/// - `*` is a number; in the second name, `*+1` is the next one.
/// - `{query,key,value}` in the first name are parts: their rows, one part after the other, are the tensor.
/// - An empty second name is not used.
pub(super) type Rule = (&'static str, &'static str);

/// Our name of a tensor of a file, which may be a part of the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Renamed {
    pub name: String,
    /// Its place among the parts, and their number.
    pub part: (usize, usize),
}

/// The name that the first of `rules` that speaks of `name` gives it; `None` if it is not used. A tensor of which none speaks keeps
/// its name.
pub(super) fn rename(name: &str, rules: &[Rule]) -> Option<Renamed> {
    let same = || Some(Renamed { name: name.to_owned(), part: (0, 1) });
    rules.iter().find_map(|rule| apply(name, *rule)).unwrap_or_else(same)
}

/// What `rule` makes of `name`; `None` if it does not speak of it.
fn apply(name: &str, (theirs, ours): Rule) -> Option<Option<Renamed>> {
    let mut steps = name.split('.');
    let (mut numbers, mut part) = (Vec::new(), (0, 1));
    for expected in theirs.split('.') {
        let step = steps.next()?;
        if expected == "*" {
            numbers.push(step.parse::<usize>().ok()?);
        } else if let Some(parts) = expected.strip_prefix('{').and_then(|parts| parts.strip_suffix('}')) {
            part = (parts.split(',').position(|known| known == step)?, parts.split(',').count());
        } else if expected != step {
            return None;
        }
    }
    if ours.is_empty() {
        return Some(None);
    }
    let mut numbers = numbers.into_iter();
    let mut number = || numbers.next().unwrap_or(0);
    let own = ours.split('.').map(|step| match step {
        "*" => number().to_string(),
        "*+1" => (number() + 1).to_string(),
        step => step.to_owned(),
    });
    let own: Vec<String> = own.chain(steps.map(str::to_owned)).collect();
    Some(Some(Renamed { name: own.join("."), part }))
}

/// `name` with `*` for every number.
pub(super) fn pattern(name: &str) -> String {
    let is_number = |step: &str| !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit());
    name.split('.').map(|step| if is_number(step) { "*" } else { step }).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_speaks_of_a_tensor_names_it() {
        let rules: &[Rule] = &[
            ("layer.*.attention.{query,key,value}", "blocks.*.attn.qkv"),
            ("layer.*.downsample", "layers.*+1.downsample"),
            ("stages.*.*", "stages.*.blocks.*"),
            ("layer.*.index", ""),
            ("head", "head.fc"),
        ];
        let named = |name: &str, part| Some(Renamed { name: name.to_owned(), part });
        for (theirs, ours) in [
            ("layer.11.attention.key.bias", named("blocks.11.attn.qkv.bias", (1, 3))),
            ("layer.0.downsample.norm.weight", named("layers.1.downsample.norm.weight", (0, 1))),
            ("stages.2.4.gamma", named("stages.2.blocks.4.gamma", (0, 1))),
            ("layer.3.index", None),
            ("head.weight", named("head.fc.weight", (0, 1))),
            ("heads.weight", named("heads.weight", (0, 1))),
            ("layer.x.attention.key.bias", named("layer.x.attention.key.bias", (0, 1))),
        ] {
            assert_eq!(rename(theirs, rules), ours, "{theirs}");
        }
        assert_eq!(pattern("stages.2.blocks.14.gamma"), "stages.*.blocks.*.gamma");
    }
}
