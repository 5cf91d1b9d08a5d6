//! Stops a training whose loss is not finite any more, or whose device fails.

use std::fmt;
use std::sync::{Arc, Mutex};

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use burn::train::Interrupter;

/// Where a loss was not finite.
#[derive(Clone, Debug)]
pub(super) struct NotFinite {
    pub(super) epoch: usize,
    pub(super) step: usize,
    pub(super) loss: f64,
    /// Parameter with the largest gradient, or the first with one that is no number, and its size.
    pub(super) gradient: Option<(String, f64)>,
}

/// What ended a training.
#[derive(Clone, Debug)]
pub(super) enum Trouble {
    NotFinite(NotFinite),
    /// The device failed, for this reason.
    Device(String),
}

/// Shared by a stage and the model that it trains.
#[derive(Clone, Default)]
pub(super) struct Watch {
    interrupter: Interrupter,
    found: Arc<Mutex<Option<Trouble>>>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

impl Watch {
    pub(super) fn new(interrupter: Interrupter) -> Self {
        Self { interrupter, found: Arc::default() }
    }

    /// Keeps the first report and stops the training.
    pub(super) fn report(&self, trouble: Trouble) {
        if let Ok(mut found) = self.found.lock() {
            found.get_or_insert(trouble);
        }
        self.interrupter.stop(None);
    }

    pub(super) fn found(&self) -> Option<Trouble> {
        self.found.lock().ok()?.clone()
    }
}

/// The parameter of `module` with the largest gradient, by absolute value.
pub(super) fn largest_gradient<M: Module>(module: &M, gradients: &GradientsParams) -> Option<(String, f64)> {
    let mut largest = Largest { gradients, path: Vec::new(), found: None };
    module.visit(&mut largest);
    largest.found
}

struct Largest<'a> {
    gradients: &'a GradientsParams,
    path: Vec<String>,
    found: Option<(String, f64)>,
}

impl ModuleVisitor for Largest<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.get::<D>(param.id) else { return };
        if gradient.shape().num_elements() == 0 {
            return;
        }
        let Ok(size) = gradient.abs().max().try_into_scalar::<f64>() else { return };
        let known = self.found.as_ref().map(|(_, known)| *known);
        if known.is_none_or(|known| !known.is_nan() && (size.is_nan() || size > known)) {
            self.found = Some((self.path.join("."), size));
        }
    }
}
