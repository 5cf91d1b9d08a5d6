use std::cell::Cell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor, Param,
    ParamId,
};
use burn::tensor::{Device, Tensor};

thread_local! {
    static IS_VISITED: Cell<bool> = const { Cell::new(false) };
    static IS_SHARED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `map`, which maps a module and makes a copy of it that shares the running states of the original.
pub(super) fn shared<T>(map: impl FnOnce() -> T) -> T {
    IS_SHARED.set(true);
    let mapped = map();
    IS_SHARED.set(false);
    mapped
}

/// Whether what a visitor visits now is a [`RunningState`] and no parameter. Burn's visitors, its `num_params` of tuples and options
/// included, see no difference.
pub(crate) fn is_running_state() -> bool {
    IS_VISITED.get()
}

/// A statistic that the forward pass of training updates, `[channels]`. It is saved with the weights, but is not a
/// parameter: it has no gradient and is not counted.
///
/// Clones share the value, so that what a gated copy of a layer sees reaches the layer itself. Moving to another device,
/// changing to or from validation mode, and mapping make a copy that no longer shares it. (Burn's own running state is also
/// shared by forks, and averages the updates of its threads in the order in which they happen to arrive.)
#[derive(Clone, Debug)]
pub struct RunningState {
    id: ParamId,
    value: Arc<Mutex<Tensor<1>>>,
}

impl RunningState {
    /// A statistic that starts at `value`.
    pub fn new(value: Tensor<1>) -> Self {
        Self::with_id(ParamId::new(), value)
    }

    fn with_id(id: ParamId, value: Tensor<1>) -> Self {
        Self { id, value: Arc::new(Mutex::new(value)) }
    }

    /// The current value.
    pub fn value(&self) -> Tensor<1> {
        self.lock().clone()
    }

    /// Replaces the value, for all clones.
    pub fn update(&self, value: Tensor<1>) {
        *self.lock() = value.detach();
    }

    /// A copy of `map(value)`, which shares nothing with this.
    pub(crate) fn mapped(&self, map: impl FnOnce(Tensor<1>) -> Tensor<1>) -> Self {
        Self::with_id(self.id, map(self.value()))
    }

    fn lock(&self) -> MutexGuard<'_, Tensor<1>> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Module for RunningState {
    fn collect_devices(&self, mut devices: Devices) -> Devices {
        let device = self.value().device();
        if !devices.contains(&device) {
            devices.push(device);
        }
        devices
    }

    fn fork(self, device: &Device) -> Self {
        self.mapped(|value| value.to_device(device).detach())
    }

    fn to_device(self, device: &Device) -> Self {
        self.mapped(|value| value.to_device(device))
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        IS_VISITED.set(true);
        visitor.visit_float(&Param::initialized(self.id, self.value()));
        IS_VISITED.set(false);
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        let param = mapper.map_float(Param::initialized(self.id, self.value()));
        if IS_SHARED.get() {
            return self;
        }
        Self::with_id(param.id, param.val().set_require_grad(false))
    }

    fn valid(&self) -> Self {
        self.mapped(Tensor::without_autodiff)
    }

    fn train(self) -> Self {
        self.mapped(Tensor::from_inner)
    }

    fn materialize(self) -> Self {
        self
    }

    fn num_params(&self) -> usize {
        0
    }
}

impl ModuleDisplayDefault for RunningState {
    fn content(&self, content: Content) -> Option<Content> {
        content.optional()
    }
}

impl ModuleDisplay for RunningState {}
