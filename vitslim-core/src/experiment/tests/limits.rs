//! Texts that no experiment needs, and that cost no more than others all the same. Fuzzing found most of them.

use super::*;

pub(super) fn report(errors: &ExperimentErrors) -> String {
    let mut report = String::new();
    miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor())
        .render_report(&mut report, errors)
        .unwrap();
    report
}

#[test]
fn brackets_are_not_nested_without_end() {
    for text in ["(", "[", "{", "Some(", "a(b:", ")"] {
        assert!(lines(&experiment(&text.repeat(20_000), &[]).unwrap_err()).len() == 1, "{text}");
    }
}

#[test]
fn arguments_do_not_nest_deeper_than_a_file_may() {
    let told = "--set:1:1: with this, brackets are nested more than 64 deep";
    let path = format!("model.config.{}=1", vec!["a"; 50_000].join("."));
    assert_eq!(experiment(QUICKSTART, &[&path]).unwrap_err().to_string(), told);
    let inside = |depth: usize| format!("model.config={}1{}", "[".repeat(depth), "]".repeat(depth));
    assert!(experiment(QUICKSTART, &[&inside(62)]).is_ok());
    assert_eq!(experiment(QUICKSTART, &[&inside(63)]).unwrap_err().to_string(), told);
    let growing = |step: usize| format!("model.config{}=Some(Some(()))", ".a".repeat(step));
    let growing: Vec<String> = (0..60).map(growing).collect();
    let growing: Vec<&str> = growing.iter().map(String::as_str).collect();
    assert_eq!(experiment(QUICKSTART, &growing).unwrap_err().to_string(), told);
}

#[test]
fn a_long_line_is_not_shown_and_its_mistake_is_told() {
    let text = QUICKSTART.replace("(patch_size: 2", &format!("(x: [{}], patch_size: 2", "1,".repeat(40_000)));
    let errors = experiment(&text.replace("\"vit\", config", "\"vit\", preset: 3, config"), &[]).unwrap_err();
    assert!(report(&errors).contains("f.ron:5:42: `preset`: expected a string"), "{}", report(&errors).len());
    let errors = experiment(&text.replace("heads: 4)", "heads: 4), preset: 3"), &[]).unwrap_err();
    assert!(report(&errors).contains("f.ron:5:80103: `preset`: expected a string"), "{}", lines(&errors)[0]);
    assert!(report(&errors).len() < 1000);
}

#[test]
fn thousands_of_mistakes_make_a_short_report() {
    for text in ["$\n", "1 ", "a: 1,\n", "=", "“"] {
        let errors = experiment(&format!("({})", text.repeat(20_000)), &[]).unwrap_err();
        assert!(report(&errors).len() < 50_000, "{text}: {}", report(&errors).len());
    }
    let errors = experiment(&format!("({})", "a: 1,\n".repeat(1000)), &[]).unwrap_err();
    let report = report(&errors);
    assert!(report.contains("(and 998 more mistakes)") && report.contains("[f.ron:21:1]"), "{report}");
    assert!(!report.contains("[f.ron:22:1]"), "{report}");
}

#[test]
fn many_fields_and_sweeps_are_read_in_no_time() {
    let config = |items: &str| QUICKSTART.replace("patch_size: 2", &format!("patch_size: 2, x: {items}"));
    let fields: String = (0..200_000).map(|index| format!("a{index}: 1,")).collect();
    assert!(Document::parse("f.ron", &config(&format!("({fields})")), &[]).is_ok());
    // Ten thousand trials with the same mistake, in a name that is not compared with others.
    let long =
        config(&format!("1), {}: (x: 1", "a".repeat(20_000))).replace("seed: 42", "seed: Seeds(10000)");
    let document = Document::parse("f.ron", &long, &[]).unwrap();
    assert_eq!(lines(&document.trials().unwrap_err()).len(), 1);
    // Names that no folder can have, so that they are numbered.
    let named = |index: u32| format!("Sweep(\"{}\", [1]),", char::from_u32(0x4e00 + index).unwrap());
    let sweeps: String = (0..5000).map(named).collect();
    let document = Document::parse("f.ron", &config(&format!("[{sweeps}]")), &[]).unwrap();
    assert_eq!(document.trials().unwrap().len(), 1);
}
