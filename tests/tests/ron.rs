//! Experiments are read by a parser of our own: as the `ron` crate reads them, except for the differences that are meant.

#[path = "../fuzz/differences.rs"]
mod differences;

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use vitslim_core::experiment::{Document, Experiment, Model, Raw, Source, parse};

use differences::{DIFFERENCES, differ_by, unexplained};

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect()
}

/// The experiments that come with vitslim, and whatever else was read in fuzzing: files, and arguments behind them.
fn texts() -> Vec<String> {
    let folders = [
        "../experiments",
        "../experiments/imagenet",
        "../experiments/imagenet/transfer",
        "../examples/own_architecture",
        "../examples/hybrid",
        "../examples/levit",
    ];
    let shipped = folders.into_iter().flat_map(files);
    let shipped = shipped.filter(|path| path.extension().is_some_and(|extension| extension == "ron"));
    let texts = shipped.chain(files("fuzz/corpus/experiment")).map(|path| fs::read(path).unwrap());
    let texts = texts.filter_map(|text| String::from_utf8(text).ok());
    texts.flat_map(|text| text.split('\0').map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn each_difference_that_is_meant_is_there() {
    for difference in DIFFERENCES {
        for example in difference.examples {
            assert!(differ_by(difference, example), "{example:?}: {}", difference.why);
        }
    }
}

#[test]
fn what_was_written_before_is_read_as_ron_reads_it() {
    let texts = texts();
    assert!(texts.len() > 300, "{}", texts.len());
    let wrong: Vec<String> = texts.iter().filter_map(|text| unexplained(text)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The experiment without its configuration, and that as a tree: it is kept as text, which may be spelled otherwise.
fn spelled_alike(experiment: Experiment) -> (Experiment, Option<String>) {
    let config =
        experiment.model.config.as_ref().map(|config: &Raw| {
            parse(&Source::new("config", config.text()), 0).unwrap().unwrap().to_string()
        });
    (Experiment { model: Model { config: None, ..experiment.model }, ..experiment }, config)
}

/// Names, which `ron::Value` drops, and types.
#[test]
fn an_experiment_that_both_read_is_the_same() {
    let options = ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
    let mut compared = 0;
    for text in texts() {
        let Ok(theirs) = options.from_str::<Experiment>(&text) else { continue };
        let Ok(ours) = Document::parse("no-such-folder/a.ron", &text, &[]).and_then(|read| read.experiment())
        else {
            continue;
        };
        assert_eq!(spelled_alike(ours), spelled_alike(theirs), "{text}");
        compared += 1;
    }
    assert!(compared >= 5, "{compared}");
}

/// Space or a comment, or nothing.
fn space() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        6 => Just(""),
        3 => Just(" "),
        1 => prop::sample::select(vec!["\n", "\t", "\r\n", "/* a, (b) */", "// c\n", "/*/**/*/", "\u{2028}", " \u{a0}"]),
    ]
}

fn name() -> impl Strategy<Value = String> {
    let names = [
        "a", "b", "_x1", "Sweep", "r#a", "r#a.b-c", "é", "e\u{301}", "none", "Some", "None", "true",
        "r#true", "r", "b", "inf", "nan",
    ];
    prop_oneof![prop::sample::select(names.to_vec()).prop_map(str::to_owned), "[a-zA-Z_][a-z0-9_]{0,3}"]
}

/// Values that hold no others.
fn leaf() -> impl Strategy<Value = String> {
    let words = [
        "true", "false", "None", "()", "( )", "inf", "-inf", "NaN", "'a'", "'\\n'", "'\\''", "\"\"", "[]",
        "{}", "(,)",
    ];
    prop_oneof![
        prop::sample::select(words.to_vec()).prop_map(str::to_owned),
        name(),
        "[+-]?[0-9]{1,4}",
        "[+-]?[0-9_]{1,3}\\.?[0-9_]{0,3}([eE][+-]?[0-9_]{1,3})?",
        "\\.[0-9]{1,3}",
        "-?0[xob][0-9a-fA-F_]{1,4}",
        "[0-9]{18,40}",
        "0x[0-9A-F]{14,36}",
        "[0-9]{1,2}(\\.[0-9])?(u8|i64|f32|f16|usize)",
        any::<f64>().prop_map(|number| format!("{number:?}")),
        any::<String>().prop_map(|text| format!("{text:?}")),
        "\"([a-z#'\n]|\\\\[nrt0\\\\\"'xu]|\\\\x[0-9a-fA-F]{2}|\\\\u\\{[0-9a-f]{0,7}\\}){0,4}\"",
        "b?r#{0,2}\"[a-z\\\\#\n]{0,3}\"#{0,2}",
        "'(.|\\\\.|\\\\x[0-9a-f]{2})'",
    ]
}

/// Texts that are mostly RON.
fn ron() -> impl Strategy<Value = String> {
    leaf().prop_recursive(5, 32, 4, |inner| {
        let items = |inner: BoxedStrategy<String>| {
            prop::collection::vec(inner, 0..4).prop_map(|items| items.join(","))
        };
        let field = (name(), space(), inner.clone())
            .prop_map(|(name, space, value)| format!("{name}{space}:{value}"));
        let entry = (inner.clone(), inner.clone()).prop_map(|(key, value)| format!("{key}:{value}"));
        let spaced = (space(), inner.clone(), space())
            .prop_map(|(before, value, after)| format!("{before}{value}{after}"));
        let comma = prop::sample::select(vec!["", "", ",", " ,"]);
        let tuple = prop_oneof![items(inner.clone().boxed()), items(field.boxed())];
        prop_oneof![
            spaced,
            inner.clone().prop_map(|value| format!("Some({value})")),
            (items(inner.boxed()), comma.clone()).prop_map(|(items, comma)| format!("[{items}{comma}]")),
            (items(entry.boxed()), comma.clone()).prop_map(|(items, comma)| format!("{{{items}{comma}}}")),
            (name(), space(), tuple.clone(), comma.clone())
                .prop_map(|(name, space, items, comma)| format!("{name}{space}({items}{comma})")),
            (tuple, comma).prop_map(|(items, comma)| format!("({items}{comma})")),
        ]
    })
}

/// A text with a few characters put in or taken out.
fn slips() -> impl Strategy<Value = String> {
    let signs: Vec<&str> =
        "( ) [ ] { } , : \" ' \\ # ! r b . _ - + = 0 1 e x n // /* */ .. Some".split(' ').collect();
    let slip = (any::<prop::sample::Index>(), 0..3_usize, prop::sample::select(signs));
    (ron(), prop::collection::vec(slip, 1..4)).prop_map(|(text, slips)| {
        slips.into_iter().fold(text, |text, (place, removed, sign)| {
            let mut chars: Vec<char> = text.chars().collect();
            let place = place.index(chars.len() + 1);
            let end = (place + removed).min(chars.len());
            let put = if removed == 0 { sign } else { "" };
            chars.splice(place..end, put.chars());
            chars.into_iter().collect()
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_as_ron_reads_it(text in ron()) {
        prop_assert_eq!(unexplained(&text), None);
    }

    #[test]
    fn slips_are_read_as_ron_reads_them(text in slips()) {
        prop_assert_eq!(unexplained(&text), None);
    }
}
