//! The lines of `forward`, as they are written one after the other.

use std::collections::{BTreeSet, HashMap};

use burn::tensor::TensorData;
use burn_capture::TensorId;
use burn_ir::{OperationIr, ScalarIr, TensorIr};

use crate::export::feature::Feature;
use crate::export::trace::{Size, Trace};

/// Most letters of an expression that is put together of several.
const WIDTH: usize = 100;

/// Longest list of numbers that is written into the text.
const LONGEST: usize = 1024;

/// Writes the lines of a trace.
pub(super) struct Writer<'a> {
    trace: &'a Trace,
    features: &'a [Feature],
    transposed: &'a dyn Fn(&str) -> bool,
    lines: Vec<Line>,
    /// Constants that are too long for the text.
    pub constants: Vec<(String, TensorData)>,
    /// The variable of each tensor that is still read.
    variables: HashMap<TensorId, String>,
    /// The last operation that reads each tensor.
    last: HashMap<TensorId, usize>,
    /// Numbers of the variables that are free again.
    free: BTreeSet<usize>,
    count: usize,
}

/// A line of `forward`.
enum Line {
    Comment(String),
    /// A variable, and what it is.
    Assignment(String, String),
}

/// A parameter or constant in the text.
pub(super) struct Named {
    /// The expression for it.
    pub expression: String,
    /// Whether it is there in the layout of PyTorch's linear layers, and not in that of Burn's.
    pub transposed: bool,
}

impl<'a> Writer<'a> {
    pub fn new(trace: &'a Trace, features: &'a [Feature], transposed: &'a dyn Fn(&str) -> bool) -> Self {
        let reads = trace.operations.iter().enumerate();
        let reads =
            reads.flat_map(|(index, operation)| operation.ir.inputs().map(move |input| (input.id, index)));
        // Outputs are read at the end.
        let outputs = features.iter().map(|feature| (feature.tensor.id, usize::MAX));
        Self {
            trace,
            features,
            transposed,
            lines: Vec::new(),
            constants: Vec::new(),
            variables: HashMap::from([(trace.images, "images".to_owned())]),
            last: reads.chain(outputs).collect(),
            free: BTreeSet::new(),
            count: 0,
        }
    }

    /// Says to which module the following lines belong.
    pub fn comment(&mut self, place: &str) {
        let place = if place.is_empty() { "the network" } else { place };
        self.lines.push(Line::Comment(place.to_owned()));
    }

    /// Writes that `out`, made by `operation` number `index`, is `expression`. Variables that are not read again are free, so that what
    /// they hold is not kept either.
    pub fn assign(&mut self, index: usize, operation: &OperationIr, out: &TensorIr, mut expression: String) {
        for input in operation.inputs().filter(|input| self.last.get(&input.id) == Some(&index)) {
            let Some(variable) = self.variables.remove(&input.id) else { continue };
            if let Some(whole) = self.chained(&variable, &expression) {
                expression = whole;
                self.lines.pop();
            }
            self.free.extend(variable.strip_prefix('x').and_then(|number| number.parse::<usize>().ok()));
        }
        let number = self.free.pop_first().unwrap_or_else(|| {
            self.count += 1;
            self.count - 1
        });
        let variable = format!("x{number}");
        self.lines.push(Line::Assignment(variable.clone(), expression));
        self.variables.insert(out.id, variable);
    }

    /// `expression`, a call of a method of `variable`, behind the expression for `variable`, if that is the line before.
    fn chained(&self, variable: &str, expression: &str) -> Option<String> {
        let Some(Line::Assignment(before, made)) = self.lines.last() else { return None };
        let call = expression.strip_prefix(variable).filter(|call| call.starts_with(['.', '[']))?;
        let fits = before == variable && !is_sum(made) && !call.contains(variable);
        (fits && made.len() + call.len() < WIDTH).then(|| format!("{made}{call}"))
    }

    /// The lines of `forward`.
    pub fn finish(&mut self) -> String {
        let line = |line: &Line| match line {
            Line::Comment(text) => format!("        # {text}\n"),
            Line::Assignment(variable, expression) => format!("        {variable} = {expression}\n"),
        };
        let lines: String = self.lines.iter().map(line).collect();
        let logits = self.variables.get(&self.trace.logits).map_or("images", String::as_str);
        if self.features.is_empty() {
            return format!("{lines}        return {logits}\n");
        }
        let feature = |Feature { name, tensor, .. }: &Feature| {
            let variable = self.variables.get(&tensor.id).map_or("images", String::as_str);
            format!("            \"{name}\": {variable},\n")
        };
        let features: String = self.features.iter().map(feature).collect();
        format!("{lines}        features = {{\n{features}        }}\n        return {logits}, features\n")
    }

    /// The expression for `tensor` in the layout of Burn; `None` if there is none.
    pub fn tensor(&mut self, tensor: &TensorIr) -> Option<String> {
        if let Some(variable) = self.variables.get(&tensor.id) {
            return Some(variable.clone());
        }
        let Named { expression, transposed } = self.named(tensor)?;
        Some(if transposed { format!("{expression}.T") } else { expression })
    }

    /// `tensor`, if it is known beforehand.
    pub fn named(&mut self, tensor: &TensorIr) -> Option<Named> {
        let known = self.trace.known.get(&tensor.id)?;
        if !known.is_parameter && self.constants.iter().all(|(name, _)| *name != known.name) {
            self.constants.push((known.name.clone(), known.data.clone()));
        }
        let part = |part: &str| match part.parse::<usize>() {
            Ok(number) => format!("[{number}]"),
            Err(_) => format!(".{part}"),
        };
        let path: String = known.name.split('.').map(part).collect();
        let transposed = known.is_parameter && (self.transposed)(&known.name);
        Some(Named { expression: format!("self{path}"), transposed })
    }

    /// The whole numbers in `tensor` as a list, if they are known beforehand and few.
    pub fn list(&self, tensor: &TensorIr) -> Option<String> {
        let data = &self.trace.known.get(&tensor.id).filter(|known| !known.is_parameter)?.data;
        let short = data.shape().as_slice().len() == 1 && data.num_elements() <= LONGEST;
        short.then(|| format!("{:?}", data.iter::<i64>().collect::<Vec<_>>()))
    }

    /// The sizes of `tensor`, with commas between.
    pub fn sizes(&self, tensor: &TensorIr) -> String {
        let sizes: Vec<_> = self.trace.sizes(tensor).iter().map(size).collect();
        sizes.join(", ")
    }

    /// The size of `tensor` along `axis`.
    pub fn size(&self, tensor: &TensorIr, axis: usize) -> Option<Size> {
        self.trace.sizes(tensor).get(axis).copied()
    }
}

/// Whether `expression` has operators outside of all brackets.
fn is_sum(expression: &str) -> bool {
    let mut depth = 0;
    expression.starts_with(['-', '~'])
        || expression.chars().any(|letter| {
            depth += i32::from("([".contains(letter)) - i32::from(")]".contains(letter));
            letter == ' ' && depth == 0
        })
}

/// The expression for a size.
pub(super) fn size(size: &Size) -> String {
    match size {
        Size::Fixed(size) => size.to_string(),
        Size::PerImage(1) => "batch".to_owned(),
        Size::PerImage(times) => format!("batch * {times}"),
    }
}

/// `value` in Python.
pub(super) fn number(value: ScalarIr) -> String {
    match value {
        ScalarIr::Float(value) if value.is_finite() => format!("{value:?}"),
        ScalarIr::Float(value) => format!("float(\"{value}\")"),
        ScalarIr::Int(value) => value.to_string(),
        ScalarIr::UInt(value) => value.to_string(),
        ScalarIr::Bool(true) => "True".to_owned(),
        ScalarIr::Bool(false) => "False".to_owned(),
    }
}
