//! Hard-masked and sliced networks are the same function, for random architectures, masks and plans, in f64: by the
//! functions of `vitslim selftest`, which draws fewer, in f32. The float
//! type is set once a process, so this is a test binary of its own.

mod branches;
mod drawn;
mod forms;
mod hybrid;
mod limits;
mod sliced;
mod tied;
mod twice;
mod widths;

use std::sync::OnceLock;

use burn::tensor::{Device, FloatDType, Int, Tensor, TensorData};
use vitslim_core::models::Architecture;
use vitslim_core::selftest::slicing::{relative_difference, trains_after_slicing};
use vitslim_core::slim::{Dimension, Plan, describe};

use hybrid::Hybrid;

const TOLERANCE: f64 = 1e-10;

fn device() -> Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    let device = DEVICE.get_or_init(|| {
        let mut device = Device::flex();
        device.configure(FloatDType::F64).expect("flex computes in f64");
        device
    });
    device.clone()
}

fn difference<A: Architecture>(a: &A, b: &A, images: &Tensor<4>) -> f64 {
    relative_difference(a, b, images).unwrap_or_else(|failure| panic!("{failure}"))
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().try_into_vec::<f64>().expect("computed in f64")
}

/// Whether all layers that carry `dimension` are in other branches that `plan` cuts.
fn goes(plan: &Plan, dimension: &Dimension) -> bool {
    let is_cut = |branch: &String| {
        *branch != dimension.path && plan.get(branch).is_some_and(|cut| cut.keep.is_empty())
    };
    !dimension.carriers.is_empty()
        && dimension.carriers.iter().all(|carrier| carrier.branches.iter().any(is_cut))
}

/// Each width has one path, by whatever names layers borrow it.
#[test]
fn what_is_lent_keeps_its_path() {
    let model = Hybrid::init(&(vec![(4, 1), (6, 2)], 5, [2, 3]), &device()).unwrap();
    let found: Vec<_> = describe(&model)
        .unwrap()
        .into_iter()
        .map(|dimension| {
            let gated = |gated| if gated { "!" } else { "" };
            let carriers = dimension.carriers.iter();
            let carriers: Vec<_> =
                carriers.map(|c| format!("{} {}{}", c.layer, c.side, gated(c.gated))).collect();
            (dimension.path, dimension.groups, carriers.join(", "))
        })
        .collect();
    let hidden = |place: &str, writers: usize, read: &str| {
        let write: Vec<_> = (0..writers).map(|writer| format!("{place}.write.{writer} output!")).collect();
        let carriers = format!("{}, {read}", write.join(", "));
        (format!("{place}.hidden"), vec![3], carriers)
    };
    let both = |place: &str| format!("{place}.read.0 input, {place}.read.1 input");
    let block = |place: &str, writers: usize| {
        let write: Vec<_> = (0..writers).map(|writer| format!("{place}.write.{writer} input")).collect();
        let read: Vec<_> = (0..writers).map(|reader| format!("{place}.read.{reader} output!")).collect();
        format!("{place}.norm output!, {}, {}", write.join(", "), read.join(", "))
    };
    let grouped = "qkv.0 output!, qkv.1 output!, qkv.2 output!, attention.inner.proj input";
    let width = format!(
        "embed.0 output!, embed.1 output!, {}, stages.0.step.0 output!, stages.0.step.1 input",
        block("before", 2)
    );
    let first = format!(
        "stages.0.step.1 output!, {}, stages.1.step.0 output!, stages.1.step.1 input, side.fc input",
        block("stages.0.blocks.0", 1)
    );
    let last = format!(
        "stages.1.step.1 output!, {}, {}, norm output!, qkv.0 input, qkv.1 input, qkv.2 input, attention.inner.proj output!, \
         head input",
        block("stages.1.blocks.0", 2),
        block("stages.1.blocks.1", 2)
    );
    let expected = [
        ("head_dim".into(), vec![3, 3], grouped.into()),
        ("width".into(), vec![5], width),
        hidden("before", 2, &both("before")),
        ("stages.0.width".into(), vec![4], first),
        hidden("stages.0.blocks.0", 1, "stages.0.blocks.0.read.0 input"),
        ("stages.1.width".into(), vec![6], last),
        hidden("stages.1.blocks.0", 2, &both("stages.1.blocks.0")),
        hidden("stages.1.blocks.1", 2, &both("stages.1.blocks.1")),
    ];
    assert_eq!(found, expected);
}

#[test]
fn after_slicing_one_training_step_changes_every_parameter() {
    trains_after_slicing(&device()).unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn a_norm_over_a_sliced_width_takes_the_rest_as_zeros() {
    use vitslim_core::nn::LayerNormConfig;
    use vitslim_core::slim::{Output, SlimLayer};

    let device = device();
    let norm = LayerNormConfig::new(4).init(&device);
    let kept = Tensor::<1, Int>::from_data(TensorData::from([0_i64, 2]), &device);
    let full = Tensor::<2>::from_data(TensorData::from([[1.0_f64, 0.0, 4.0, 0.0]]), &device);
    let cut = Tensor::<2>::from_data(TensorData::from([[1.0_f64, 4.0]]), &device);
    let (full, cut) = (host(norm.forward(full)), host(norm.select(Output, kept).forward(cut)));
    assert!((full[0] - cut[0]).abs() < 1e-12 && (full[2] - cut[1]).abs() < 1e-12, "{full:?} {cut:?}");
}
