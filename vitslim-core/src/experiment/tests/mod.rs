//! The language as a whole: what is accepted, what is refused and where, and how it reads.

mod augment;
mod base;
mod broken;
mod limits;
mod omitted;
mod spelling;
mod sweeps;
mod tree;

use super::*;
use crate::slim::Granularity;

const QUICKSTART: &str = r#"// The quickstart.
Experiment(
    name: "digits",
    seed: 42,
    model: (architecture: "vit", config: (patch_size: 2, dim: 64, depth: 6, heads: 4)),
    data: Digits,
    pretrain: (epochs: 40, optimizer: AdamW(lr: 1e-3, weight_decay: 0.05), schedule: Cosine(warmup_epochs: 2)),
    search: (
        epochs: 10,
        optimizer: AdamW(lr: 5e-4),
        masks: (lr: 1e-2),
        dimensions: {
            "head_dim": (weight: 5e-4),
            "hidden":   (weight: 5e-5, granularity: Uniform),
            "blocks.*.tokens": (weight: 1e-4, activation: Tanh, init: 3.0),
        },
    ),
    budgets: [
        Share({ "head_dim": 0.7, "hidden": 0.7, "blocks.*.tokens": 0.7 }),
        Share({ "hidden": 0.5 }),
    ],
    retrain: (epochs: 20, optimizer: AdamW(lr: 5e-4)),
)
"#;

fn experiment(text: &str, sets: &[&str]) -> Result<Experiment, ExperimentErrors> {
    let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
    Document::parse("f.ron", text, &sets)?.experiment()
}

fn lines(errors: &ExperimentErrors) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn the_quickstart_is_what_it_says() {
    let experiment = experiment(QUICKSTART, &[]).unwrap();
    assert_eq!(experiment.name.as_str(), "digits");
    assert_eq!(experiment.pretrain.as_ref().unwrap().batch.get(), 64);
    assert_eq!(experiment.search.masks.lr.unwrap().get(), 1e-2);
    let keys: Vec<&str> = experiment.search.dimensions.keys().collect();
    assert_eq!(keys, ["head_dim", "hidden", "blocks.*.tokens"]);
    assert_eq!(experiment.search.dimensions.get("hidden").unwrap().granularity, Granularity::Uniform);
    assert_eq!(experiment.budgets.len(), 2);
    assert_eq!(experiment.cut, CutRule::Fold);
    assert_eq!(experiment.model.config.unwrap().text(), "(patch_size: 2, dim: 64, depth: 6, heads: 4)");
}

#[test]
fn a_written_experiment_reads_back_equal() {
    let shorter = QUICKSTART
        .replace("    seed: 42,\n", "")
        .replace("pretrain: (epochs: 40,", "pretrain: (epochs: 4_0,");
    let constant = QUICKSTART.replace("schedule: Cosine(warmup_epochs: 2)", "schedule: Constant");
    let none = QUICKSTART.replace(
        "retrain: (epochs: 20, optimizer: AdamW(lr: 5e-4)),",
        "retrain: None, cut: Hard, round_to: 8",
    );
    for text in [QUICKSTART, &shorter, &constant, &none] {
        let read = experiment(text, &[]).unwrap();
        let pretty = ron::ser::PrettyConfig::new();
        let written = ron::ser::to_string_pretty(&read, pretty).unwrap();
        assert_eq!(experiment(&written, &[]).unwrap(), read, "{written}");
        let by_ron: Experiment = ron::from_str(&written).unwrap();
        assert_eq!(by_ron, read);
    }
}

#[test]
fn a_resolved_experiment_has_everything_in_it_and_reads_back_equal() {
    #[derive(serde::Serialize, serde::Deserialize, PartialEq, Debug)]
    struct Config {
        patch_size: usize,
        note: String,
        drop: Option<f64>,
    }
    let config = Config { patch_size: 2, note: "two\nlines".to_owned(), drop: None };
    let read = experiment(QUICKSTART, &["model.preset=\"small\""]).unwrap();
    let text = read.resolved(&config).unwrap();
    let document = Document::parse("resolved.ron", &text, &[]).unwrap();
    let again = document.experiment().unwrap();
    assert_eq!(typed::<Config>(document.at(&["model", "config"]).unwrap()).unwrap(), config);
    assert_eq!(again.resolved(&config).unwrap(), text);
    assert_eq!(again.model.preset, None, "a configuration that is whole starts from none");
    let without_config = |mut experiment: Experiment| {
        (experiment.model.preset, experiment.model.config) = (None, None);
        experiment
    };
    assert_eq!(without_config(again), without_config(read));
    for field in ["batch: 64", "beta2: 0.999", "final_lr: 0.0", "cut: Fold", "granularity: Unit", "init: 1.0"]
    {
        assert!(text.contains(field), "{field} in\n{text}");
    }
}

#[test]
fn a_document_points_to_keys_and_values() {
    let document = Document::parse("f.ron", QUICKSTART, &[]).unwrap();
    let path = ["search", "dimensions", "hidden"];
    let place = |errors: ExperimentErrors| errors.first().span().place();
    assert_eq!(place(document.error(&path, "m", None)), (14, 25));
    assert_eq!(place(document.error_at_key(&path, "m", None)), (14, 13));
    assert_eq!(place(document.error(&["model", "config", "dim"], "m", None)), (5, 63));
    assert_eq!(place(document.error(&["model", "preset"], "m", None)), (5, 12));
}

#[test]
fn files_that_are_no_experiments_get_one_sentence() {
    let folder = std::env::temp_dir().join(format!("vitslim-experiment-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let read = |name: &str, content: Option<&[u8]>| {
        let path = folder.join(name);
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        Document::read(&path, &[]).unwrap_err().to_string()
    };
    assert!(read("missing.ron", None).contains("does not exist"));
    assert!(read("", None).contains("is a folder"));
    assert!(
        read("latin1.ron", Some(b"(name: \"\xe9\")")).contains("probably in LATIN1, as its byte 8 shows")
    );
    let damaged = read("damaged.ron", Some(b"(name: \"\xc3\xa9\", x: \"\xc3\")"));
    assert!(damaged.ends_with("is damaged UTF-8 at byte 17"), "{damaged}");
    assert!(read("word.ron", Some(b"(name: \x93a\x94)")).contains("probably in WINDOWS-1252"));
    assert!(read("binary.ron", Some(b"\x7fELF\xe9\x01")).contains("is not a text file: its byte 4"));
    assert!(read("empty.ron", Some(b" \n")).contains("is empty"));
    assert!(read("mark.ron", Some("\u{feff}".as_bytes())).contains("is empty"));
    assert!(read("comment.ron", Some(b"// nothing")).contains("found nothing"));
    let utf16 = |order: fn(u16) -> [u8; 2], mark: &str| -> Vec<u8> {
        format!("{mark}(name: \"\u{e9}\")").encode_utf16().flat_map(order).collect()
    };
    for (order, encoding) in [(u16::to_le_bytes as fn(u16) -> _, "UTF-16LE"), (u16::to_be_bytes, "UTF-16BE")]
    {
        for (mark, encoding) in [("\u{feff}", "UTF-16"), ("", encoding)] {
            let path = folder.join("utf16.ron");
            std::fs::write(&path, utf16(order, mark)).unwrap();
            let error = Document::read(&path, &[]).unwrap_err();
            assert!(error.to_string().ends_with("utf16.ron` is in UTF-16, not in UTF-8"), "{error}");
            let help = miette::Diagnostic::help(&error).unwrap().to_string();
            assert_eq!(help, format!("convert it: `iconv -f {encoding} -t UTF-8 old.ron > new.ron`"));
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_report_underlines_each_mistake() {
    let text = QUICKSTART.replace("epochs: 10", "epoch: 10").replace("seed: 42", "sed: 42");
    let errors = experiment(&text, &[]).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "f.ron:4:5: unknown field `sed` in `Experiment`; did you mean `seed`? (and one more mistake)"
    );
    let mut graphical = String::new();
    miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor())
        .render_report(&mut graphical, &errors)
        .unwrap();
    let mut narrated = String::new();
    miette::NarratableReportHandler::new().render_report(&mut narrated, &errors).unwrap();
    for part in ["[f.ron:4:5]", "sed: 42", "[f.ron:9:9]", "epoch: 10", "did you mean `epochs`?", "───"]
    {
        assert!(graphical.contains(part), "{part} in\n{graphical}");
    }
    for part in ["f.ron:4:5", "sed: 42", "epoch: 10", "`search` has"] {
        assert!(narrated.contains(part), "{part} in\n{narrated}");
    }
}

/// Headline and box count the characters before the mistake, whatever they are.
#[test]
fn headline_and_box_name_the_same_place() {
    let text = QUICKSTART.replace("name: \"digits\",\n    seed: 42", "name: \"digits\", sed: 42");
    for (before, place) in [
        ("", "3:21"),
        ("\u{feff}", "3:21"),
        ("/* 学习测试 */ ", "3:32"),
        ("/* \u{1b}[31m \u{202e} */ ", "3:35"),
        ("/* a\r b */ ", "3:32"),
        ("\t", "3:22"),
    ] {
        // A byte order mark stands at the start, the others in the line.
        let text = match before {
            "\u{feff}" => format!("{before}{text}"),
            _ => text.replace("name: \"digits\", sed", &format!("name: {before}\"digits\", sed")),
        };
        for text in [text.clone(), text.replace('\n', "\r\n")] {
            let errors = experiment(&text, &[]).unwrap_err();
            let report = limits::report(&errors);
            assert!(errors.to_string().starts_with(&format!("f.ron:{place}: ")), "{before:?}: {errors}");
            assert!(report.contains(&format!("[f.ron:{place}]")), "{before:?}: {report}");
            assert!(!report.contains(['\u{1b}', '\u{202e}', '\r']), "{report:?}");
            // The line is the same under the place.
            let lines: Vec<&str> = report.lines().collect();
            let line = lines.iter().position(|line| line.contains("sed: 42")).unwrap();
            let column = |line: &str, what| line.find(what).map(|at| line[..at].chars().count());
            // Chinese characters are two columns wide.
            let wide = 4 * usize::from(before.contains('学'));
            let under = column(lines[line + 1], "─").unwrap();
            assert_eq!(under, column(lines[line], "sed").unwrap() + wide, "{report}");
        }
    }
}

#[test]
fn characters_that_do_not_show_are_named_by_their_code_points() {
    for (good, bad, told) in [
        ("seed: 42", "seed:\u{200d} 42", "4:10: unexpected character U+200D, which does not show"),
        ("seed: 42", "seed: 42\u{7}", "4:13: unexpected character U+0007, which does not show"),
        ("seed: 42", "se\u{ad}ed: 42", "4:7: unexpected character U+00AD, which does not show"),
        ("seed: 42", "seed:\u{0} 42", "4:10: unexpected character U+0000, which does not show"),
    ] {
        let errors = experiment(&QUICKSTART.replace(good, bad), &[]).unwrap_err();
        assert!(lines(&errors).iter().any(|line| *line == format!("f.ron:{told}")), "{:?}", lines(&errors));
    }
}

#[test]
fn the_schema_of_an_experiment_can_be_written() {
    let schema = serde_json::to_string(&schemars::schema_for!(Experiment)).unwrap();
    assert!(schema.contains("exclusiveMinimum") && schema.contains("Share"));
}
