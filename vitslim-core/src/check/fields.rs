//! The fields of a model, whether they hold parameters or not.

use burn::module::{Module, ModuleVisitor};

/// Paths of all fields of `model` that are modules, as it is taken apart: `blocks`, `blocks.0`, `blocks.0.fc1`.
pub(super) fn fields<M: Module>(model: &M) -> Vec<String> {
    let mut fields = Fields::default();
    model.visit(&mut fields);
    fields.found
}

#[derive(Default)]
struct Fields {
    path: Vec<String>,
    found: Vec<String>,
}

impl ModuleVisitor for Fields {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
        self.found.push(self.path.join("."));
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
}
