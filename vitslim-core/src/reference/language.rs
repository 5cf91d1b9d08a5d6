//! What the types do not say: what may be written in place of any value, and how files are put together.

/// What `base` is for.
pub(super) const BASE: &str = "The file to start from, or several, of which the later override the earlier: what is written here overrides what is \
     written there. Records and maps are merged field by field, everything else is replaced, also by `None`. A path is \
     relative to the file that it stands in.";

/// The words of the language, as they are written and what they mean.
pub(super) const WORDS: [(&str, &str); 7] = [
    (
        "Sweep([a, b, ...])",
        "in place of any value: a trial for each of the values. Several sweeps multiply out.",
    ),
    (
        "Sweep(\"name\", [a, b, ...])",
        "goes in step with the other sweeps of that name, which have as many values.",
    ),
    (
        "Range(from, to, steps)",
        "a sweep over so many values at equal distances, both ends among them; whole numbers where all are.",
    ),
    ("LogRange(from, to, steps)", "a sweep over so many values at equal ratios, to six digits."),
    ("Seeds(n)", "a sweep over the seeds 0 to n - 1."),
    (
        "Range(\"name\", from, to, steps)",
        "`Range`, `LogRange` and `Seeds` take a name first, as `Sweep` does.",
    ),
    (
        "--set path=value",
        "on the command line: sets one value, as if it stood in the file. The last wins. What the file sweeps is fixed only by a sweep over one value.",
    ),
];
