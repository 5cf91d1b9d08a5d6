//! What becomes of each tensor of a file in a network of ours.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::Module;
use burn::store::burn_pack::Tensor;
use burn::store::{BurnToPyTorchAdapter, ModuleSnapshot, PyTorchToBurnAdapter, bridge};
use burn::tensor::TensorData;
use globset::{Glob, GlobMatcher};

use super::adapt::{Adaptation, adaptation, alike, joined, layer, summed};
use super::choice::{Chosen, choose};
use super::error::WeightsError;
use super::family::{CLASSIFIERS, MASKS};
use super::file::WeightsFile;
use super::resize::relative_positions;
use super::rule::{pattern, rename};
use super::tokens::DISTILLATION;
use super::unfit::{Shapes, Unfit, counted};
use crate::terminal::printable;

/// The weights of a file, as a network takes them.
pub struct Fitted {
    file: WeightsFile,
    /// By the names and in the layout of PyTorch.
    tensors: Vec<Tensor>,
    /// The family of names.
    pub family: &'static str,
    /// Number of tensors of the file's network that are used.
    pub used: usize,
    /// Number of tensors of the file's network.
    pub count: usize,
    /// The classifiers of the network that stay as initialised.
    pub untrained: Vec<Untrained>,
    /// All tensors of the network that stay as initialised, by their names.
    pub initial: Vec<String>,
    /// Values of the masks of a search, by the paths of their dimensions; those of tokens begin with the tokens before the patches.
    pub masks: BTreeMap<String, Vec<f32>>,
    /// What was adapted, left at its initialisation or not used: a line each.
    pub notes: Vec<String>,
}

/// A classifier of a network that stays as initialised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untrained {
    /// Its path.
    pub layer: String,
    /// For how many classes the file has one; `None` if it has none.
    pub classes: Option<usize>,
}

impl WeightsFile {
    /// The weights for `model`: names are translated, and positions, tables, tokens and the first convolution adapted. A classifier for
    /// other classes is left as it is initialised. What else the file or the network lacks, patterns of our names in `allow_missing`
    /// allow.
    ///
    /// # Errors
    ///
    /// When the names are of no known family, a tensor is missing, left over or of another shape, or values cannot be read or are
    /// not finite.
    pub fn fit<M: Module>(&self, model: &M, allow_missing: &[String]) -> Result<Fitted, WeightsError> {
        let own = model.collect(None, Some(Box::new(BurnToPyTorchAdapter)), false);
        let names: Vec<&str> = own.iter().map(|tensor| tensor.name.as_str()).collect();
        let chosen = choose(self, &names)?;
        let mut fit = Fit::new(self, allow_missing)?;
        let taken = fit.compare(&own, &chosen);
        if !fit.unfit.is_empty() {
            return Err(fit.refused());
        }
        let tensors = fit.read(&own, &taken)?;
        let used = taken.iter().map(|taken| taken.parts.len()).sum();
        let is_taken: BTreeSet<usize> = taken.iter().map(|taken| taken.own).collect();
        let initial = own.iter().enumerate().filter(|(number, _)| !is_taken.contains(number));
        let initial = initial.map(|(_, tensor)| tensor.name.clone()).collect();
        let masks = fit.masks(&chosen)?;
        let untrained = std::mem::take(&mut fit.untrained);
        let notes = fit.notes();
        Ok(Fitted {
            file: self.clone(),
            tensors,
            family: chosen.family,
            used,
            count: chosen.count,
            untrained,
            initial,
            masks,
            notes,
        })
    }
}

impl Fitted {
    /// How much of the file is used, and the notes: a line each.
    pub fn told(&self) -> Vec<String> {
        let used = format!("{} of {} tensors, by the names of {}", self.used, self.count, self.family);
        std::iter::once(used).chain(self.notes.iter().cloned()).collect()
    }

    /// `model` with these weights. It must be built like the one that they were fitted to.
    ///
    /// # Errors
    ///
    /// When it is not.
    pub fn into_network<M: Module>(self, mut model: M) -> Result<M, WeightsError> {
        let count = self.tensors.len();
        let applied = model.apply(self.tensors, None, Some(Box::new(PyTorchToBurnAdapter)), false);
        match (applied.errors.first(), applied.applied.len() == count) {
            (None, true) => Ok(model),
            (error, _) => {
                let said = error.map_or_else(|| format!("{:?}", applied.unused), ToString::to_string);
                Err(self.file.error(format!("was fitted to another network: {said}"), None))
            }
        }
    }
}

/// A tensor of the network that the file has.
struct Taken<'a> {
    /// Its number among those of the network.
    own: usize,
    parts: Vec<&'a Tensor>,
    adaptation: Adaptation,
}

struct Fit<'a> {
    file: &'a WeightsFile,
    /// Patterns of what may be missing, as written and as they match, and whether something matched.
    allowed: Vec<(&'a str, GlobMatcher, bool)>,
    unfit: Unfit,
    untrained: Vec<Untrained>,
    notes: Vec<String>,
}

impl<'a> Fit<'a> {
    fn new(file: &'a WeightsFile, allow_missing: &'a [String]) -> Result<Self, WeightsError> {
        let allowed = allow_missing.iter().map(|written| {
            let wrong = |error: globset::Error| {
                let said = format!("cannot be fitted: the pattern `{written}` of `allow_missing` is wrong");
                file.error(said, Some(error.kind().to_string()))
            };
            let glob = Glob::new(written).map_err(wrong)?;
            Ok((written.as_str(), glob.compile_matcher(), false))
        });
        Ok(Self {
            file,
            allowed: allowed.collect::<Result<_, _>>()?,
            unfit: Unfit::default(),
            untrained: Vec::new(),
            notes: Vec::new(),
        })
    }

    /// Compares names and shapes. What does not fit is noted in `unfit`, and what is left out in the notes.
    fn compare<'b>(&mut self, own: &[Tensor], chosen: &Chosen<'b>) -> Vec<Taken<'b>> {
        let here: Shapes = own.iter().map(|tensor| (tensor.name.clone(), tensor.shape.to_vec())).collect();
        let there: Shapes =
            chosen.tensors.iter().map(|(name, parts)| (name.clone(), joined(parts))).collect();
        if chosen.count < self.file.tensors.len() {
            let others = match chosen.network.trim_end_matches('.') {
                average @ ("state_dict_ema" | "model_ema") => {
                    format!("`{average}`, the average of the weights, is taken")
                }
                network => format!("`{network}` of the checkpoint is taken"),
            };
            self.notes.push(others);
        }
        let unlike = self.unlike_classifiers(&here, &there);
        let mut taken = Vec::new();
        for (number, tensor) in own.iter().enumerate() {
            let name = &tensor.name;
            if unlike.contains(layer(name)) {
                continue;
            }
            let (Some(shape), Some(parts)) = (there.get(name), chosen.tensors.get(name)) else {
                self.lacks(name, &here);
                continue;
            };
            match adaptation(name, (&there, shape), (&here, &here[name])) {
                Some(adaptation) => {
                    self.notes.extend(adaptation.told(name));
                    taken.push(Taken { own: number, parts: parts.clone(), adaptation });
                }
                None if self.allows(name) => {
                    self.notes.push(format!(
                        "`{}` is left as initialised: its shape is another in the file",
                        pattern(name)
                    ));
                }
                None => self.unfit.others.push((name.clone(), shape.clone(), here[name].clone())),
            }
        }
        for (name, shape) in there.iter().filter(|(name, _)| !here.contains_key(*name)) {
            self.left(name, shape, &here);
        }
        for (name, _) in chosen.spare.iter().filter(|(name, _)| dimension(name).is_none()) {
            self.notes.push(format!("`{}` of the file is not used", printable(&pattern(name))));
        }
        self.unfit.compare_lists(&there, &here);
        taken
    }

    /// The classifiers of the network that stay as initialised: the file has none, or one for other classes.
    fn unlike_classifiers<'b>(&mut self, here: &'b Shapes, there: &Shapes) -> BTreeSet<&'b str> {
        let mut unlike = BTreeSet::new();
        for (name, shape) in here.iter().rev().filter(|(name, _)| CLASSIFIERS.contains(&layer(name))) {
            let reason = match there.get(name) {
                Some(there) if alike(there, shape) => continue,
                Some(there) => format!("it is {there:?} in the file and {shape:?} in the network"),
                None => "the file has none".to_owned(),
            };
            if unlike.insert(layer(name)) {
                let classes = there.get(name).and_then(|shape| shape.first().copied());
                self.untrained.push(Untrained { layer: layer(name).to_owned(), classes });
                self.notes.push(format!("`{}` is left as initialised: {reason}", layer(name)));
            }
        }
        unlike
    }

    /// Notes that the file lacks the tensor `name` of the network.
    fn lacks(&mut self, name: &str, here: &Shapes) {
        if self.allows(name) || name == DISTILLATION[0] {
            self.notes.push(format!("`{}` is left as initialised: the file has none", pattern(name)));
        } else {
            self.unfit.missing.push((name.to_owned(), here[name].clone()));
        }
    }

    /// Notes that the tensor `name` of the file is none of the network's.
    fn left(&mut self, name: &str, shape: &[usize], here: &Shapes) {
        let step = name.split('.').next().unwrap_or(name);
        let is_distillation = DISTILLATION.contains(&step) && !here.contains_key(DISTILLATION[0]);
        let is_classifier = CLASSIFIERS.contains(&step) && !here.keys().any(|own| layer(own) == layer(name));
        if is_distillation {
            self.notes.push(format!("`{step}`, with the distillation token of the file, is dropped"));
        } else if is_classifier || self.allows(name) {
            self.notes.push(format!("`{}` of the file is not used", printable(&pattern(name))));
        } else {
            self.unfit.left.push((name.to_owned(), shape.to_vec()));
        }
    }

    /// Whether the experiment allows that the file or the network lacks the tensor `name`.
    fn allows(&mut self, name: &str) -> bool {
        let found = self.allowed.iter_mut().find(|(_, glob, _)| glob.is_match(name));
        found.map(|(.., used)| *used = true).is_some()
    }

    fn refused(self) -> WeightsError {
        let lacking = self.unfit.missing.iter().chain(&self.unfit.left).map(|(name, _)| name);
        let unlike = self.unfit.others.iter().map(|(name, ..)| name);
        let allow = lacking.chain(unlike).next().map(|name| {
            format!(
                ", or allow what may be left as initialised, or unused: `allow_missing: [\"{}\"]`",
                printable(&pattern(name))
            )
        });
        let help = format!("change the configuration of the network{}", allow.unwrap_or_default());
        self.file.error(format!("does not fit the network: {}", self.unfit.told()), Some(help))
    }

    /// The values of masks among what the family does not use.
    fn masks(&self, chosen: &Chosen) -> Result<BTreeMap<String, Vec<f32>>, WeightsError> {
        let masks = chosen.spare.iter().filter_map(|(name, tensor)| Some((dimension(name)?, tensor)));
        masks.map(|(dimension, tensor)| Ok((dimension, self.file.values(tensor)?))).collect()
    }

    /// All notes, each once, with how often.
    fn notes(self) -> Vec<String> {
        let unused = self.allowed.into_iter().filter(|(.., used)| !used);
        let unused =
            unused.map(|(written, ..)| format!("`allow_missing`: nothing that `{written}` names is missing"));
        let told = counted(self.notes.into_iter().chain(unused)).into_iter();
        told.map(|(told, times)| if times == 1 { told } else { format!("{told} ({times} times)") }).collect()
    }

    /// The values of all that is `taken`, as tensors of the network.
    fn read(&self, own: &[Tensor], taken: &[Taken]) -> Result<Vec<Tensor>, WeightsError> {
        let mut read: BTreeMap<&str, Vec<f32>> = BTreeMap::new();
        let mut all_added = Vec::new();
        for Taken { own: number, parts, adaptation } in taken {
            let own = &own[*number];
            let mut values = Vec::with_capacity(own.shape.num_elements());
            for part in parts {
                values.extend(self.file.values(part)?);
            }
            let values = match adaptation {
                Adaptation::None => values,
                Adaptation::Positions(there, here) => {
                    let initial = self.file.values(own)?;
                    let moved = there.moved(&values, here, &initial);
                    all_added.extend(moved.added);
                    moved.values
                }
                Adaptation::Table(there, here) => relative_positions(&values, *there, *here),
                Adaptation::Gray => summed(&values, own.shape.num_elements() / own.shape[0]),
            };
            read.insert(own.name.as_str(), values);
        }
        for (token, number, added) in all_added {
            let values = read
                .get_mut(token)
                .into_iter()
                .flat_map(|values| values.chunks_exact_mut(added.len()).nth(number));
            values.flatten().zip(&added).for_each(|(value, added)| *value += added);
        }
        let tensor = |Taken { own: number, .. }: &Taken| {
            let Tensor { name, shape, .. } = &own[*number];
            let values = read.remove(name.as_str())?;
            Some(bridge::from_data(TensorData::new(values, shape.clone()), name.clone(), None))
        };
        Ok(taken.iter().filter_map(tensor).collect())
    }
}

/// The dimension whose masks are the tensor `name`, if it is of masks.
fn dimension(name: &str) -> Option<String> {
    rename(name, &MASKS).map(|renamed| renamed.name).filter(|dimension| dimension != name)
}
