//! Steps of training that several devices share.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

use burn::module::Module;
use burn::tensor::Device;
use burn::train::TrainOutput;

use super::step::{Share, StepOutput, Trainee};
use crate::data::Batch;
use crate::device::near;
use crate::models::Architecture;
use crate::panics::panic_message;
use crate::terminal::one_line;

/// The devices of a run. The first has the weights, and it alone evaluates, measures and slices; the others compute their
/// share of each training batch.
#[derive(Clone, Debug)]
pub struct Devices {
    /// The first.
    pub first: NamedDevice,
    /// The others.
    pub others: Vec<NamedDevice>,
}

impl Devices {
    /// One device, which a user calls `name`.
    pub fn one(name: &str, device: Device) -> Self {
        Self { first: NamedDevice { name: name.to_owned(), device }, others: Vec::new() }
    }
}

/// A device, and how a user calls it.
#[derive(Clone, Debug)]
pub struct NamedDevice {
    /// Its name: `cuda:0`.
    pub name: String,
    /// The device.
    pub device: Device,
}

/// A device that broke off a step.
#[derive(Debug)]
pub(super) struct DeviceFailure {
    pub(super) device: String,
    pub(super) reason: String,
}

/// The devices of a training at work, each after the first in a thread of its own. The thread stays: CUDA keeps memory and a
/// queue of work for each.
pub(super) struct Team {
    first: Member,
    others: Vec<Worker>,
}

/// A device on the autodiff backend, and what a failure of it is reported by.
#[derive(Clone)]
struct Member {
    place: String,
    device: Device,
}

struct Worker {
    member: Member,
    /// Taken away to end the thread.
    work: Option<Sender<Work>>,
    thread: Option<JoinHandle<()>>,
}

type Work = Box<dyn FnOnce() + Send>;
type Shared = Result<Share, DeviceFailure>;

impl Team {
    pub(super) fn new(devices: &Devices) -> Self {
        let count = 1 + devices.others.len();
        let member = |(number, NamedDevice { name, device }): (usize, &NamedDevice)| {
            let place = match count {
                1 => format!("`{name}`"),
                _ => format!("`{name}` (device {number} of {count})"),
            };
            Member { place, device: device.clone().autodiff() }
        };
        let others = (2..).zip(&devices.others).map(|numbered| Worker::start(member(numbered)));
        Self { first: member((1, &devices.first)), others: others.collect() }
    }

    /// Computes a step of `trainee`, which is on the first device, as is `batch`. Each device computes one share of the batch,
    /// in its order; a batch of few images leaves the last ones idle.
    ///
    /// # Errors
    ///
    /// When a device fails, which is told by the first that did.
    pub(super) fn step<M: Architecture>(
        &self,
        trainee: Trainee<M>,
        batch: Batch,
    ) -> Result<TrainOutput<StepOutput>, DeviceFailure> {
        let images = batch.len();
        let mut shares = batch.clone().parts(1 + self.others.len());
        let first = shares.next();
        let begun: Vec<_> = self
            .others
            .iter()
            .zip(shares)
            .map(|(worker, share)| (worker, worker.begin(&trainee, share, images, &self.first.device)))
            .collect();
        let mut done: Vec<Shared> = Vec::new();
        let here = trainee.clone();
        done.extend(first.map(|share| self.first.attempt(move || here.share(share, images))));
        // All are waited for, so that none still computes when an error ends the training.
        done.extend(begun.into_iter().map(|(worker, share)| worker.end(&share)));
        let shares = done.into_iter().collect::<Result<Vec<_>, _>>()?;
        self.on_first(move || trainee.join(&batch, shares))
    }

    /// Does `work` that is the first device's alone, and does not wait for it.
    ///
    /// # Errors
    ///
    /// When the device fails.
    pub(super) fn on_first<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, DeviceFailure> {
        self.first.begin(work)
    }
}

impl Member {
    /// Does `work`, of which the device may not have done all when this returns.
    fn begin<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, DeviceFailure> {
        catch_unwind(AssertUnwindSafe(|| near(&self.device, work)))
            .map_err(|panic| self.failure(panic_message(&*panic).unwrap_or("it does not say why")))
    }

    /// Does `work`, and waits until the device has done it.
    fn attempt<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, DeviceFailure> {
        let done = self.begin(work)?;
        self.device.sync().map_err(|error| self.failure(&error.to_string()))?;
        Ok(done)
    }

    fn failure(&self, reason: &str) -> DeviceFailure {
        DeviceFailure { device: self.place.clone(), reason: one_line(reason) }
    }
}

impl Worker {
    fn start(member: Member) -> Self {
        let (work, queue) = channel::<Work>();
        let thread =
            Builder::new().name(member.place.clone()).spawn(move || queue.iter().for_each(|work| work()));
        // If it cannot be started, its queue is closed, and the first to ask is told so.
        Self { member, work: Some(work), thread: thread.ok() }
    }

    /// Lets the device compute `share` and bring the result `home`.
    fn begin<M: Architecture>(
        &self,
        trainee: &Trainee<M>,
        share: Batch,
        images: usize,
        home: &Device,
    ) -> Receiver<Shared> {
        let (answer, answers) = channel();
        let (member, trainee, home) = (self.member.clone(), trainee.clone(), home.clone().inner());
        let work = move || {
            let share = member.attempt(|| {
                let trainee = trainee.fork(&member.device);
                trainee.share(share.moved_to(&member.device), images).moved_to(&home, &trainee)
            });
            // It fails when nobody waits any more.
            let _ = answer.send(share);
        };
        if let Some(queue) = &self.work {
            // If it fails, so does the wait for the answer.
            let _ = queue.send(Box::new(work));
        }
        answers
    }

    /// Waits for what was begun.
    fn end(&self, share: &Receiver<Shared>) -> Shared {
        share
            .recv()
            .unwrap_or_else(|_| Err(self.member.failure("its thread could not be started, or broke off")))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.work = None;
        if let Some(thread) = self.thread.take() {
            // One that broke off has been told of by `end`.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};
    use std::time::Duration;

    use burn::module::{ModuleVisitor, Param};
    use burn::optim::GradientsParams;
    use burn::tensor::{Distribution, Tensor, TensorData};
    use burn::train::TrainStep;

    use super::super::step::StepSettings;
    use super::super::watch::Watch;
    use super::*;
    use crate::models::{ConfigError, Logits, Vit, VitConfig};
    use crate::nn::Precision;
    use crate::slim::{MaskSet, MaskSpec, Slim, Slimmable, describe};

    fn cpus(count: usize) -> Devices {
        let cpu = NamedDevice { name: "cpu".to_owned(), device: Device::flex() };
        Devices { first: cpu.clone(), others: vec![cpu; count - 1] }
    }

    fn trainee(clip: Option<f64>) -> Trainee<Vit> {
        trainee_in(Precision::F32, clip)
    }

    fn trainee_in(precision: Precision, clip: Option<f64>) -> Trainee<Vit> {
        let device = Device::flex().autodiff();
        let config = VitConfig {
            image_size: 8,
            patch_size: 4,
            channels: 1,
            classes: 10,
            dim: 12,
            heads: 2,
            depth: 2,
            ..VitConfig::default()
        };
        let model = Vit::init(&config, &device).unwrap();
        let spec = MaskSpec { weight: 0.01, init: 0.5, ..MaskSpec::default() };
        let searched: Vec<_> = describe(&model).unwrap().into_iter().map(|d| (d, spec)).collect();
        let masks = MaskSet::new(&searched, &device);
        let settings = StepSettings { parts: 1, label_smoothing: 0.1, clip, precision };
        Trainee::new(Slim { model, masks }, settings, Watch::default())
    }

    fn batch(images: usize) -> Batch {
        let device = Device::flex().autodiff();
        let labels: Vec<i64> = (0..10).cycle().take(images).collect();
        let labels = Tensor::from_data(TensorData::new(labels, [images]), &device);
        let images = Tensor::random([images, 1, 8, 8], Distribution::Normal(0.0, 1.0), &device);
        Batch { images, labels, epoch: 1, step: 1, seed: 5 }
    }

    fn bits<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_into_vec().unwrap()
    }

    /// Losses, penalty, logits and all gradients of a step, by path.
    fn values(trainee: &Trainee<Vit>, step: TrainOutput<StepOutput>) -> Vec<f32> {
        struct Gradients(GradientsParams, Vec<f32>);
        impl ModuleVisitor for Gradients {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.1.extend(bits(self.0.get::<D>(param.id).unwrap()));
            }
        }
        let StepOutput { cross_entropy, penalty, logits, .. } = step.item;
        let values = [bits(cross_entropy), bits(penalty), bits(logits)].concat();
        let mut gradients = Gradients(step.grads, values);
        trainee.visit(&mut gradients);
        gradients.1
    }

    fn shared(devices: usize, trainee: &Trainee<Vit>, batch: &Batch) -> Vec<f32> {
        let step = Team::new(&cpus(devices)).step(trainee.clone(), batch.clone());
        values(trainee, step.map_err(|failure| failure.reason).unwrap())
    }

    /// Batches that all devices have a part of, that leave the last one a smaller part, and that are too small for all of them.
    #[test]
    fn devices_do_what_one_does_part_by_part_to_the_last_bit() {
        let settings = [
            (Precision::F32, None, 1e-5),
            (Precision::F32, Some(0.3), 1e-5),
            // A product that lies between two numbers of bf16 may be rounded either way.
            (Precision::Bf16, None, 2e-2),
        ];
        for (precision, clip, tolerance) in settings {
            let whole = trainee_in(precision, clip);
            let in_parts = |parts| {
                let settings = StepSettings { parts, label_smoothing: 0.1, clip, precision };
                Trainee::new(whole.slim.clone(), settings, Watch::default())
            };
            for images in [12, 7, 3, 1] {
                let batch = batch(images);
                let expected = values(&whole, TrainStep::step(&whole, batch.clone()));
                for devices in [1, 2, 3, 4] {
                    let one_by_one = in_parts(devices);
                    let one_by_one = values(&one_by_one, TrainStep::step(&one_by_one, batch.clone()));
                    let shared = shared(devices, &whole, &batch);
                    assert!(shared == one_by_one, "{images} images on {devices} devices");
                    assert_eq!(shared.len(), expected.len());
                    let furthest =
                        shared.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                    assert!(furthest < tolerance, "{images} images on {devices} devices: {furthest}");
                }
            }
        }
    }

    #[test]
    fn each_device_computes_its_share_in_parts() {
        let batch = batch(12);
        let whole = trainee(None);
        let settings = StepSettings { parts: 3, label_smoothing: 0.1, clip: None, precision: Precision::F32 };
        let in_parts = Trainee::new(whole.slim.clone(), settings, Watch::default());
        let expected = shared(1, &whole, &batch);
        let in_parts = shared(2, &in_parts, &batch);
        let furthest = in_parts.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(furthest > 0.0 && furthest < 1e-5, "{furthest}");
    }

    #[test]
    fn the_penalty_counts_once_on_any_number_of_devices() {
        let trainee = trainee(None);
        let units: usize =
            describe(&trainee.slim.model).unwrap().iter().map(|dimension| dimension.units()).sum();
        let expected = 0.01 * 0.5 * units as f32;
        for devices in [1, 2, 3] {
            let step =
                Team::new(&cpus(devices)).step(trainee.clone(), batch(5)).map_err(|failure| failure.reason);
            let penalty = bits(step.unwrap().item.penalty)[0];
            assert!(
                (penalty - expected).abs() < 1e-5 * expected,
                "{devices} devices: {penalty}, not {expected}"
            );
        }
    }

    /// A network that computes on its first two devices, when both are at it, and on no other.
    #[derive(Module, Debug, Slimmable)]
    struct Pair {
        #[slim]
        vit: Vit,
    }

    /// A value of the images that no device can compute.
    const BRIGHT: f32 = 1000.0;

    /// How often a forward pass has begun.
    static MEETING: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

    impl Architecture for Pair {
        type Config = VitConfig;

        fn presets() -> Vec<(&'static str, VitConfig)> {
            Vec::new()
        }

        fn init(config: &VitConfig, device: &Device) -> Result<Self, ConfigError> {
            Ok(Self { vit: Vit::init(config, device)? })
        }

        fn forward(&self, images: Tensor<4>) -> Logits {
            let brightest = images.clone().max().into_scalar::<f32>();
            assert!(brightest < BRIGHT, "out of\n memory");
            let (begun, both) = &MEETING;
            let mut begun = begun.lock().unwrap();
            *begun += 1;
            both.notify_all();
            let (_begun, late) =
                both.wait_timeout_while(begun, Duration::from_secs(120), |begun| *begun % 2 == 1).unwrap();
            assert!(!late.timed_out(), "it was alone");
            self.vit.forward(images)
        }
    }

    #[test]
    fn devices_compute_at_the_same_time_and_one_that_fails_is_named() {
        let vit = trainee(None);
        let slim = Slim { model: Pair { vit: vit.slim.model }, masks: MaskSet::default() };
        let settings = StepSettings { parts: 1, label_smoothing: 0.0, clip: None, precision: Precision::F32 };
        let trainee = Trainee::new(slim, settings, Watch::default());
        let team = Team::new(&cpus(3));
        // The third has nothing to compute of two images; of six it has the last two.
        for (images, failing) in [(6, true), (2, false), (6, true)] {
            let mut batch = batch(images);
            if failing {
                batch.images = batch.images.slice_fill(4..6, BRIGHT);
            }
            match team.step(trainee.clone(), batch) {
                Err(DeviceFailure { device, reason }) => {
                    assert!(failing);
                    assert_eq!(
                        (device.as_str(), reason.as_str()),
                        ("`cpu` (device 3 of 3)", "out of memory")
                    );
                }
                Ok(_) => assert!(!failing),
            }
        }
    }
}
