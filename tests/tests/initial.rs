//! The presets start from weights that are drawn by the laws of timm's networks of the same names. The generator is seeded, and one
//! for the whole process: a test binary of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::f64::consts::PI;
use std::sync::{Mutex, PoisonError};

use burn::module::{ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use serde_json::Value;
use vitslim_core::models::{Architecture, ConvNext, DistilledVit, Parameter, Swin, Vit};

/// `vitslim-core/data/timm/README.md` describes it.
const TABLE: &str = include_str!("../../vitslim-core/data/timm/initial.json");

/// How many standard errors a moment may be off.
const SIGMAS: f64 = 5.0;

/// e to minus this is as unlikely.
const UNLIKELY: f64 = 15.0;

/// How far off, relative, a number with the five digits of the table may be.
const ROUNDING: f64 = 5e-5;

/// By which law a parameter is drawn.
#[derive(Clone, Copy, Debug)]
enum Law {
    Constant(f64),
    Normal { std: f64 },
    Uniform { bound: f64 },
}

#[derive(Debug)]
struct Row {
    shape: Vec<usize>,
    law: Law,
}

/// The rows of each preset, by timm's names.
struct Table {
    /// How many networks of timm each row is measured on.
    networks: f64,
    presets: BTreeMap<String, BTreeMap<String, Row>>,
}

fn table() -> Table {
    let mut presets: BTreeMap<String, Value> = serde_json::from_str(TABLE).unwrap();
    let networks = presets.remove("networks").unwrap().as_f64().unwrap();
    let row = |row: Value| {
        let size = |law| row.get(law).and_then(Value::as_f64);
        let law = match (size("constant"), size("normal"), size("uniform")) {
            (Some(value), None, None) => Law::Constant(value),
            (None, Some(std), None) => Law::Normal { std },
            (None, None, Some(bound)) => Law::Uniform { bound },
            _ => panic!("not one law: {row}"),
        };
        Row { shape: serde_json::from_value(row["shape"].clone()).unwrap(), law }
    };
    let rows = |rows| {
        let rows: BTreeMap<String, Value> = serde_json::from_value(rows).unwrap();
        rows.into_iter().map(|(name, values)| (name, row(values))).collect()
    };
    Table { networks, presets: presets.into_iter().map(|(name, values)| (name, rows(values))).collect() }
}

/// What the values of a parameter are like.
struct Sample {
    count: f64,
    low: f64,
    high: f64,
    mean: f64,
    variance: f64,
    kurtosis: f64,
}

impl Sample {
    fn of<const D: usize>(tensor: Tensor<D>) -> Self {
        let data = tensor.into_data();
        let values = data.as_slice::<f32>().unwrap();
        let count = values.len() as f64;
        let (mut low, mut high, mut sum) = (f64::INFINITY, f64::NEG_INFINITY, 0.0);
        for &value in values {
            let value = f64::from(value);
            (low, high) = (low.min(value), high.max(value));
            sum += value;
        }
        let mean = sum / count;
        let (mut second, mut fourth) = (0.0, 0.0);
        for &value in values {
            let square = (f64::from(value) - mean) * (f64::from(value) - mean);
            second += square;
            fourth += square * square;
        }
        let variance = second / count;
        Self { count, low, high, mean, variance, kurtosis: fourth / count / variance.powi(2) }
    }

    /// Why these values are not drawn by `law`, whose size was measured on `networks` times as many values.
    fn contradicts(&self, law: Law, networks: f64) -> Option<String> {
        let &Self { count, low, high, mean, variance, kurtosis } = self;
        let largest = high.max(-low);
        // The third is the variance of a kurtosis of many values, times their number.
        let (expected, kurtosis_expected, kurtosis_error) = match law {
            Law::Constant(value) => {
                let equal = [low, high].iter().all(|&found| found as f32 == value as f32);
                return (!equal).then(|| format!("from {low} to {high}"));
            }
            Law::Normal { std } => (std.powi(2), 3.0, 24.0),
            Law::Uniform { bound } => (bound.powi(2) / 3.0, 1.8, 1.3166),
        };
        // The table's own errors are those of as many networks.
        let error = |of_one: f64| SIGMAS * (of_one / count * (1.0 + 1.0 / networks)).sqrt();
        let is_off = |found: f64, expected: f64, of_one: f64| (found - expected).abs() > error(of_one);
        let largest_is_off = match law {
            Law::Uniform { bound } => {
                let missed = UNLIKELY / count;
                largest > bound * (1.0 + missed / networks + ROUNDING)
                    || largest < bound * (1.0 - missed - ROUNDING)
            }
            _ => {
                // Bounds of how many values are expected beyond the largest.
                let beyond = largest / expected.sqrt();
                let density = (-beyond.powi(2) / 2.0).exp();
                let many = count * density * (2.0 / PI).sqrt() * beyond / (1.0 + beyond.powi(2));
                many > UNLIKELY || count * density < (-UNLIKELY).exp()
            }
        };
        let complaints = [
            (is_off(mean, 0.0, expected), "mean", mean),
            (is_off(variance / expected, 1.0, kurtosis_expected - 1.0), "deviation", variance.sqrt()),
            (is_off(kurtosis, kurtosis_expected, kurtosis_error), "kurtosis", kurtosis),
            (largest_is_off, "largest value", largest),
        ];
        let complaint = complaints.into_iter().find(|(is_off, ..)| *is_off);
        complaint.map(|(_, what, found)| format!("{what} {found} of {count} values"))
    }
}

/// The parameters of a network in the order of [`Parameter::all`].
#[derive(Default)]
struct Samples(Vec<Sample>);

impl ModuleVisitor for Samples {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.push(Sample::of(param.val()));
    }
}

/// timm's name of the row of `parameter`, and timm's shape.
fn timm(parameter: &Parameter) -> (String, Vec<usize>) {
    let mut path: Vec<&str> = parameter.path.split('.').collect();
    if let Some(block) = path.iter().position(|part| *part == "blocks") {
        path[block + 1] = "*";
    }
    if parameter.is_of_norm() {
        let name = path.last_mut().unwrap();
        *name = if *name == "gamma" { "weight" } else { "bias" };
    }
    let mut shape = parameter.shape.clone();
    // Weights are `[inputs, outputs]`.
    if parameter.layer == "Linear" {
        shape.reverse();
    }
    (path.join("."), shape)
}

/// What of the presets of `A` is not as in the table.
fn unlike_timm<A: Architecture>(table: &Table) -> Vec<String> {
    /// Held from seeding to the last draw.
    static GENERATOR: Mutex<()> = Mutex::new(());
    let mut found = Vec::new();
    for (preset, config) in A::presets() {
        let device = Device::flex();
        let model = {
            let _turn = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
            device.seed(17);
            A::init(&config, &device).unwrap()
        };
        let Some(rows) = table.presets.get(preset) else {
            found.push(format!("{preset} is not in the table"));
            continue;
        };
        let mut samples = Samples::default();
        model.visit(&mut samples);
        let mut unused: BTreeSet<&String> = rows.keys().collect();
        for (parameter, sample) in Parameter::all(&model).iter().zip(samples.0) {
            let (name, shape) = timm(parameter);
            unused.remove(&name);
            let wrong = match rows.get(&name) {
                None => Some("not in the table".to_owned()),
                Some(row) if row.shape != shape => Some(format!("{shape:?}, but {:?}", row.shape)),
                Some(row) => sample
                    .contradicts(row.law, table.networks)
                    .map(|complaint| format!("{complaint}, but {:?}", row.law)),
            };
            found.extend(wrong.map(|wrong| format!("{preset}: {}: {wrong}", parameter.path)));
        }
        found.extend(unused.into_iter().map(|row| format!("{preset}: {row} is in no network")));
    }
    found
}

fn assert_like_timm<A: Architecture>() {
    assert_eq!(unlike_timm::<A>(&table()), Vec::<String>::new());
}

#[test]
fn vit() {
    assert_like_timm::<Vit>();
}

#[test]
fn deit_distilled() {
    assert_like_timm::<DistilledVit>();
}

#[test]
fn swin() {
    assert_like_timm::<Swin>();
}

#[test]
fn convnext() {
    assert_like_timm::<ConvNext>();
}

#[test]
fn every_network_of_the_table_is_a_preset() {
    fn names<A: Architecture>() -> impl Iterator<Item = String> {
        A::presets().into_iter().map(|(name, _)| name.to_owned())
    }
    let presets: BTreeSet<String> = names::<Vit>()
        .chain(names::<DistilledVit>())
        .chain(names::<Swin>())
        .chain(names::<ConvNext>())
        .collect();
    assert_eq!(table().presets.into_keys().collect::<BTreeSet<_>>(), presets);
}
