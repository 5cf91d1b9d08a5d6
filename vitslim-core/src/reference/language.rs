//! What the types do not say: sweeps, which stand in place of any value, and how files are put together.

/// What `base` is for.
pub(super) const BASE: &str = "The file to start from, or several. Later files override earlier ones, and this file overrides all of them. Records and maps \
     merge field by field; anything else is replaced, also by `None`. Paths are relative to the file that they stand in.";

/// The words of the language, as they are written and what they mean.
pub(super) const WORDS: [(&str, &str); 7] = [
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
    ("Range(\"name\", from, to, steps)", "`Range`, `LogRange` and `Seeds` take a name too, as `Sweep` does."),
    (
        "--set path=value",
        "on the command line: sets one value, as if it stood in the file. The last one wins. To override a swept value, pass `Sweep([x])`.",
    ),
];
