//! Starts or resumes a run in its folder, which may hold what an earlier run left.

use super::belongs::{self, DataMatch, NO_EXPERIMENT, compare, is_same, other_experiment};
use super::data_record::DataRecord;
use super::extend::{Extension, extend, extension, forget_results, is_searched};
use super::folder::{DATA, EXPERIMENT, FolderError, NORMALISATION, RunFolder, SUBNETS};
use super::sources::Sources;
use super::state::{forget_failure, missing, summary};
use crate::data::{Normalisation, Stage};
use crate::terminal::say;
use crate::train::checkpoint_folder;

/// Writes `experiment.ron`, `data.json` and the normalisation of the pixels. What an earlier run of the same experiment on the same
/// data left stays, to resume from, unless the run starts `afresh`. So does what a run with fewer budgets left, if this one
/// `may_extend` it. Another experiment takes the folder over if nothing has been trained there. Answers with the normalisation to train
/// with: that which the run began with.
///
/// # Errors
///
/// When the folder has results of another experiment or of other data, or a file cannot be read or written.
pub(super) fn begin(
    folder: &RunFolder,
    experiment: &str,
    data: &Sources,
    normalisation: &Normalisation,
    afresh: bool,
    may_extend: bool,
) -> Result<Normalisation, FolderError> {
    let goes_on = !afresh && RunFolder::has_results(folder.path());
    match goes_on {
        true => go_on(folder, experiment, data, normalisation, may_extend)?,
        false => folder.remove_results()?,
    }
    // An earlier failure does not explain how this run ends.
    forget_failure(folder.path())?;
    folder.write(EXPERIMENT, experiment.as_bytes())?;
    let unwritten = |name: &'static str| {
        let path = folder.path().join(name);
        move |error: serde_json::Error| FolderError::Io { action: "write", path, source: error.into() }
    };
    // What is there says the same, or nothing.
    let there = DataRecord::read(folder.path())?;
    if there.as_ref().is_none_or(|there| there.content != *data) {
        let record = match goes_on {
            true => {
                let (version, training) = there.map_or((None, None), |there| (there.version, there.training));
                DataRecord { version, training, content: data.clone() }
            }
            false => DataRecord::new(data),
        };
        let text = record.text().map_err(unwritten(DATA))?;
        folder.write(DATA, text.as_bytes())?;
    }
    if folder.read(NORMALISATION)?.is_none() {
        let text = serde_json::to_string(normalisation).map_err(unwritten(NORMALISATION))?;
        folder.write(NORMALISATION, format!("{text}\n").as_bytes())?;
    }
    belongs::normalisation(folder.path(), normalisation)
}

/// What a run is told that another version began and did not complete.
const OTHER_TRAINING: &str = "another version of vitslim began this run, and it trained differently: what is left trains as this version \
     does. The changelog says what changed; `--fresh` starts again";

/// Checks what is there, and removes what no longer holds.
fn go_on(
    folder: &RunFolder,
    experiment: &str,
    data: &Sources,
    normalisation: &Normalisation,
    may_extend: bool,
) -> Result<(), FolderError> {
    let path = folder.path();
    let bare = |consequence: String| FolderError::Bare { path: path.to_owned(), consequence };
    let there = folder.read(EXPERIMENT)?.unwrap_or_else(|| NO_EXPERIMENT.to_owned());
    let extension = match is_same(path, &there, experiment) {
        true => Some(Extension::None),
        false if may_extend => extension(path, &there, experiment)?,
        false => None,
    };
    let gone = match extension.ok_or_else(|| other_experiment(path, &there, experiment))? {
        Extension::Bare => return Err(bare("no budget can be added".to_owned())),
        Extension::Taken(label) => {
            let checkpoints = path.join(checkpoint_folder(Stage::Retrain, Some(&label)));
            return Err(FolderError::Taken { path: path.join(SUBNETS).join(label), checkpoints });
        }
        Extension::None => None,
        Extension::More(gone) => Some(gone),
    };
    let compared = compare(path, data)?;
    belongs::normalisation(path, normalisation)?;
    let trains = summary(path).is_none() || gone.is_some();
    if trains && !DataRecord::trains_alike(path)? {
        say(OTHER_TRAINING);
    }
    if let Some(file) = missing(path) {
        let file = file.display();
        if !is_searched(path, &there) {
            return Err(bare(format!("`{file}`, which is missing, cannot be made again")));
        }
        say(format_args!("`{file}` is missing; it is made again"));
    }
    if compared == DataMatch::OtherTest && forget_results(path, &there)? {
        say("the test split has changed since this run began; all networks are measured again");
    }
    gone.map_or(Ok(()), |gone| extend(path, &gone))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::super::state::record_failure;
    use super::*;
    use crate::data::{DataContent, SplitContent};
    use crate::report::RunState;

    fn normalisation() -> Normalisation {
        Normalisation { white: 255, mean: vec![0.5], std: vec![1.0], images: 9 }
    }

    /// Two classes, and images that are known as `images`, in training, validation and test.
    fn data(classes: [&str; 2], images: [&str; 3]) -> Sources {
        let [train, held_out, test] =
            images.map(|sha256| SplitContent { images: 9, sha256: sha256.to_owned() });
        let data = DataContent { classes: classes.map(str::to_owned).to_vec(), train, held_out, test };
        Sources { data, pretrained: None, teachers: BTreeMap::new() }
    }

    fn known() -> Sources {
        data(["a", "b"], ["t", "h", "e"])
    }

    fn opened(out: &Path, trial: &str, experiment: &str, afresh: bool) -> Result<RunFolder, FolderError> {
        let folder = RunFolder::open(out, "a", trial)?;
        super::begin(&folder, experiment, &known(), &normalisation(), afresh, true)?;
        Ok(folder)
    }

    #[test]
    fn the_same_experiment_goes_on_another_is_refused_and_afresh_nothing_stays() {
        let out = tempfile::tempdir().unwrap();
        let begin = |experiment: &str, afresh| opened(out.path(), "seed=1", experiment, afresh);
        let folder = begin("one", false).unwrap();
        folder.write("subnets/x/plan.ron", b"x").unwrap();
        folder.write("summary.json", b"{}").unwrap();
        std::fs::write(folder.path().join("notes.txt"), "mine").unwrap();
        let path = folder.path().to_owned();
        drop(folder);

        let error = begin("two", false).unwrap_err();
        assert!(matches!(error, FolderError::OtherExperiment { .. }), "{error}");
        // A run that failed before its first epoch leaves nothing to lose.
        let untrained = out.path().join("a/seed=2");
        std::fs::create_dir_all(untrained.join("checkpoints/pretrain")).unwrap();
        std::fs::write(untrained.join("experiment.ron"), "one").unwrap();
        std::fs::write(untrained.join(NORMALISATION), "{}").unwrap();
        let taken = opened(out.path(), "seed=2", "two", false).unwrap();
        assert_eq!(taken.read("experiment.ron").unwrap().as_deref(), Some("two"));
        assert_eq!(belongs::normalisation(taken.path(), &normalisation()).unwrap(), normalisation());
        begin("one", false).unwrap();
        assert!(path.join("summary.json").exists());

        record_failure(&path, "it broke", "all of it").unwrap();
        begin("two", true).unwrap();
        assert_eq!(RunState::of(&path), RunState::Stopped);
        assert!(!path.join("summary.json").exists());
        assert!(!path.join("subnets").exists());
        assert!(path.join("notes.txt").exists());
    }

    #[test]
    fn other_data_are_refused_by_what_differs_and_another_test_split_is_not() {
        let out = tempfile::tempdir().unwrap();
        let folder = opened(out.path(), "seed=1", "one", false).unwrap();
        folder.write("metrics.jsonl", b"{}\n").unwrap();
        let begin = |data: &Sources| {
            super::begin(&folder, "one", data, &normalisation(), false, true)
                .map_err(|error| error.to_string())
        };
        let recorded = || DataRecord::read(folder.path()).unwrap().unwrap().content;
        for (other, told) in [
            (data(["z", "b"], ["t", "h", "e"]), "class 0 was `a`, is now `z`"),
            (data(["a", "b"], ["x", "h", "e"]), "the images of the training split, or their labels,"),
            (data(["a", "b"], ["t", "x", "e"]), "the images of the validation split, or their labels,"),
        ] {
            let error = begin(&other).unwrap_err();
            assert!(error.contains(told), "{error}");
            assert_eq!(recorded(), known());
        }
        let other_test = data(["a", "b"], ["t", "h", "x"]);
        begin(&other_test).unwrap();
        assert_eq!(recorded(), other_test);

        // Results that cannot be measured again are not thrown away.
        folder.write("summary.json", b"{}").unwrap();
        let error = begin(&known()).unwrap_err();
        assert!(error.contains("the test split, which has changed, cannot be measured again"), "{error}");
        assert!(folder.path().join("summary.json").exists());
        folder.write(DATA, b"{").unwrap();
        let error = super::begin(&folder, "one", &known(), &normalisation(), false, true).unwrap_err();
        assert!(error.to_string().contains("data.json` is damaged"), "{error}");
        let help = miette::Diagnostic::help(&error).unwrap().to_string();
        let told = "delete it: the data are then compared by their normalisation, and the weights that the run began from are not";
        assert_eq!(help, told);
    }

    #[test]
    fn a_run_that_an_earlier_version_began_goes_on() {
        let out = tempfile::tempdir().unwrap();
        let folder = opened(out.path(), "seed=1", "one", false).unwrap();
        folder.write("metrics.jsonl", b"{}\n").unwrap();
        std::fs::remove_file(folder.path().join(DATA)).unwrap();
        let older = folder.read(NORMALISATION).unwrap().unwrap().replace("\"std\"", "\"deviation\"");
        folder.write(NORMALISATION, older.as_bytes()).unwrap();
        drop(folder);
        let folder = opened(out.path(), "seed=1", "one", false).unwrap();
        let recorded = DataRecord::read(folder.path()).unwrap().unwrap();
        assert_eq!((recorded.content, recorded.version), (known(), None));
        drop(folder);
        // Another version crops or reads colours a little otherwise, and the run goes on as it began: now, and with its record.
        let begin = |text: String| {
            let folder = RunFolder::open(out.path(), "a", "seed=1").unwrap();
            folder.write(NORMALISATION, text.as_bytes()).unwrap();
            super::begin(&folder, "one", &known(), &normalisation(), false, true)
        };
        for _ in 0..2 {
            assert_eq!(begin(older.replace("0.5", "0.505")).unwrap().mean, [0.505]);
        }
        for other in [older.replace("0.5", "0.6"), older.replace('9', "8"), older.replace("0.5", "0.5,0.5")] {
            let error = begin(other).unwrap_err();
            assert!(matches!(error, FolderError::ChangedNormalisation { .. }), "{error}");
            assert!(!miette::Diagnostic::help(&error).unwrap().to_string().contains("--fresh"));
        }
        assert!(begin("{".to_owned()).unwrap_err().to_string().contains("normalisation.json` is damaged"));
    }

    #[test]
    fn without_a_record_of_the_data_they_are_known_by_their_path() {
        let text = |path: &str| {
            format!(
                "Experiment(name: \"a\", model: (architecture: \"vit\"), data: ImageFolder(path: \"{path}\", image_size: 8), \
                 search: (epochs: 1, optimizer: AdamW(lr: 1e-3), dimensions: {{ \"hidden\": (weight: 0) }}), \
                 budgets: [Share({{ \"hidden\": 0.5 }})])"
            )
        };
        let out = tempfile::tempdir().unwrap();
        let folder = opened(out.path(), "seed=1", &text("imgs"), false).unwrap();
        folder.write("metrics.jsonl", b"{}\n").unwrap();
        let path = folder.path().to_owned();
        drop(folder);
        opened(out.path(), "seed=1", &text("other"), false).unwrap();

        std::fs::write(path.join(EXPERIMENT), text("imgs")).unwrap();
        std::fs::remove_file(path.join(DATA)).unwrap();
        let more = text("other").replace("0.5 })", "0.5 }), Share({ \"hidden\": 0.6 })");
        for other in [text("other"), more] {
            let error = opened(out.path(), "seed=1", &other, false).unwrap_err();
            let FolderError::OtherExperiment { change, .. } = &error else { panic!("{error}") };
            let told = ["`data.path` is `\"", "/imgs\"` there and `\"", "/other\"` here"];
            assert!(told.iter().all(|part| change.contains(part)), "{change}");
        }
        let here = std::path::absolute("imgs").unwrap();
        opened(out.path(), "seed=1", &text(here.to_str().unwrap()), false).unwrap();
    }
}
