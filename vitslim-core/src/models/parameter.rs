//! The parameters of a network, as training and checking see them.

use std::collections::{HashMap, HashSet};

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;
use miette::Diagnostic;
use thiserror::Error;

use crate::nn::is_running_state;
use crate::slim::{DimensionMapper, Scope, Slimmable, Treatment};

/// Layers whose `weight` multiplies the input.
const WEIGHTED: [&str; 4] = ["Linear", "Conv1d", "Conv2d", "Embedding"];

/// Layers that normalise.
const NORMS: [&str; 4] = ["LayerNorm", "RmsNorm", "BatchNorm", "GroupNorm"];

/// A parameter of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Burn's identifier.
    pub id: ParamId,
    /// Path in the network: `blocks.3.attn.qkv.weight`.
    pub path: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Type of its layer: `Linear`.
    pub layer: String,
    /// Path of the innermost list element that contains it: `blocks.3`. Parts of tuples do not count.
    pub block: Option<String>,
    /// Whether it and the other parameters of its layer, those in fields of the same struct, have one axis longer than 1 at most, as
    /// those of a norm or a scale have, and none is a token, `[1, 1, dim]`.
    of_vectors: bool,
    /// What annotations say of it, if it was read with them: by [`annotated`](Self::annotated).
    pub treatments: Vec<Treatment>,
}

/// Parameters with one identifier, by which burn's optimizer would train the first of them only.
#[derive(Clone, Debug, PartialEq, Eq, Error, Diagnostic)]
#[error(
    "`{first}` and `{second}`{others} are one parameter to burn, as after `clone`: only the first would be trained"
)]
#[diagnostic(help(
    "make each block anew, as in `(0..depth).map(|_| Block::new(device)).collect()`; to tie weights, keep them in one field, and use \
     that wherever they are needed: call a block twice, or hand a part a reference to a layer of another"
))]
pub struct SharedParameterError {
    /// Path of the first parameter.
    pub first: String,
    /// Path of the next one with its identifier.
    pub second: String,
    /// How many more pairs there are, to follow the second.
    pub others: String,
}

impl Parameter {
    /// The parameters of `module`, in the order of its fields, without what annotations say of them.
    pub fn all<M: Module>(module: &M) -> Vec<Self> {
        let mut parameters = Parameters::default();
        module.visit(&mut parameters);
        let mut found = parameters.found;
        let layer =
            |path: &str| path.rsplit_once('.').map_or_else(String::new, |(layer, _)| layer.to_owned());
        let mut of_vectors: HashMap<String, bool> = HashMap::new();
        for parameter in &found {
            let so_far = of_vectors.entry(layer(&parameter.path)).or_insert(true);
            *so_far &= !parameter.is_weight() && parameter.long_axes() < 2 && !parameter.is_token();
        }
        found.iter_mut().for_each(|parameter| parameter.of_vectors = of_vectors[&layer(&parameter.path)]);
        found
    }

    /// Number of values of all parameters of `module`: `params` of summaries.
    pub fn count<M: Module>(module: &M) -> usize {
        Self::all(module).iter().map(|parameter| parameter.shape.iter().product::<usize>()).sum()
    }

    /// The parameters of `model`, in the order of its fields, with what its annotations say of them.
    pub fn annotated<M: Slimmable>(model: &M) -> Vec<Self> {
        let mut said = Treated::default();
        model.clone().map_dimensions(&mut said);
        let mut parameters = Self::all(model);
        for Self { path, treatments, .. } in &mut parameters {
            let is_within = |field: &str| {
                path.strip_prefix(field).is_some_and(|rest| matches!(rest.bytes().next(), None | Some(b'.')))
            };
            let of_it = said.fields.iter().filter(|(field, _)| is_within(field));
            treatments.extend(of_it.flat_map(|(_, said)| said));
        }
        parameters
    }

    /// Checks that each parameter of `module` that is trained has an identifier of its own.
    ///
    /// # Errors
    ///
    /// When two share one.
    pub fn are_apart<M: Module>(module: &M) -> Result<(), SharedParameterError> {
        let all = Self::all(module);
        if all.iter().map(|parameter| parameter.id).collect::<HashSet<ParamId>>().len() == all.len() {
            return Ok(());
        }
        // Only in training mode do parameters tell whether they are trained.
        let mut trained = Parameters { only_trained: true, ..Parameters::default() };
        module.clone().train().visit(&mut trained);
        let mut known: HashMap<ParamId, &str> = HashMap::new();
        let mut shared = Vec::new();
        for Self { id, path, .. } in &trained.found {
            match known.get(id) {
                Some(first) => shared.push((*first, path)),
                None => drop(known.insert(*id, path)),
            }
        }
        let Some((first, second)) = shared.first() else { return Ok(()) };
        let others = match shared.len() {
            1 => String::new(),
            pairs => format!(" (and {} more such pairs)", pairs - 1),
        };
        Err(SharedParameterError { first: (*first).to_owned(), second: (*second).clone(), others })
    }

    /// Whether weight decay applies to it. Where no annotation says so, it does to what has two axes longer than 1, the weights of
    /// layers, and so not to biases, norms and scales; nor to what has 1 as its first axis, as class tokens and positions have.
    /// Weights of vitslim's own layers are recognised whatever their sizes; of others, the shapes in the dense network count.
    pub fn decays(&self) -> bool {
        let said = self.treatments.iter().find_map(|treatment| match treatment {
            Treatment::Decay => Some(true),
            Treatment::NoDecay | Treatment::Norm => Some(false),
            _ => None,
        });
        said.unwrap_or_else(|| self.is_weight())
    }

    /// Whether a search with `freeze: Weights` leaves it as it is. Where no annotation says so, the search trains the layers that only
    /// have parameters of one axis, norms and scales, and freezes the others, with class tokens, `[1, 1, dim]`.
    pub fn freezes(&self) -> bool {
        let said = self.treatments.iter().find_map(|treatment| match treatment {
            Treatment::Freeze => Some(true),
            Treatment::NoFreeze | Treatment::Norm => Some(false),
            _ => None,
        });
        said.unwrap_or(!self.of_vectors)
    }

    /// Whether it belongs to a norm, or to what an annotation calls one.
    pub fn is_of_norm(&self) -> bool {
        NORMS.contains(&self.layer.as_str()) || self.treatments.contains(&Treatment::Norm)
    }

    fn is_weight(&self) -> bool {
        let is_matrix = self.long_axes() > 1 && self.shape[0] != 1;
        is_matrix || self.shape.len() > 1 && WEIGHTED.contains(&self.layer.as_str())
    }

    /// Whether it has the axes of a class token: `[1, 1, dim]`.
    fn is_token(&self) -> bool {
        matches!(self.shape[..], [1, 1, dim] if dim > 1)
    }

    /// Number of axes longer than 1, or cut to nothing.
    fn long_axes(&self) -> usize {
        self.shape.iter().filter(|size| **size != 1).count()
    }
}

#[derive(Default)]
struct Parameters {
    path: Vec<String>,
    /// Types of the structs around, outermost first.
    containers: Vec<String>,
    /// Whether parameters without gradient are left out.
    only_trained: bool,
    found: Vec<Parameter>,
}

impl Parameters {
    fn block(&self) -> Option<String> {
        let is_element =
            |(name, container): (&String, &String)| container != "Tuple" && name.parse::<usize>().is_ok();
        let innermost = self.path.iter().zip(&self.containers).rposition(is_element)?;
        Some(self.path[..=innermost].join("."))
    }
}

impl ModuleVisitor for Parameters {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.push(name.to_owned());
        self.containers.push(container.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
        self.containers.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if is_running_state() || self.only_trained && !param.is_require_grad() {
            return;
        }
        let layer = self.containers.last().map_or("", |container| container.trim_start_matches("Struct:"));
        self.found.push(Parameter {
            id: param.id,
            path: self.path.join("."),
            shape: param.lazy_shape().to_vec(),
            layer: layer.to_owned(),
            block: self.block(),
            of_vectors: false,
            treatments: Vec::new(),
        });
    }
}

/// Collects what is said of fields.
#[derive(Default)]
struct Treated {
    scope: Scope,
    fields: Vec<(String, Vec<Treatment>)>,
}

impl DimensionMapper for Treated {
    fn scope(&mut self) -> &mut Scope {
        &mut self.scope
    }

    fn treat(&mut self, field: &str, treatments: &[Treatment]) {
        self.fields.push((self.scope.path_of(field), treatments.to_vec()));
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::models::{
        Architecture, ConvNext, ConvNextConfig, DistilledVit, Swin, SwinConfig, Vit, VitConfig,
    };
    use crate::nn::{BatchNormConfig, Linear, LinearConfig, RmsNorm, RmsNormConfig};

    /// Parameters as people write them, named after what they are.
    #[derive(Module, Debug)]
    struct Own {
        /// Its type has `Norm` in its name, but is none.
        weighted: NormalizedLinear,
        scale: ScaleRms,
        norm: RmsNorm,
        fc: Linear,
        /// Temperature of each head.
        temperature: HeadScale,
        gamma1: Param<Tensor<3>>,
        pos: Param<Tensor<2>>,
        token: Token,
    }

    /// It has no matrix beside it.
    #[derive(Module, Debug)]
    struct Token {
        cls_token: Param<Tensor<3>>,
        bias: Param<Tensor<1>>,
    }

    #[derive(Module, Debug)]
    struct NormalizedLinear {
        directions: Param<Tensor<2>>,
        lengths: Param<Tensor<1>>,
    }

    #[derive(Module, Debug)]
    struct ScaleRms {
        gain: Param<Tensor<1>>,
    }

    #[derive(Module, Debug)]
    struct HeadScale {
        tau: Param<Tensor<3>>,
    }

    fn ones<const D: usize>(shape: [usize; D]) -> Param<Tensor<D>> {
        Param::from_tensor(Tensor::ones(shape, &Device::flex()))
    }

    fn own() -> Own {
        let device = Device::flex();
        Own {
            weighted: NormalizedLinear { directions: ones([4, 3]), lengths: ones([3]) },
            scale: ScaleRms { gain: ones([4]) },
            norm: RmsNormConfig::new(4).init(&device),
            fc: LinearConfig::new(4, 1).init(&device),
            temperature: HeadScale { tau: ones([2, 1, 1]) },
            gamma1: ones([4, 1, 1]),
            pos: ones([5, 4]),
            token: Token { cls_token: ones([1, 1, 4]), bias: ones([4]) },
        }
    }

    fn named(module: &impl Module, which: impl Fn(&Parameter) -> bool) -> Vec<String> {
        let parameters = Parameter::all(module).into_iter().filter(which);
        parameters.map(|parameter| parameter.path).collect()
    }

    #[test]
    fn what_is_a_weight_and_what_a_scale_goes_by_axes_and_not_by_names() {
        assert_eq!(named(&own(), Parameter::decays), ["weighted.directions", "fc.weight", "pos"]);
        assert_eq!(named(&own(), |p| !p.freezes()), ["scale.gain", "norm.gamma", "temperature.tau"]);
    }

    /// Burn's own count has the running statistics of those in tuples and options too.
    #[test]
    fn statistics_are_no_parameters_wherever_they_are() {
        let norm = || BatchNormConfig::new(3).init(&Device::flex());
        let module = vec![(norm(), Some(norm()))];
        assert_eq!(named(&module, |_| true), ["0.0.gamma", "0.0.beta", "0.1.gamma", "0.1.beta"]);
        assert_eq!(Parameter::count(&module), 12);
    }

    #[test]
    fn built_in_networks_share_no_parameter_and_freeze_all_but_their_norms() {
        fn check<A: Architecture>(config: &A::Config) {
            let model = A::init(config, &Device::flex()).unwrap();
            Parameter::are_apart(&model).unwrap();
            let trained = Parameter::annotated(&model).into_iter().filter(|parameter| !parameter.freezes());
            let trained: Vec<String> = trained.map(|parameter| parameter.path).collect();
            assert!(!trained.is_empty());
            assert_eq!(trained, named(&model, Parameter::is_of_norm));
        }
        let vit =
            VitConfig { image_size: 8, patch_size: 4, dim: 6, heads: 2, depth: 2, ..VitConfig::default() };
        check::<Vit>(&vit);
        check::<DistilledVit>(&vit);
        let published =
            VitConfig { qk_norm: true, init_values: Some(1e-5), reg_tokens: 4, pre_norm: true, ..vit };
        check::<Vit>(&published);
        let (dims, depths) = (vec![4, 6], vec![1, 2]);
        let config = ConvNextConfig { image_size: 8, dims, depths, ..ConvNextConfig::default() };
        check::<ConvNext>(&config);
        for window in [1, 2] {
            let (depths, heads) = (vec![1, 2], vec![1, 2]);
            let config = SwinConfig {
                image_size: 8,
                patch_size: 2,
                dim: 4,
                depths,
                heads,
                window,
                ..SwinConfig::default()
            };
            check::<Swin>(&config);
        }
    }

    #[test]
    fn a_clone_shares_the_parameters_of_its_original() {
        let fixed = ones([4, 3]).set_require_grad(false);
        let [trained, frozen] = [ones([4, 3]), ones([4, 3])].map(|param| (param.clone(), param));
        let frozen = [frozen.0, frozen.1].map(|param| param.set_require_grad(false));
        assert_eq!(Parameter::are_apart(&vec![fixed.clone(), fixed]), Ok(()));
        assert_eq!(Parameter::are_apart(&frozen.to_vec()), Ok(()));
        assert!(Parameter::are_apart(&vec![trained.0, trained.1]).is_err());
        let first = LinearConfig::new(2, 3).init(&Device::flex());
        assert_eq!(
            Parameter::are_apart(&vec![first.clone(), LinearConfig::new(2, 3).init(&Device::flex())]),
            Ok(())
        );
        let error = Parameter::are_apart(&vec![first.clone(), first.clone(), first]).unwrap_err();
        let told =
            "`0.weight` and `1.weight` (and 3 more such pairs) are one parameter to burn, as after `clone`";
        assert!(error.to_string().starts_with(told), "{error}");
    }
}
