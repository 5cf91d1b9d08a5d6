//! Devices that compute a step together.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use thiserror::Error;

use super::step::{Computed, StepSettings};
use super::teacher::Teacher;
use crate::data::Batch;
use crate::device::on_compute_thread;
use crate::models::Architecture;
use crate::panics::panic_message;
use crate::slim::Slim;
use crate::terminal::one_line;

/// The devices of a run. The first has the weights, and it alone evaluates, measures and slices. The others compute their images
/// of each training batch.
#[derive(Clone, Debug)]
pub struct Devices {
    /// The device that has the weights.
    pub first: NamedDevice,
    /// The devices that help it.
    pub others: Vec<NamedDevice>,
}

impl Devices {
    /// A single device, which the user calls `name`.
    pub fn one(name: &str, device: Device) -> Self {
        Self { first: NamedDevice { name: name.to_owned(), device }, others: Vec::new() }
    }
}

/// A device with the name that the user gives it.
#[derive(Clone, Debug)]
pub struct NamedDevice {
    /// The name: `cpu`, `cuda:0`.
    pub name: String,
    /// The device, without autodiff.
    pub device: Device,
}

/// A device that failed in a step.
#[derive(Clone, Debug, Error)]
#[error("{device} failed: {reason}")]
pub struct DeviceError {
    /// Its name, with its place if there are several: `` `cuda:1` (device 2 of 2) ``.
    pub device: String,
    /// Its error, on one line.
    pub reason: String,
}

/// The devices at work. Each after the first has a thread of its own, which stays from step to step: CUDA keeps memory and a
/// queue of work for each thread.
pub(super) struct Team {
    first: Member,
    others: Vec<Worker>,
}

/// A device on the autodiff backend.
#[derive(Clone)]
struct Member {
    /// How an error names the device.
    place: String,
    device: Device,
    /// The teacher, on the device without autodiff.
    teacher: Option<Teacher>,
}

struct Worker {
    member: Member,
    /// Dropped to end the thread.
    work: Option<Sender<Work>>,
    thread: Option<JoinHandle<()>>,
}

type Work = Box<dyn FnOnce() + Send>;
type Answer = Result<Computed, DeviceError>;

impl Team {
    /// The team of `devices`, each with the `teacher` on it.
    pub(super) fn new(devices: &Devices, teacher: Option<&Teacher>) -> Self {
        let count = 1 + devices.others.len();
        let member = |(number, NamedDevice { name, device }): (usize, &NamedDevice)| {
            let place = match count {
                1 => format!("`{name}`"),
                _ => format!("`{name}` (device {number} of {count})"),
            };
            let teacher = teacher.map(|teacher| teacher.clone().moved_to(device));
            Member { place, device: device.clone().autodiff(), teacher }
        };
        let others = (2..).zip(&devices.others).map(|numbered| Worker::start(member(numbered)));
        Self { first: member((1, &devices.first)), others: others.collect() }
    }

    /// Gradients of `batch`, and its loss, penalty and number of right predictions, `[3]`. `slim` and `batch` are on
    /// the first device. The devices compute consecutive parts of the batch, in their order; a small batch leaves the last
    /// devices idle.
    ///
    /// # Errors
    ///
    /// When a device fails: the first failure in the order of the devices.
    pub(super) fn compute<M: Architecture>(
        &self,
        slim: &Slim<M>,
        settings: StepSettings,
        batch: Batch,
    ) -> Result<(GradientsParams, Tensor<1>), DeviceError> {
        let images = batch.len();
        let mut parts = batch.parts(1 + self.others.len());
        let first = parts.next();
        let begun: Vec<_> = self
            .others
            .iter()
            .zip(parts)
            .map(|(worker, part)| (worker, worker.begin(slim, settings, part, images, &self.first.device)))
            .collect();
        let mut answers: Vec<Answer> = Vec::new();
        answers.extend(first.map(|part| {
            let (slim, teacher) = (slim.clone(), self.first.teacher.clone());
            let compute = move || Computed::of(&slim, settings, teacher.as_ref(), part, images);
            // A single device waits for nobody.
            if begun.is_empty() { self.first.begin(compute) } else { self.first.attempt(compute) }
        }));
        // Wait for all, so that none still computes when an error ends the training.
        answers.extend(begun.into_iter().map(|(worker, answer)| worker.end(&answer)));
        let computed = answers.into_iter().collect::<Result<Vec<_>, _>>()?;
        let slim = slim.clone();
        self.on_first(move || Computed::sum(&slim, computed))
    }

    /// Does `work`, which only concerns the first device, without waiting for the device.
    ///
    /// # Errors
    ///
    /// When the device fails.
    pub(super) fn on_first<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, DeviceError> {
        self.first.begin(work)
    }

    /// Waits until the first device has done everything it was given.
    ///
    /// # Errors
    ///
    /// When the device failed.
    pub(super) fn wait(&self) -> Result<(), DeviceError> {
        self.first.attempt(|| ())
    }

    /// The failure of the first device for `reason`, found when its results are read.
    pub(super) fn first_failure(&self, reason: &str) -> DeviceError {
        self.first.failure(reason)
    }
}

impl Member {
    /// Does `work`. The device may still be computing when this returns.
    fn begin<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, DeviceError> {
        catch_unwind(AssertUnwindSafe(|| on_compute_thread(&self.device, work)))
            .map_err(|panic| self.failure(panic_message(&*panic).unwrap_or("it does not say why")))
    }

    /// Does `work`, and waits until the device has done it.
    fn attempt<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, DeviceError> {
        let done = self.begin(work)?;
        self.device.sync().map_err(|error| self.failure(&error.to_string()))?;
        Ok(done)
    }

    fn failure(&self, reason: &str) -> DeviceError {
        DeviceError { device: self.place.clone(), reason: one_line(reason) }
    }
}

impl Worker {
    fn start(member: Member) -> Self {
        let (work, queue) = channel::<Work>();
        let thread =
            Builder::new().name(member.place.clone()).spawn(move || queue.iter().for_each(|work| work()));
        // If the thread cannot be started, its queue is closed, and the first request reports that.
        Self { member, work: Some(work), thread: thread.ok() }
    }

    /// Lets the device compute `part` of a batch of `images`, and move the result `home`.
    fn begin<M: Architecture>(
        &self,
        slim: &Slim<M>,
        settings: StepSettings,
        part: Batch,
        images: usize,
        home: &Device,
    ) -> Receiver<Answer> {
        let (answer, answers) = channel();
        let (member, slim, home) = (self.member.clone(), slim.clone(), home.clone().inner());
        let work = move || {
            let (device, teacher) = (&member.device, member.teacher.clone());
            let computed = member.attempt(move || {
                let (slim, part) = (slim.fork(device), part.moved_to(device));
                Computed::of(&slim, settings, teacher.as_ref(), part, images).moved_to(&home, &slim)
            });
            // It fails when nobody waits any more.
            let _ = answer.send(computed);
        };
        if let Some(queue) = &self.work {
            // If it fails, so does the wait for the answer.
            let _ = queue.send(Box::new(work));
        }
        answers
    }

    /// Waits for the answer to what was started.
    fn end(&self, answer: &Receiver<Answer>) -> Answer {
        answer
            .recv()
            .unwrap_or_else(|_| Err(self.member.failure("its thread could not be started, or stopped early")))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.work = None;
        if let Some(thread) = self.thread.take() {
            // `end` has already reported a thread that stopped early.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};
    use std::time::Duration;

    use burn::module::{Module, ModuleVisitor, Param};

    use super::*;
    use crate::experiment::Distillation;
    use crate::models::{ConfigError, Logits, Vit, VitConfig};
    use crate::nn::Precision;
    use crate::slim::{MaskSet, Slimmable, describe};
    use crate::train::fixture::{batch, step_settings, vit};

    fn cpus(count: usize) -> Devices {
        let cpu = NamedDevice { name: "cpu".to_owned(), device: Device::flex() };
        Devices { first: cpu.clone(), others: vec![cpu; count - 1] }
    }

    fn training() -> Slim<Vit> {
        vit().train().fork(&Device::flex().autodiff())
    }

    fn bits<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_into_vec().unwrap()
    }

    /// What a step measured, and all its gradients, by path.
    fn computed(devices: usize, slim: &Slim<Vit>, settings: StepSettings, batch: &Batch) -> Vec<f32> {
        taught(None, devices, slim, settings, batch)
    }

    /// The same of a step with this teacher.
    fn taught(
        teacher: Option<&Teacher>,
        devices: usize,
        slim: &Slim<Vit>,
        settings: StepSettings,
        batch: &Batch,
    ) -> Vec<f32> {
        struct Gradients(GradientsParams, Vec<f32>);
        impl ModuleVisitor for Gradients {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.1.extend(bits(self.0.get::<D>(param.id).unwrap()));
            }
        }
        let team = Team::new(&cpus(devices), teacher);
        let (gradients, measured) = team.compute(slim, settings, batch.clone()).unwrap();
        let mut gradients = Gradients(gradients, bits(measured));
        slim.visit(&mut gradients);
        gradients.1
    }

    fn furthest(a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len());
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    /// Batches in which all devices have a part, in which the last one has a smaller part, and which are too small for all of
    /// them.
    #[test]
    fn devices_do_what_one_does_part_by_part_to_the_last_bit() {
        let slim = training();
        // A product between two numbers of bf16 may be rounded either way.
        for (precision, tolerance) in [(Precision::F32, 1e-5), (Precision::Bf16, 2e-2)] {
            let settings = StepSettings { label_smoothing: 0.1, precision, ..step_settings() };
            for images in [12, 7, 3, 1] {
                let batch = batch(images);
                let whole = computed(1, &slim, settings, &batch);
                for devices in 1..=4 {
                    let one_by_one = computed(1, &slim, StepSettings { parts: devices, ..settings }, &batch);
                    let together = computed(devices, &slim, settings, &batch);
                    assert!(together == one_by_one, "{images} images on {devices} devices");
                    assert!(furthest(&together, &whole) < tolerance, "{images} images on {devices} devices");
                }
            }
        }
    }

    #[test]
    fn each_device_has_the_teacher() {
        let (slim, batch) = (training(), batch(7));
        let teacher = Teacher::new(vit().model, Distillation::default());
        let alone = computed(1, &slim, step_settings(), &batch);
        let by_logits = taught(Some(&teacher), 1, &slim, step_settings(), &batch);
        let teacher = teacher.comparing(0.5, [None; 2]);
        let whole = taught(Some(&teacher), 1, &slim, step_settings(), &batch);
        assert!(furthest(&by_logits, &alone) > 1e-3, "the teacher teaches nothing");
        assert!(furthest(&whole, &by_logits) > 1e-3, "its features teach nothing");
        for devices in 2..=3 {
            let settings = StepSettings { parts: devices, ..step_settings() };
            let one_by_one = taught(Some(&teacher), 1, &slim, settings, &batch);
            let together = taught(Some(&teacher), devices, &slim, step_settings(), &batch);
            assert!(together == one_by_one, "{devices} devices");
            assert!(furthest(&together, &whole) < 1e-5, "{devices} devices");
        }
    }

    #[test]
    fn each_device_computes_its_images_in_parts() {
        let (slim, batch) = (training(), batch(12));
        let whole = computed(1, &slim, step_settings(), &batch);
        let in_parts = computed(2, &slim, StepSettings { parts: 3, ..step_settings() }, &batch);
        let furthest = furthest(&whole, &in_parts);
        assert!(furthest > 0.0 && furthest < 1e-5, "{furthest}");
    }

    #[test]
    fn the_penalty_counts_once_on_any_number_of_devices() {
        let slim = training();
        let units: usize = describe(&slim.model).unwrap().iter().map(|dimension| dimension.units()).sum();
        let expected = 0.01 * 0.5 * units as f32;
        for devices in [1, 2, 3] {
            let penalty = computed(devices, &slim, step_settings(), &batch(5))[1];
            assert!((penalty - expected).abs() < 1e-5 * expected, "{devices} devices: {penalty}");
        }
    }

    /// A network that computes only while two devices are at it, so that they must compute at the same time.
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
        let slim = Slim { model: Pair { vit: training().model }, masks: MaskSet::default() };
        let team = Team::new(&cpus(3), None);
        // The third has nothing to compute of two images; of six it has the last two.
        for (images, failing) in [(6, true), (2, false), (6, true)] {
            let mut batch = batch(images);
            if failing {
                batch.images = batch.images.slice_fill(4..6, BRIGHT);
            }
            match team.compute(&slim, step_settings(), batch) {
                Err(failure) => {
                    assert!(failing, "{failure}");
                    assert_eq!(failure.to_string(), "`cpu` (device 3 of 3) failed: out of memory");
                }
                Ok(_) => assert!(!failing),
            }
        }
    }
}
