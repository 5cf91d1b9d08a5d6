use std::collections::HashMap;

use burn_capture::TensorId;
use burn_ir::OperationIr;

use super::capture::{GraphError, record};
use super::macs::macs_of;
use crate::data::ImageShape;
use crate::models::{Architecture, Parameter};

/// A layer of a network, and its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Path in the network: `blocks.3.attn.qkv`. A product of activations has that of the module it is in.
    pub path: String,
    /// `Linear`, `Conv2d`, `LayerNorm`; `attention` and `product` have no parameters.
    pub kind: String,
    /// Number of parameters.
    pub params: u64,
    /// Multiply-adds for one image.
    pub macs: u64,
}

/// The layers of `model`, in the order of its fields, each product of activations behind the layer that comes before it. Their sums are the
/// parameters and the multiply-adds of the network.
///
/// # Errors
///
/// When the forward pass cannot be recorded, or has an operation whose multiply-adds are not known.
pub fn layers<M: Architecture>(model: &M, image: ImageShape) -> Result<Vec<Layer>, GraphError> {
    let recorded = record(model, image, 1)?;
    let mut layers: Vec<Layer> = Vec::new();
    let mut layer_of = HashMap::new();
    for parameter in Parameter::all(model) {
        let (path, kind) = match parameter.path.rsplit_once('.') {
            Some((layer, _)) => (layer.to_owned(), parameter.layer.clone()),
            // Of the network itself: a class token, positions.
            None => (parameter.path.clone(), "parameter".to_owned()),
        };
        let place = layers.iter().position(|layer| layer.path == path).unwrap_or_else(|| {
            layers.push(Layer { path, kind, params: 0, macs: 0 });
            layers.len() - 1
        });
        layers[place].params += parameter.shape.iter().product::<usize>() as u64;
        layer_of.insert(parameter.id, place);
    }
    let of_tensors =
        recorded.parameters.iter().filter_map(|(id, tensor)| Some((*tensor, *layer_of.get(id)?)));
    let mut weights: HashMap<TensorId, usize> = of_tensors.collect();
    // Products of activations wait for the layer after them.
    let mut waiting: Vec<(&'static str, u64)> = Vec::new();
    let mut before: Option<usize> = None;
    let mut between: Vec<(usize, Layer)> = Vec::new();
    for operation in &recorded.graph.graph.operations {
        let of_inputs: Vec<Option<usize>> =
            operation.inputs().map(|input| weights.get(&input.id).copied()).collect();
        let macs = macs_of(operation)?;
        if macs == 0 {
            // What is made of weights alone is a weight of the same layer.
            if let (Some(Some(layer)), true) = (of_inputs.first(), of_inputs.iter().all(Option::is_some)) {
                weights.extend(operation.outputs().map(|output| (output.id, *layer)));
            }
            continue;
        }
        match of_inputs.iter().flatten().next() {
            None => waiting.push((kind(operation), macs)),
            Some(&layer) => {
                layers[layer].macs += macs;
                let around =
                    common(before.map(|before| layers[before].path.as_str()), Some(&layers[layer].path));
                let place = before.unwrap_or(layer);
                between.extend(waiting.drain(..).map(|(kind, macs)| {
                    (place, Layer { path: around.clone(), kind: kind.to_owned(), params: 0, macs })
                }));
                before = Some(layer);
            }
        }
    }
    let around = common(before.map(|before| layers[before].path.as_str()), None);
    let place = before.unwrap_or(layers.len().saturating_sub(1));
    between.extend(
        waiting.into_iter().map(|(kind, macs)| {
            (place, Layer { path: around.clone(), kind: kind.to_owned(), params: 0, macs })
        }),
    );
    Ok(merged(layers, between))
}

/// What a product without weights is called.
fn kind(operation: &OperationIr) -> &'static str {
    match operation {
        OperationIr::Module(burn_ir::ModuleOperationIr::Attention(_)) => "attention",
        _ => "product",
    }
}

/// The path that `before` and `after` have in common, without their last part.
fn common(before: Option<&str>, after: Option<&str>) -> String {
    let parts = |path: &str| path.split('.').map(str::to_owned).collect::<Vec<_>>();
    let Some(before) = before.map(parts) else { return String::new() };
    let after = after.map_or_else(|| before.clone(), parts);
    let ends = before.len().min(after.len()).saturating_sub(1);
    let shared = before.iter().zip(&after).take(ends).take_while(|(one, other)| one == other).count();
    before[..shared].join(".")
}

/// `layers` with what is `between` them behind the layer at its place; of one path and kind it is one.
fn merged(layers: Vec<Layer>, between: Vec<(usize, Layer)>) -> Vec<Layer> {
    let mut all = Vec::with_capacity(layers.len() + between.len());
    for (place, layer) in layers.into_iter().enumerate() {
        all.push(layer);
        let start = all.len();
        for (_, product) in between.iter().filter(|(behind, _)| *behind == place) {
            let same = |layer: &&mut Layer| layer.path == product.path && layer.kind == product.kind;
            match all[start..].iter_mut().find(same) {
                Some(layer) => layer.macs += product.macs,
                None => all.push(product.clone()),
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::graph::macs;
    use crate::models::{ConvNext, Swin, Vit};
    use crate::slim::{Plan, Slimmable, describe};

    fn of<A: Architecture>(config: &str, channels: usize, keep: impl Fn(usize) -> usize) -> Vec<Layer> {
        let config = ron::from_str(config).unwrap();
        let model = A::init(&config, &Device::flex()).unwrap();
        let mut plan = Plan::whole(&describe(&model).unwrap());
        plan.cuts.iter_mut().for_each(|cut| cut.keep.truncate(keep(cut.keep.len())));
        let model = model.slim(&plan).unwrap();
        let image = ImageShape { channels, size: 16 };
        let layers = layers(&model, image).unwrap();
        let params: u64 = layers.iter().map(|layer| layer.params).sum();
        assert_eq!(params, Parameter::count(&model) as u64);
        assert_eq!(layers.iter().map(|layer| layer.macs).sum::<u64>(), macs(&model, image).unwrap());
        assert!(layers.iter().all(|layer| !layer.path.is_empty()), "{layers:?}");
        layers
    }

    #[test]
    fn the_layers_of_a_vit_have_what_arithmetic_says() {
        let config = "(image_size: 16, patch_size: 4, channels: 1, classes: 3, dim: 8, depth: 2, heads: 2)";
        let found = of::<Vit>(config, 1, |units| units);
        let (tokens, dim, hidden) = (17, 8, 32);
        let expected = [
            ("norm1", "LayerNorm", 2 * dim, 0),
            ("attn.qkv", "Linear", dim * 3 * dim + 3 * dim, tokens * dim * 3 * dim),
            ("attn", "attention", 0, 2 * tokens * tokens * dim),
            ("attn.proj", "Linear", dim * dim + dim, tokens * dim * dim),
            ("norm2", "LayerNorm", 2 * dim, 0),
            ("mlp.fc1", "Linear", dim * hidden + hidden, tokens * dim * hidden),
            ("mlp.fc2", "Linear", hidden * dim + dim, tokens * dim * hidden),
        ];
        for (path, kind, params, macs) in expected {
            let path = format!("blocks.1.{path}");
            let layer = found.iter().find(|layer| layer.path == path && layer.kind == kind);
            let expected = Layer { path: path.clone(), kind: kind.to_owned(), params, macs };
            assert_eq!(layer, Some(&expected), "{path} in {found:?}");
        }
        let paths: Vec<&str> = found.iter().map(|layer| layer.path.as_str()).collect();
        let place = |path: &str| paths.iter().position(|known| *known == path).unwrap();
        assert!(place("blocks.0.attn.qkv") < place("blocks.0.attn"), "{paths:?}");
        assert!(place("blocks.0.attn") < place("blocks.0.attn.proj"), "{paths:?}");
    }

    #[test]
    fn every_multiply_add_belongs_to_a_layer_of_dense_and_of_sliced_networks() {
        let vit = "(image_size: 16, patch_size: 4, channels: 1, classes: 3, dim: 8, depth: 2, heads: 2)";
        let swin = "(image_size: 16, patch_size: 2, channels: 1, classes: 3, dim: 8, depths: [2, 2], heads: [2, 2], window: 4)";
        let convnext =
            "(image_size: 16, patch_size: 2, channels: 1, classes: 3, dims: [6, 8], depths: [1, 2])";
        let kept: [fn(usize) -> usize; 3] = [|units| units, |units| units.div_ceil(2), |units| units.min(1)];
        for keep in kept {
            of::<Vit>(vit, 1, keep);
            let swin = of::<Swin>(swin, 1, keep);
            assert!(swin.iter().any(|layer| layer.path == "layers.1.blocks.0.attn" && layer.macs > 0));
            of::<ConvNext>(convnext, 1, keep);
        }
    }
}
