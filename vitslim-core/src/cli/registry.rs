use std::path::Path;

use burn::tensor::Device;
use schemars::Schema;

use crate::bench::{BenchSetting, Benched, Source, count, count_as_vit_slim, networks};
use crate::check::{check_experiment, listed};
use crate::experiment::{
    Document, ExperimentError, ExperimentErrors, Node, Trial, Trials, Value, did_you_mean,
};
use crate::export::{Files, Format, SubnetFile, export};
use crate::models::{Architecture, ConvNext, DistilledVit, Swin, Vit};
use crate::plan::{Planning, plan};
use crate::reference::{config_schema, starter};
use crate::report::{
    CountedNetwork, Evaluation, ExperimentCheck, Frontier, ListedArchitecture, PlannedTrial, Summary,
    VitSlimNetwork,
};
use crate::run::{
    EvaluationSetting, FrontierPoints, Known, Opener, PrepareError, Prepared, RunError, RunFolder, Scrutiny,
    Setting, Subnet, Target, Teachers, config_mistakes, cut_further, evaluate, evaluate_subnet, execute,
    frontier, open_teacher,
};
use crate::terminal::say;

/// The place where an experiment names its architecture.
const ARCHITECTURE: [&str; 2] = ["model", "architecture"];

/// The architectures that experiments can name.
#[derive(Default)]
pub struct Registry {
    entries: Vec<(&'static str, Commands)>,
}

/// What commands can do with a trial, for one architecture.
#[derive(Clone, Copy)]
pub(super) struct Commands {
    /// Finds mistakes in its configuration, as far as the file shows them.
    mistakes: fn(&Document) -> Vec<ExperimentError>,
    /// Checks the trial and its architecture.
    pub check: fn(&Trial, &Teachers, Scrutiny, Option<Planning>) -> ExperimentCheck,
    /// Plans a run of the trial.
    pub plan: fn(&Trial, &mut Planning) -> Result<PlannedTrial, RunError>,
    /// Writes the trial as a file with every default spelled out.
    pub resolved: fn(&Trial) -> Result<String, PrepareError>,
    /// Runs the trial.
    pub run: Runner,
    /// Cuts further sub-networks out of its run.
    pub slim: Slimmer,
    /// Evaluates networks of many sizes out of its run.
    pub frontier: fn(&Trial, &Path, FrontierPoints, &Setting) -> Result<Frontier, RunError>,
    /// Evaluates a network of its run.
    pub eval: fn(&Trial, &Target, &EvaluationSetting) -> Result<Evaluation, RunError>,
    /// Evaluates a network that is by itself in a file.
    pub eval_file: fn(&Trial, SubnetFile, &EvaluationSetting) -> miette::Result<Evaluation>,
    /// The files of a network of its run for another program, and notes for the user.
    pub export: Exporter,
    /// Opens a network of another run or program that teaches one of its stages.
    teacher: Opener,
    /// Builds the networks to benchmark, from the experiment or from its run.
    pub bench: fn(&Trial, &Source, &BenchSetting) -> Result<Benched, RunError>,
    /// Counts the networks of the experiment or of its run, layer by layer.
    pub count: fn(&Trial, &Source) -> miette::Result<Vec<CountedNetwork>>,
    /// Counts them as ViT-Slim does.
    pub count_as_vit_slim: fn(&Trial, &Source) -> miette::Result<Vec<VitSlimNetwork>>,
    /// Describes the architecture.
    listed: fn(&str) -> ListedArchitecture,
    /// The schema of the architecture's configuration.
    config_schema: fn() -> Schema,
}

type Exporter = fn(&Trial, &Target, Format, &[String], &Path) -> miette::Result<(Files, Vec<String>)>;

type Slimmer = fn(&Trial, &Path, &Teachers, bool, &Setting) -> Result<Summary, RunError>;

type Runner = fn(&Trial, &Teachers, &Setting) -> Result<(RunFolder, Summary), RunError>;

impl Commands {
    fn of<A: Architecture>() -> Self {
        Self {
            mistakes: config_mistakes::<A>,
            check: check_experiment::<A>,
            plan: plan::<A>,
            resolved: |trial| Prepared::<A>::new(trial)?.resolved(),
            run: run::<A>,
            slim: cut_further::<A>,
            frontier: frontier::<A>,
            eval: evaluate::<A>,
            eval_file: eval_file::<A>,
            export: export_network::<A>,
            teacher: open_teacher::<A>,
            bench: networks::<A>,
            count: count::<A>,
            count_as_vit_slim: count_as_vit_slim::<A>,
            listed: listed::<A>,
            config_schema: config_schema::<A::Config>,
        }
    }
}

impl Registry {
    /// The architectures that come with vitslim.
    pub fn builtin() -> Self {
        Self::default()
            .with::<Vit>("vit")
            .with::<DistilledVit>("deit_distilled")
            .with::<Swin>("swin")
            .with::<ConvNext>("convnext")
    }

    /// Adds an architecture under the name that experiments use. It replaces an earlier one with the same name.
    pub fn with<A: Architecture>(mut self, name: &'static str) -> Self {
        self.entries.retain(|(known, _)| *known != name);
        self.entries.push((name, Commands::of::<A>()));
        self
    }

    /// Names of the architectures.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.entries.iter().map(|(name, _)| *name)
    }

    /// A description of each architecture.
    pub(super) fn listed(&self) -> Vec<ListedArchitecture> {
        self.entries.iter().map(|(name, commands)| (commands.listed)(name)).collect()
    }

    /// The text of an experiment called `name` to start from; `None` if there is no such architecture.
    pub(super) fn starter(&self, name: &str, architecture: &str) -> Option<String> {
        let (known, commands) = self.entries.iter().find(|(known, _)| *known == architecture)?;
        Some(starter(name, &(commands.listed)(known), &(commands.config_schema)()))
    }

    /// The schema of each architecture's configuration.
    pub(super) fn config_schemas(&self) -> Vec<(&'static str, Schema)> {
        self.entries.iter().map(|(name, commands)| (*name, (commands.config_schema)())).collect()
    }

    /// The trials of `document`.
    ///
    /// # Errors
    ///
    /// All mistakes in the file, including its models. Mistakes in data and networks are left to the commands.
    pub(super) fn trials(&self, document: &Document) -> Result<Trials, ExperimentErrors> {
        Trials::new(document, |trial| {
            let stages = ["pretrain", "search", "retrain"];
            let teachers = stages.iter().filter_map(|stage| trial.of_teacher(stage));
            let of_teachers: Vec<_> = teachers.flat_map(|teacher| self.mistakes(&teacher)).collect();
            self.mistakes(trial).into_iter().chain(of_teachers).collect()
        })
    }

    /// The mistakes in the model of `document`, as far as the file shows them.
    fn mistakes(&self, document: &Document) -> Vec<ExperimentError> {
        match document.at(&ARCHITECTURE) {
            Some(Node { value: Value::String(name), .. }) => match self.find(document, name) {
                Ok(commands) => (commands.mistakes)(document),
                Err(unknown) => unknown.into_iter().collect(),
            },
            // The types report that it is missing, or not a string. A teacher may leave it out.
            _ => Vec::new(),
        }
    }

    /// The architectures that a teacher can have.
    pub(super) fn teachers(&self) -> Teachers {
        Teachers::new(self.entries.iter().map(|(name, commands)| (*name, commands.teacher)))
    }

    /// The plan of a run of each of `trials`.
    ///
    /// # Errors
    ///
    /// The mistakes of all trials, or the error of the first one that cannot be planned, with its name in a sweep.
    pub(super) fn plan(&self, trials: &Trials, planning: &mut Planning) -> miette::Result<Vec<PlannedTrial>> {
        planning.teachers = self.teachers();
        let mut name = None;
        let plan = |trial: &Trial| {
            name.clone_from(&trial.swept);
            (self.commands(trial)?.plan)(trial, planning)
        };
        trials.each(plan, RunError::errors).map_err(|error| match name {
            // Mistakes are told at their place in the file.
            Some(name) if RunError::errors(&error).is_none() => {
                miette::Report::from(error).wrap_err(format!("the trial {name} cannot be planned"))
            }
            _ => error.into(),
        })
    }

    /// The commands for `trial`.
    ///
    /// # Errors
    ///
    /// When its architecture is unknown.
    pub(super) fn commands(&self, trial: &Trial) -> Result<Commands, ExperimentErrors> {
        self.find(&trial.document, &trial.experiment.model.architecture)
    }

    fn find(&self, document: &Document, wanted: &str) -> Result<Commands, ExperimentErrors> {
        let known = self.entries.iter().find(|(name, _)| *name == wanted);
        known.map(|(_, commands)| *commands).ok_or_else(|| {
            let hint = did_you_mean(wanted, self.names());
            let names: Vec<_> = self.names().collect();
            let help = format!("architectures: {}", names.join(", "));
            document.error(&ARCHITECTURE, format!("unknown architecture `{wanted}`{hint}"), Some(help))
        })
    }
}

fn run<A: Architecture>(
    trial: &Trial,
    teachers: &Teachers,
    setting: &Setting,
) -> Result<(RunFolder, Summary), RunError> {
    let mut known = Known::of_runs_in(setting.out, setting.quiet);
    let (prepared, dense) = Prepared::<A>::of_sweep(trial, &mut known)?;
    let prepared = prepared.with_teachers(trial, teachers, &mut known)?;
    for note in &prepared.data.notes {
        say(format_args!("data: {note}"));
    }
    for note in &prepared.pretrained_notes {
        say(format_args!("pretrained: {note}"));
    }
    for (stage, teacher) in &prepared.teachers {
        for note in &teacher.notes {
            say(format_args!("teacher of {stage}: {note}"));
        }
    }
    execute(&prepared, dense, setting)
}

fn eval_file<A: Architecture>(
    trial: &Trial,
    file: SubnetFile,
    setting: &EvaluationSetting,
) -> miette::Result<Evaluation> {
    Ok(evaluate_subnet::<A>(trial, &file.load(setting.device)?, setting)?)
}

fn export_network<A: Architecture>(
    trial: &Trial,
    target: &Target,
    format: Format,
    features: &[String],
    out: &Path,
) -> miette::Result<(Files, Vec<String>)> {
    let (subnet, mut notes) = Subnet::<A>::open(trial, target, &Device::flex())?;
    notes.extend(format.note(&subnet).map(str::to_owned));
    Ok((export(&subnet, format, features, out)?, notes))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use burn::module::Module;
    use burn::tensor::{Device, Tensor};
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};
    use vitslim_macros::Slimmable;

    use super::*;
    use crate::models::{ConfigError, Logits, VitConfig};
    use crate::train::{Devices, Interrupter};

    static READ: AtomicUsize = AtomicUsize::new(0);
    static MADE: AtomicUsize = AtomicUsize::new(0);

    /// A configuration that counts how often it is read.
    #[derive(Clone, Serialize, Deserialize, JsonSchema)]
    #[serde(from = "VitConfig", into = "VitConfig")]
    struct CountedConfig(VitConfig);

    impl From<VitConfig> for CountedConfig {
        fn from(config: VitConfig) -> Self {
            READ.fetch_add(1, Ordering::Relaxed);
            Self(config)
        }
    }

    impl From<CountedConfig> for VitConfig {
        fn from(config: CountedConfig) -> Self {
            config.0
        }
    }

    /// A network that counts how often it is made.
    #[derive(Module, Debug, Slimmable)]
    struct Counted {
        #[slim]
        vit: Vit,
    }

    impl Architecture for Counted {
        type Config = CountedConfig;

        fn presets() -> Vec<(&'static str, CountedConfig)> {
            Vec::new()
        }

        fn init(config: &CountedConfig, device: &Device) -> Result<Self, ConfigError> {
            MADE.fetch_add(1, Ordering::Relaxed);
            Ok(Self { vit: Vit::init(&config.0, device)? })
        }

        fn forward(&self, images: Tensor<4>) -> Logits {
            self.vit.forward(images)
        }
    }

    #[test]
    fn a_configuration_is_read_with_its_file_and_its_data_and_a_network_is_made_three_times() {
        let text = "Experiment(name: \"a\", model: (architecture: \"counted\", config: (patch_size: 4, dim: 8, depth: 1, heads: 2)), \
                    data: Random(image_size: 8, channels: 1, classes: 3, images: 40), \
                    search: (epochs: 1, batch: 10, optimizer: AdamW(lr: 1e-3), dimensions: { \"hidden\": (weight: 1e-4) }), \
                    budgets: [Share({ \"hidden\": 0.5 })])";
        let counts = || (READ.load(Ordering::Relaxed), MADE.load(Ordering::Relaxed));
        let registry = Registry::default().with::<Counted>("counted");
        let document = Document::parse("a.ron", text, &[]).unwrap();
        let trial = registry.trials(&document).unwrap().only().unwrap();
        assert_eq!(counts(), (1, 0));
        let out = tempfile::tempdir().unwrap();
        let setting = Setting {
            out: out.path(),
            devices: &Devices::one("cpu", Device::flex()),
            device_name: "cpu",
            afresh: false,
            interrupter: Interrupter::new(),
            loader_threads: None,
            quiet: true,
        };
        (registry.commands(&trial).unwrap().run)(&trial, &registry.teachers(), &setting).unwrap();
        // To be checked, and to be trained.
        assert_eq!(counts(), (2, 2));
    }
}
