//! Any text as an experiment file and `--set` arguments: trials or errors come of it, never a panic, and what is printed reads
//! back. Used by a fuzz target and by an ordinary test.

use std::collections::HashSet;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};
use vitslim_core::experiment::{Document, Experiment, ExperimentErrors, Trial};

/// In a folder that does not exist, so that no `base` is found.
const FILE: &str = "no-such-folder/f.ron";

/// Arguments of an input; what is behind them is left out.
const MOST_SETS: usize = 8;

/// Trials that are looked at, beside that all are checked.
const MOST_TRIALS: usize = 5;

/// Reads `input`, a file and behind each NUL an argument.
pub fn read_any(input: &str) {
    // A `base` with an absolute path, as of a device, would be opened.
    if input.contains("base") && input.contains('/') {
        return;
    }
    let mut parts = input.split('\0');
    let text = parts.next().unwrap_or_default();
    let sets: Vec<String> = parts.take(MOST_SETS).map(str::to_owned).collect();
    if let Err(errors) = read(text, &sets) {
        report(&errors);
    }
}

fn read(text: &str, sets: &[String]) -> Result<(), ExperimentErrors> {
    let document = Document::parse(FILE, text, sets)?;
    reads_back(&document);
    let trials = document.trials()?;
    let mut names = HashSet::new();
    for index in 0..trials.len().min(MOST_TRIALS) {
        let Trial { document, experiment, swept } = trials.get(index);
        reads_back(&document);
        resolved_reads_back(&experiment);
        assert!(names.insert(swept.clone()), "{swept:?} twice");
    }
    Ok(())
}

fn reads_back(document: &Document) {
    let text = document.root().to_string();
    let again = Document::parse(FILE, &text, &[]).unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    assert_eq!(again.root().to_string(), text);
}

fn resolved_reads_back(experiment: &Experiment) {
    let text = ron::to_string(experiment).expect("an experiment can be written");
    let read = |text: &str| Document::parse(FILE, text, &[])?.experiment();
    let again = read(&text).unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    // Devices are no part of what is written.
    assert_eq!(again, Experiment { devices: None, ..experiment.clone() }, "{text}");
}

fn report(errors: &ExperimentErrors) {
    let mut text = errors.to_string();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .render_report(&mut text, errors as &dyn Diagnostic)
        .expect("a report can be written");
}
