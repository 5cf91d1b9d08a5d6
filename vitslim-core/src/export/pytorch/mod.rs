//! PyTorch: a Python file that computes the network, a line for each operation.

mod operation;
mod writer;

use super::error::ExportError;
use super::feature::Feature;
use super::trace::Trace;
use writer::Writer;

/// The file, but for what is in braces.
const TEMPLATE: &str = include_str!("template.py");

/// A Python file, and the tensors that it reads beside the parameters.
pub(super) struct Module {
    /// Its text.
    pub text: String,
    /// Constants that are too long for the text: names, and tensors in the layout of Burn.
    pub constants: Vec<(String, burn::tensor::TensorData)>,
}

/// What the network is called with, and what comes out, but for what is in braces.
const USE: &str = "logits{more} = network(images)  # [batch, channels, height, width] to [batch, classes]";

/// What else comes out, if anything does.
const FEATURES: &str = "

`features` has the values that come out of modules, by their paths; `network.description[\"features\"]` says of each what shape it has,
and which tokens and units of the dense network.";

/// The Python file `module` for the network that was recorded as `trace`, with `features` as outputs too. `title` says what it is.
/// `transposed` tells the parameters whose layout in the file of weights is that of PyTorch, and not that of Burn.
///
/// # Errors
///
/// When an operation has no form in PyTorch.
pub(super) fn module(
    trace: &Trace,
    features: &[Feature],
    module: &str,
    title: &str,
    transposed: impl Fn(&str) -> bool,
) -> Result<Module, ExportError> {
    let mut writer = Writer::new(trace, features, &transposed);
    let mut place = "";
    for (index, operation) in trace.operations.iter().enumerate() {
        if operation.place != place {
            place = &operation.place;
            writer.comment(place);
        }
        let written = operation::expression(&operation.ir, &mut writer);
        let (out, expression) = written.ok_or_else(|| operation.unwritten("PyTorch"))?;
        writer.assign(index, &operation.ir, out, expression);
    }
    let running = trace.known.values().filter(|known| known.is_parameter && is_running(&known.name));
    let mut buffers: Vec<&str> = running.map(|known| known.name.as_str()).collect();
    buffers.extend(writer.constants.iter().map(|(name, _)| name.as_str()));
    buffers.sort_unstable();
    let buffers = if buffers.is_empty() { "set()".to_owned() } else { set(&buffers) };
    let (more, about) = if features.is_empty() { ("", "") } else { (", features", FEATURES) };
    let text = TEMPLATE
        .replace("{use}", &USE.replace("{more}", more))
        .replace("{features}", about)
        .replace("{title}", title)
        .replace("{module}", module)
        .replace("{version}", env!("CARGO_PKG_VERSION"))
        .replace("{buffers}", &buffers)
        .replace("{forward}", &writer.finish());
    Ok(Module { text, constants: writer.constants })
}

/// Whether a parameter of Burn's is a running statistic, which PyTorch does not count as one.
fn is_running(name: &str) -> bool {
    name.ends_with(".running_mean") || name.ends_with(".running_var")
}

fn set(names: &[&str]) -> String {
    let lines: Vec<_> = names.iter().map(|name| format!("    \"{name}\",\n")).collect();
    format!("{{\n{}}}", lines.concat())
}
