//! Spellings that mean the same, numbers as researchers type them, and `--set` on the command line.

use super::*;

fn with(good: &str, other: &str) -> Result<Experiment, ExperimentErrors> {
    assert!(QUICKSTART.contains(good), "{good}");
    experiment(&QUICKSTART.replacen(good, other, 1), &[])
}

fn told(result: Result<Experiment, ExperimentErrors>) -> String {
    result.unwrap_err().first().to_string()
}

#[test]
fn nan_is_a_name_before_a_colon_and_no_number_elsewhere() {
    let document = Document::parse("f.ron", "Experiment(model: (config: (nan: 3, inf : 4)))", &[]).unwrap();
    for (name, value) in [("nan", "3"), ("inf", "4")] {
        assert_eq!(document.at(&["model", "config", name]).unwrap().to_string(), value);
    }
    let set =
        Document::parse("f.ron", "Experiment(model: (config: (nan: 3)))", &["model.config.nan=5".to_owned()]);
    assert_eq!(set.unwrap().at(&["model", "config", "nan"]).unwrap().to_string(), "5");
    assert!(told(with("lr: 1e-2", "lr: nan")).contains("`lr`"), "{}", told(with("lr: 1e-2", "lr: nan")));
}

#[test]
fn an_option_may_be_written_with_and_without_some() {
    let lr = |spelling: &str| with("lr: 1e-2", spelling).unwrap().search.masks.lr.map(Rate::get);
    for extension in ["", "#![enable(implicit_some)]\n"] {
        let quickstart = |masks: &str| {
            let text = format!("{extension}{}", QUICKSTART.replace("lr: 1e-2", masks));
            experiment(&text, &[]).unwrap().search.masks.lr.map(Rate::get)
        };
        assert_eq!(quickstart("lr: 1.0"), Some(1.0));
        assert_eq!(quickstart("lr: Some(1.0)"), Some(1.0));
        assert_eq!(quickstart("lr: None"), None);
        assert_eq!(quickstart(""), None);
    }
    assert_eq!(lr("lr: Some(1e-2)"), Some(1e-2));
    assert!(
        told(with("lr: 1e-2", "lr: Some(None)"))
            .starts_with("f.ron:11:26: `lr`: expected a number, found `None`")
    );
    for sweep in ["[None, 1.0]", "[None, Some(1.0)]"] {
        let text = QUICKSTART.replace("lr: 1e-2", &format!("lr: Sweep({sweep})"));
        let trials = Document::parse("f.ron", &text, &[]).unwrap().trials().unwrap();
        let lr = |trial: Trial| trial.experiment.search.masks.lr.map(Rate::get);
        assert_eq!(trials.iter().map(lr).collect::<Vec<_>>(), [None, Some(1.0)]);
    }
    let preset =
        experiment(&QUICKSTART.replace("\"vit\",", "\"vit\", preset: \"x\","), &["model.preset=None"])
            .unwrap();
    assert_eq!(preset.model.preset, None);
    let set = experiment(QUICKSTART, &["pretrain=None", "model.preset=Some(\"x\")"]).unwrap();
    assert_eq!((set.pretrain, set.model.preset.as_deref()), (None, Some("x")));
    let nested: Option<Option<u8>> = typed(Document::parse("f", "Some(3)", &[]).unwrap().root()).unwrap();
    assert_eq!(nested, Some(Some(3)));
    let nested: Option<Option<u8>> = typed(Document::parse("f", "3", &[]).unwrap().root()).unwrap();
    assert_eq!(nested, Some(Some(3)));
}

#[test]
fn names_and_parentheses_may_be_left_out() {
    let plain = experiment(QUICKSTART, &[]).unwrap();
    for (good, other) in [
        ("Experiment(", "("),
        ("data: Digits", "data: Digits()"),
        ("retrain: (", "retrain: Training("),
        ("search: (", "r#search: ("),
        ("\"digits\"", "r#\"digits\"#"),
        ("\"digits\"", "\"di\\u{67}its\""),
        ("// The quickstart.", "\u{feff}/* a /* nested */ comment */"),
        ("AdamW(lr: 5e-4)", "AdamW ( lr : 5e-4 , )"),
        ("    masks: (lr: 1e-2),", "masks: (lr: 1e-2, weight_decay: 0),"),
    ] {
        assert_eq!(with(good, other).unwrap(), plain, "{other}");
    }
    let bare = with("schedule: Cosine(warmup_epochs: 2)", "schedule: Cosine").unwrap();
    let empty = with("schedule: Cosine(warmup_epochs: 2)", "schedule: Cosine()").unwrap();
    let default = with(", schedule: Cosine(warmup_epochs: 2)", "").unwrap();
    assert!(bare == empty && empty == default);
    let crlf = QUICKSTART.replace('\n', "\r\n");
    assert_eq!(experiment(&crlf, &[]).unwrap(), plain);
}

#[test]
fn numbers_as_researchers_type_them() {
    for (spelling, value) in [
        ("1e-4", 1e-4),
        ("1E-4", 1e-4),
        (".0001", 1e-4),
        ("1.e-4", 1e-4),
        ("+1e-4", 1e-4),
        ("0.000_1", 1e-4),
        ("1_000.0e-4", 0.1),
        ("1", 1.0),
        ("1.", 1.0),
        ("0x1", 1.0),
    ] {
        let experiment = with("lr: 1e-2", &format!("lr: {spelling}")).unwrap();
        assert_eq!(experiment.search.masks.lr.unwrap().get(), value, "{spelling}");
        let written = ron::to_string(&experiment).unwrap();
        assert_eq!(super::experiment(&written, &[]).unwrap(), experiment);
    }
    for (spelling, sentence) in [
        ("\"1e-4\"", "`lr`: expected a number, found the string \"1e-4\""),
        ("1e-400", "`lr`: must not be so small: `1e-400` would become 0"),
        ("1e400", "`lr`: must be a finite number, but `1e400` is too large"),
        ("inf", "`lr`: must be a finite number, but is `inf`"),
        ("-inf", "`lr`: must be a finite number, but is `-inf`"),
        ("NaN", "`lr`: must be a finite number, but is `NaN`"),
        ("nan", "`lr`: must be a finite number, but is `nan`"),
        ("-0.0", "`lr`: must be greater than 0 and at most 1, but is -0.0"),
        ("5e-4f32", "`5e-4f32` has a type at its end"),
        ("1__0", "an underscore stands between two digits"),
        ("1.2.3", "`1.2.3` is not a number"),
        ("2 ** -10", "unexpected `**`: nothing is computed here"),
        ("1e-4 * 2", "unexpected `*`: nothing is computed here"),
        ("1,5", "expected a field `name: value`, found `5`"),
    ] {
        let told = told(with("lr: 1e-2", &format!("lr: {spelling}")));
        assert!(told.starts_with("f.ron:11:") && told.contains(sentence), "{spelling}: {told}");
    }
    let error = with("lr: 1e-2", "lr: \"1e-4\"").unwrap_err();
    assert_eq!(error.first().advice(), Some("a number is written without quotes: `1e-4`"));
}

#[test]
fn overrides_set_values_and_the_last_wins() {
    let set = |sets: &[&str]| experiment(QUICKSTART, sets);
    assert_eq!(set(&["seed=1", "seed=2"]).unwrap().seed, 2);
    assert_eq!(set(&["seed = 7 "]).unwrap().seed, 7);
    let weight = |argument: &str, key: &str| {
        set(&[argument]).unwrap().search.dimensions.get(key).unwrap().weight.get()
    };
    assert_eq!(weight("search.dimensions.hidden.weight=1e-4", "hidden"), 1e-4);
    assert_eq!(weight("search.dimensions.\"blocks.*.tokens\".weight=2", "blocks.*.tokens"), 2.0);
    assert_eq!(weight("search.dimensions[\"blocks.*.tokens\"].weight=2", "blocks.*.tokens"), 2.0);
    assert_eq!(weight("search.dimensions.new.weight=3", "new"), 3.0);
    assert_eq!(set(&["name=r#\"raw\"#"]).unwrap().name.as_str(), "raw");
    assert_eq!(
        set(&["retrain.schedule=Constant", "retrain.schedule.warmup_epochs=3"])
            .unwrap()
            .retrain
            .unwrap()
            .schedule
            .warmup(10, 1),
        3
    );
    assert_eq!(set(&["budgets[1]=Share({\"hidden\": 0.25})"]).unwrap().budgets.len(), 2);
    assert_eq!(
        set(&["model.config.dim=128"]).unwrap().model.config.unwrap().text(),
        "(patch_size: 2, dim: 128, depth: 6, heads: 4)"
    );
    let odd = "data=Idx(path: \"/a,b/#1 = x%20@y\")";
    assert_eq!(set(&[odd]).unwrap().data.path(), Some(std::path::Path::new("/a,b/#1 = x%20@y")));
    let swept = |sets: &[&str]| {
        let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
        Document::parse("f.ron", QUICKSTART, &sets).unwrap().trials().unwrap().len()
    };
    assert_eq!(swept(&["seed=1", "seed=Sweep([1, 2])"]), 2);
    assert_eq!(swept(&["seed=Sweep([1, 2])", "seed=1"]), 1);
    assert_eq!(
        told(set(&["data.path=\"/a,b/#1 = x%20@y\""])),
        "--set:1:6: unknown field `path` in `Digits`, which has none"
    );
}

#[test]
fn wrong_overrides_are_told_in_the_argument() {
    for (argument, sentence, help) in [
        ("a.b=", "--set:1:4: there is no value after `a.b=`", "--set search.epochs=10"),
        ("=1", "--set:1:1: there is no path before the `=`", "--set search.epochs=10"),
        ("seed", "--set:1:1: `seed` sets nothing: there is no `=` in it", "--set search.epochs=10"),
        ("seed=-1", "--set:1:6: `seed`: must not be negative, but is `-1`", ""),
        (
            "name=other",
            "--set:1:6: `name`: expected a string, found `other`",
            "write `--set 'name=\"other\"'`",
        ),
        (
            "model.preset=/a,b/#1 = x%20@y",
            "--set:1:14: `/a,b/#1 = x%20@y` is not a value: a string needs quotes",
            "write `--set 'model.preset=\"/a,b/#1 = x%20@y\"'`",
        ),
        (
            "model.preset=it's",
            "--set:1:14: `it's` is not a value",
            "write `--set 'model.preset=\"it'\\''s\"'`",
        ),
        (
            "budgets=[Mac(0.5)]",
            "--set:1:10: unknown variant `Mac` of `budgets`",
            "variants: `Share`, `Macs`, `Params`, `Latency`, `Tokens` and `All`",
        ),
        ("seed=Sweep([1,2])", "--set:1:6: this experiment has 2 trials, and one is needed here", ""),
        ("base=\"x.ron\"", "--set:1:1: `base` can only be written in a file", ""),
        ("seed=(1", "--set:1:8: expected `)`, found the end", ""),
        ("seed=1 2", "--set:1:6: `1 2` is not a value: a string needs quotes", ""),
        ("seed=5e-4f32", "--set:1:6: `5e-4f32` has a type at its end", ""),
        ("name=2024-run", "--set:1:6: `2024-run` is not a value: a string needs quotes", ""),
        (
            "seed.x=1",
            "--set:1:6: there is no `x` to be set: what it would be in is the number `42`",
            "f.ron:4:11",
        ),
        ("search.epoch=1", "--set:1:8: unknown field `epoch` in `search`; did you mean `epochs`?", ""),
        ("budgets.7=1", "--set:1:9: `7` is no item of this list: it has 2", ""),
        ("x y=1", "--set:1:1: no field can be called `x y`", "the first a letter"),
        ("model.config.\"(\".x=1", "--set:1:14: no field can be called `(`", ""),
        ("a..b=1", "--set:1:2: a step of the path is empty", ""),
        ("a[\"b=1", "--set:1:2: this quote is never closed", ""),
        ("a[0=1", "--set:1:2: this `[` is never closed", ""),
    ] {
        let errors = experiment(QUICKSTART, &["cut=Hard", argument]).unwrap_err();
        let error = errors.first();
        let advice = error.advice().unwrap_or_default();
        assert!(error.to_string().starts_with(sentence), "{argument}: {:?}", lines(&errors));
        assert!(advice.contains(help), "{argument}: {advice}");
    }
}
