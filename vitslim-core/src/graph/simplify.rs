//! Operations as they were meant: Burn records a linear layer as a product of matrices between reshapes, and slices of whole tensors.

use std::collections::HashMap;

use burn_capture::TensorId;
use burn_ir::{
    BaseOperationIr as Base, FloatOperationIr as Float, IrVisitorMut, LinearOpIr, ModuleOperationIr,
    NumericOperationIr as Numeric, OperationIr, TensorIr,
};

/// `operations` without those that copy, and with each linear layer as one operation. `output` is the result of all.
pub(crate) fn simplified(operations: Vec<OperationIr>, output: TensorId) -> Vec<OperationIr> {
    with_linear_layers(without_copies(operations, output))
}

fn without_copies(operations: Vec<OperationIr>, output: TensorId) -> Vec<OperationIr> {
    let mut originals = Originals(HashMap::new());
    let mut left = Vec::with_capacity(operations.len());
    for mut operation in operations {
        operation.visit_mut(&mut originals);
        match copied(&operation).filter(|(_, copy)| copy.id != output) {
            Some((original, copy)) => {
                originals.0.insert(copy.id, original.id);
            }
            None => left.push(operation),
        }
    }
    left
}

/// The original of each copy.
struct Originals(HashMap<TensorId, TensorId>);

impl IrVisitorMut for Originals {
    fn visit_tensor_mut(&mut self, tensor: &mut TensorIr) {
        tensor.id = self.0.get(&tensor.id).copied().unwrap_or(tensor.id);
    }
}

/// What `operation` copies, and the copy, if it does nothing else.
fn copied(operation: &OperationIr) -> Option<(&TensorIr, &TensorIr)> {
    let (OperationIr::BaseFloat(base) | OperationIr::BaseInt(base) | OperationIr::BaseBool(base)) = operation
    else {
        return None;
    };
    let (original, copy, is_in_order) = match base {
        Base::Reshape(of) | Base::Expand(of) => (&of.input, &of.out, true),
        Base::Slice(of) => (&of.tensor, &of.out, of.ranges.iter().all(|range| range.step() == 1)),
        _ => return None,
    };
    (is_in_order && sizes(original) == sizes(copy)).then_some((original, copy))
}

/// Burn adds leading axes to weight and bias, or merges the leading axes of the input, by what is faster for the number of images.
fn with_linear_layers(operations: Vec<OperationIr>) -> Vec<OperationIr> {
    let mut reads: HashMap<TensorId, usize> = HashMap::new();
    for input in operations.iter().flat_map(OperationIr::inputs) {
        *reads.entry(input.id).or_default() += 1;
    }
    let mut whole = Vec::with_capacity(operations.len());
    let mut rest = &operations[..];
    while let [first, ..] = rest {
        let (operation, parts) = match linear(rest, &reads) {
            Some((layer, parts)) => (OperationIr::Module(ModuleOperationIr::Linear(layer)), parts),
            None => (first.clone(), 1),
        };
        whole.push(operation);
        rest = &rest[parts..];
    }
    whole
}

/// The linear layer that `operations` begin with, and how many of them it is made of.
fn linear(operations: &[OperationIr], reads: &HashMap<TensorId, usize>) -> Option<(LinearOpIr, usize)> {
    let read_once = |tensor: &TensorIr| reads.get(&tensor.id) == Some(&1);
    let (reshape, product) = match operations {
        [first, second, ..] if reshape(first).is_some() => (reshape(first), matmul(second)?),
        [first, ..] => (None, matmul(first)?),
        [] => return None,
    };
    let mut parts = 1 + usize::from(reshape.is_some());
    let (mut x, mut weight, mut bias, mut out) = (product.0, product.1, None, product.2);
    let mut merged = false;
    if let Some((before, after)) = reshape {
        if after.id == weight.id && sizes(after).ends_with(sizes(before)) {
            weight = before;
        } else if after.id == x.id && sizes(after).last() == sizes(before).last() {
            (x, merged) = (before, true);
        } else {
            return None;
        }
        read_once(after).then_some(())?;
    }
    (sizes(weight).len() == 2).then_some(())?;
    if let [first, second, ..] = &operations[parts..]
        && let Some((vector, row)) = reshape_of(first, 1)
        && let OperationIr::NumericFloat(_, Numeric::Add(sum)) = second
        && (sum.lhs.id, sum.rhs.id) == (out.id, row.id)
        && [vector, row].iter().all(|of| sizes(of).last() == sizes(out).last())
        && read_once(out)
        && read_once(row)
    {
        (bias, out, parts) = (Some(vector.clone()), &sum.out, parts + 2);
    }
    if merged {
        let (before, after) = operations.get(parts).and_then(self::reshape)?;
        let leading = |tensor: &'_ TensorIr| sizes(tensor)[..sizes(tensor).len() - 1].to_vec();
        let fits = before.id == out.id && read_once(out) && leading(after) == leading(x);
        (out, parts) = (fits.then_some(after)?, parts + 1);
    }
    let layer = LinearOpIr { x: x.clone(), weight: weight.clone(), bias, out: out.clone() };
    Some((layer, parts))
}

fn reshape(operation: &OperationIr) -> Option<(&TensorIr, &TensorIr)> {
    match operation {
        OperationIr::BaseFloat(Base::Reshape(reshape)) => Some((&reshape.input, &reshape.out)),
        _ => None,
    }
}

/// A reshape of a tensor with so many axes.
fn reshape_of(operation: &OperationIr, axes: usize) -> Option<(&TensorIr, &TensorIr)> {
    reshape(operation).filter(|(before, _)| sizes(before).len() == axes)
}

/// The factors of a product of matrices, and the product.
fn matmul(operation: &OperationIr) -> Option<(&TensorIr, &TensorIr, &TensorIr)> {
    match operation {
        OperationIr::Float(_, Float::Matmul(product)) => Some((&product.lhs, &product.rhs, &product.out)),
        _ => None,
    }
}

fn sizes(tensor: &TensorIr) -> &[usize] {
    tensor.shape.as_slice()
}
