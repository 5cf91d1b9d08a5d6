//! What sweeps make of a file.

use std::collections::HashSet;

use super::*;

/// The quickstart with replacements.
fn with(replacements: &[(&str, &str)]) -> String {
    replacements.iter().fold(QUICKSTART.to_owned(), |text, (good, other)| {
        assert!(text.contains(good), "{good}");
        text.replacen(good, other, 1)
    })
}

fn trials(text: &str, sets: &[&str]) -> Result<Trials, ExperimentErrors> {
    let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
    Document::parse("f.ron", text, &sets)?.trials()
}

fn names(trials: &Trials) -> Vec<String> {
    trials.iter().map(|trial| trial.swept.unwrap_or_else(|| "-".to_owned())).collect()
}

#[test]
fn what_is_not_swept_is_one_trial_without_a_name_of_its_own() {
    let trials = trials(QUICKSTART, &[]).unwrap();
    assert_eq!((trials.len(), trials.is_sweep()), (1, false));
    assert_eq!(names(&trials), ["-"]);
}

#[test]
fn sweeps_multiply_out_and_the_first_changes_last() {
    let text = with(&[("5e-5", "Sweep([1e-5, 1e-4])"), ("seed: 42", "seed: Seeds(2)")]);
    let trials = trials(&text, &[]).unwrap();
    let expected = [
        "hidden.weight=1e-5,seed=0",
        "hidden.weight=0.0001,seed=0",
        "hidden.weight=1e-5,seed=1",
        "hidden.weight=0.0001,seed=1",
    ];
    assert_eq!(names(&trials), expected);
    let experiment = trials.get(3).experiment;
    assert_eq!(experiment.seed, 1);
    assert_eq!(experiment.search.dimensions.get("hidden").unwrap().weight.get(), 1e-4);
    assert_eq!(trials.differing(3), [("seed", "1".to_owned()), ("hidden.weight", "0.0001".to_owned())]);
}

#[test]
fn sweeps_of_one_name_go_in_step() {
    let text = with(&[
        ("dim: 64", "dim: Sweep(\"size\", [32, 64])"),
        ("heads: 4", "heads: Sweep(\"size\", [2, 4])"),
        ("epochs: 10", "epochs: Sweep([5, 10])"),
    ]);
    let trials = trials(&text, &[]).unwrap();
    let expected = [
        "size=32,search.epochs=5,seed=42",
        "size=32,search.epochs=10,seed=42",
        "size=64,search.epochs=5,seed=42",
        "size=64,search.epochs=10,seed=42",
    ];
    assert_eq!(names(&trials), expected);
    let configs: Vec<String> =
        trials.iter().map(|trial| trial.experiment.model.config.unwrap().text().to_owned()).collect();
    assert_eq!(configs[1], "(patch_size: 2, dim: 32, depth: 6, heads: 2)");
    assert_eq!(configs[2], "(patch_size: 2, dim: 64, depth: 6, heads: 4)");
}

#[test]
fn random_values_of_one_name_are_a_random_search() {
    let text = |count: usize| {
        with(&[
            ("5e-5", &format!("RandomLogRange(\"random\", 1e-6, 1e-3, {count})")),
            ("dim: 64", &format!("dim: RandomOf(\"random\", [32, 64], {count})")),
            ("epochs: 10", &format!("epochs: RandomRange(\"random\", 5, 50, {count})")),
        ])
    };
    let trials = |count| trials(&text(count), &[]).unwrap();
    let few = trials(5);
    let expected: Vec<String> = (0..5).map(|number| format!("random={number},seed=42")).collect();
    assert_eq!(names(&few), expected);
    // More trials are added to those that were run.
    let more = trials(40);
    assert_eq!(more.len(), 40);
    assert!((0..5).all(|index| more.get(index).experiment == few.get(index).experiment));

    let differing: Vec<_> = (0..40).map(|index| more.differing(index)).collect();
    let names: Vec<&str> = differing[0].iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["config.dim", "search.epochs", "hidden.weight"]);
    // Places are drawn apart from one another: wide networks are not those with large weights.
    let share = |index: usize, least: f64, most: f64| {
        let value: f64 = differing[index][2].1.parse().unwrap();
        (value.ln() - least.ln()) / (most / least).ln()
    };
    let of_wide =
        (0..40).filter(|&index| differing[index][0].1 == "64").map(|index| share(index, 1e-6, 1e-3));
    let of_wide: Vec<f64> = of_wide.collect();
    assert!((10..30).contains(&of_wide.len()), "{of_wide:?}");
    let mean = of_wide.iter().sum::<f64>() / of_wide.len() as f64;
    assert!((0.35..0.65).contains(&mean), "{mean}");
    let epochs: HashSet<&String> = differing.iter().map(|differing| &differing[1].1).collect();
    assert!(epochs.len() > 15, "{epochs:?}");
}

#[test]
fn anything_may_be_swept() {
    for (good, swept, trial, other) in [
        ("data: Digits", "data: Sweep([Digits, Random(images: 20)])", "data=Digits", "data=Random-images-20"),
        (
            "architecture: \"vit\"",
            "architecture: Sweep([\"vit\", \"swin\"])",
            "model.architecture=vit",
            "model.architecture=swin",
        ),
        (
            "Cosine(warmup_epochs: 2)",
            "Sweep([Constant, Cosine(warmup_epochs: 3)])",
            "pretrain.schedule=Constant",
            "pretrain.schedule=Cosine",
        ),
        (
            "(weight: 5e-4)",
            "Sweep([(weight: 5e-4), (weight: 1e-4)])",
            "dimensions.head_dim=weight-0.0005",
            "dimensions.head_dim=weight-0.0001",
        ),
        ("Uniform", "Sweep([Unit, Uniform])", "hidden.granularity=Unit", "hidden.granularity=Uniform"),
        (
            "\"hidden\": 0.5 }",
            "\"hidden\": Range(0.5, 0.7, 2) }",
            "budgets.1.hidden=0.5",
            "budgets.1.hidden=0.7",
        ),
    ] {
        let trials = trials(&with(&[(good, swept)]), &[]).unwrap();
        let names = names(&trials);
        assert_eq!(names.len(), 2, "{swept}");
        assert!(names[0].starts_with(trial) && names[1].starts_with(other), "{names:?}");
    }
}

#[test]
fn a_name_stays_when_the_list_grows_or_another_value_is_swept_beside_it() {
    let name = |sweep: &str| names(&trials(&with(&[("epochs: 10", sweep)]), &[]).unwrap());
    let one = name("epochs: Sweep([5])");
    assert_eq!(one, ["search.epochs=5,seed=42"]);
    assert!(name("epochs: Sweep([1, 5, 9])").contains(&one[0]));
    let seeds =
        trials(&with(&[("epochs: 10", "epochs: Sweep([5])"), ("seed: 42", "seed: Sweep([41, 42])")]), &[]);
    assert!(names(&seeds.unwrap()).contains(&one[0]));
    // However the value is written.
    assert_eq!(name("epochs: Sweep([0x5])"), ["search.epochs=5,seed=42"]);
}

#[test]
fn arguments_sweep_too_and_the_last_wins() {
    let sweep = |sets: &[&str]| trials(QUICKSTART, sets).map(|trials| names(&trials));
    assert_eq!(sweep(&["seed=Sweep([1, 2])"]).unwrap(), ["seed=1", "seed=2"]);
    assert_eq!(sweep(&["seed=1", "seed=Sweep([1, 2])"]).unwrap(), ["seed=1", "seed=2"]);
    assert_eq!(sweep(&["seed=Sweep([1, 2])", "seed=1"]).unwrap(), ["-"]);
    let dimension = sweep(&["search.dimensions.hidden.weight=LogRange(1e-4, 1e-2, 3)"]).unwrap();
    assert_eq!(dimension[1], "hidden.weight=0.001,seed=42");
}

#[test]
fn trials_in_step_are_called_by_the_first_sweep_that_tells_them_apart() {
    let named = |sets: &[&str]| names(&trials(QUICKSTART, sets).unwrap());
    let cut = "cut=Sweep(\"arm\", [Fold, Fold, Hard])";
    let epochs = "search.epochs=Sweep(\"arm\", [1, 2, 2])";
    let seeds = "retrain.epochs=Sweep(\"arm\", [7, 8, 9])";
    assert_eq!(named(&[cut, epochs]), ["arm=0,seed=42", "arm=1,seed=42", "arm=2,seed=42"]);
    assert_eq!(named(&[cut, epochs, seeds]), ["arm=7,seed=42", "arm=8,seed=42", "arm=9,seed=42"]);
    // However they are written, two values with one name tell nothing apart.
    let dims = "model.config.dim=Sweep(\"arm\", [64, Some(64), 32])";
    assert_eq!(named(&[dims, cut, "retrain.epochs=Sweep(\"arm\", [7, 8, 8])"])[1], "arm=1,seed=42");
}

#[test]
fn no_two_trials_are_called_the_same() {
    for (good, swept, trial) in [
        ("\"vit\"", "\"vit\", preset: Sweep([None, \"None\"])", "preset=None"),
        ("dim: 64", "dim: Sweep([64, 32, Some(64)])", "dim=64"),
    ] {
        let errors = trials(&with(&[(good, swept)]), &[]).unwrap_err();
        let told = errors.first().message();
        assert!(told.starts_with("two trials would be called") && told.contains(trial), "{told}");
    }
}

#[test]
fn an_argument_does_not_fix_what_the_file_sweeps_unless_it_says_so() {
    let text = with(&[("seed: 42", "seed: Seeds(3)"), ("epochs: 10", "epochs: Sweep([5, 10])")]);
    let told = |set: &str| {
        let errors = trials(&text, &[set]).unwrap_err();
        (errors.first().to_string(), errors.first().advice().unwrap_or_default().to_owned())
    };
    let (error, help) = told("seed=1");
    assert_eq!(
        error,
        "--set:1:1: `seed` is swept at f.ron:4:11, and this would replace the sweep by one value"
    );
    assert_eq!(help, "to override a swept value, pass a sweep: `--set 'seed=Sweep([1])'`");
    let (error, _) =
        told("search=(epochs: 1, optimizer: AdamW(lr: 1), dimensions: {\"hidden\": (weight: 1)})");
    assert!(error.starts_with("--set:1:1: `search.epochs` is swept at f.ron:9:17"), "{error}");
    // Another sweep beside it does not make it one.
    let (error, _) = told(
        "search=(epochs: 1, optimizer: AdamW(lr: Sweep([1, 0.1])), dimensions: {\"hidden\": (weight: 1)})",
    );
    assert!(error.contains("`search.epochs` is swept at f.ron:9:17"), "{error}");
    let one = trials(&text, &["seed=Sweep([1])", "search.epochs=Sweep([7])"]).unwrap();
    assert_eq!(names(&one), ["search.epochs=7,seed=1"]);
}

#[test]
fn a_mistake_of_several_trials_is_told_once_and_those_of_all_trials_together() {
    let text = with(&[
        ("weight: 5e-5", "weight: Sweep([-1, 2, -3])"),
        ("seed: 42", "seed: Seeds(4)"),
        ("epochs: 20", "epochs: 0"),
    ]);
    let errors = trials(&text, &[]).unwrap_err();
    let places: Vec<_> = errors.iter().map(|error| error.span().place()).collect();
    assert_eq!(places, [(14, 41), (14, 48), (22, 23)], "{:?}", lines(&errors));
}

#[test]
fn a_thousand_trials_have_a_thousand_names() {
    let text =
        with(&[("weight: 5e-5", "weight: LogRange(1e-6, 1e-3, 100)"), ("seed: 42", "seed: Seeds(10)")]);
    let trials = trials(&text, &[]).unwrap();
    assert_eq!(trials.len(), 1000);
    let mut names = names(&trials);
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 1000);
}

#[test]
fn trials_have_names_of_their_own_whatever_they_are_called() {
    let named_as_the_seed = with(&[("dim: 64", "dim: Sweep(\"seed\", [32, 64])")]);
    assert_eq!(names(&trials(&named_as_the_seed, &[]).unwrap()), ["seed=32,seed=42", "seed=64,seed=42"]);
    let alike = with(&[("architecture: \"vit\"", "architecture: Sweep([\"vit\", \"ViT\"])")]);
    let told = trials(&alike, &[]).unwrap_err().to_string();
    assert_eq!(told, "f.ron:5:41: two trials would be called `model.architecture=ViT,seed=42`");
    let hidden = with(&[("dim: 64", "dim: Sweep(\"-.x\", [32, 64])")]);
    assert_eq!(names(&trials(&hidden, &[]).unwrap())[0], "x=32,seed=42");
}

#[test]
fn what_trials_have_in_common_cannot_be_swept() {
    let whole =
        format!("Sweep([{}, {}])", QUICKSTART.trim(), QUICKSTART.replace("seed: 42", "seed: 1").trim());
    for (text, told) in [
        (with(&[("seed: 42", "devices: Sweep([[\"cpu\"], None])")]), "f.ron:4:14: `devices` cannot be swept"),
        (with(&[("\"digits\"", "Sweep([\"a\"])")]), "f.ron:3:11: `name` cannot be swept"),
        (whole, "f.ron:1:1: the whole file cannot be swept"),
    ] {
        let error = trials(&text, &[]).unwrap_err().to_string();
        assert!(error.starts_with(told), "{error}");
    }
}

#[test]
fn beside_mistakes_in_sweeps_others_are_told() {
    let text = with(&[
        ("seed: 42", "seed: Sweep([])"),
        ("\"digits\"", "Sweep([\"a\", \"b\"])"),
        ("5e-5", "Sweep([-1.0, 1.0])"),
        ("epochs: 20", "epochs: 0"),
    ]);
    let told = lines(&trials(&text, &["cut=1", "log_every"]).unwrap_err());
    assert_eq!(told.len(), 1, "{told:?}");
    let told = lines(&trials(&text, &["cut=1"]).unwrap_err());
    let expected = [
        "this sweep is empty",
        "`name` cannot be swept",
        "`weight`: must",
        "`epochs`: must be at least 1",
        "`cut`: expected",
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for expected in expected {
        assert!(told.iter().any(|told| told.contains(expected)), "{expected}: {told:#?}");
    }
}

#[test]
fn all_wrong_arguments_are_told() {
    let told = lines(&trials(QUICKSTART, &["log_every", "seed=3", "=1", "=1"]).unwrap_err());
    assert_eq!(told.len(), 2, "{told:#?}");
    // What an argument may set depends on those before it.
    let text = with(&[("seed: 42", "seed: Seeds(2)")]);
    let told = lines(&trials(&text, &["seed=Sweep([1,2)", "seed=7"]).unwrap_err());
    assert_eq!(told.len(), 1, "{told:#?}");
}
