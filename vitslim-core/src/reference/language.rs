//! What the types do not say: sweeps, which stand in place of any value, and how files are put together.

/// What `base` is for.
pub(super) const BASE: &str = "The file to start from, or several. Later files override earlier ones, and this file overrides all of them. Records and maps \
     merge field by field; anything else is replaced, also by `None`. Paths are relative to the file that they stand in.";

/// The words of the language, as they are written and what they mean.
pub(super) const WORDS: [(&str, &str); 10] = [
    (
        "Sweep([a, b, ...])",
        "in place of any value: one trial for each of these values. Several sweeps multiply out.",
    ),
    (
        "Sweep(\"name\", [a, b, ...])",
        "goes in step with the other sweeps of that name; all have the same number of values.",
    ),
    (
        "Range(from, to, steps)",
        "a sweep over `steps` evenly spaced values, `from` and `to` included; whole numbers where all of them are.",
    ),
    ("LogRange(from, to, steps)", "a sweep over `steps` values at equal ratios, rounded to six digits."),
    ("Seeds(n)", "a sweep over the seeds from 0 to n - 1."),
    ("RandomRange(from, to, n)", "a sweep over `n` random values; whole numbers if `from` and `to` are."),
    (
        "RandomLogRange(from, to, n)",
        "a sweep over `n` random values, whose logarithms are all equally likely.",
    ),
    ("RandomOf([a, b, ...], n)", "a sweep over `n` random ones of these values."),
    (
        "Range(\"name\", from, to, steps)",
        "all of them take a name, as `Sweep` does. Random values of one name are a random search.",
    ),
    (
        "--set path=value",
        "on the command line: sets one value, as if it stood in the file. The last one wins. To override a swept value, pass `Sweep([x])`.",
    ),
];
