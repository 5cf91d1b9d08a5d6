//! Golden numbers from the original PyTorch code, and from an independent program for vitslim's own rules.
//! `data/parity/README.md` states every formula and the tolerances. Numbers from timm for the other architectures are in
//! `data/timm`, and of training by PyTorch in `data/trajectory`.

mod fixture;
mod forward;
mod golden;
mod gradients;
mod own_rules;
mod selection;
mod timm;
mod trajectory;

use super::check::Check;

pub use fixture::FOLDER_VARIABLE;
pub(super) use trajectory::CHECKS as TRAINING_CHECKS;

pub(super) const CHECKS: &[Check] = &[
    Check { name: "dense_logits", run: forward::dense_logits },
    Check { name: "soft_logits", run: forward::soft_logits },
    Check { name: "start_of_a_search", run: forward::start_of_a_search },
    Check { name: "activations", run: forward::activations },
    Check { name: "gradients", run: gradients::gradients },
    Check { name: "selection", run: selection::selection },
    Check { name: "kept_counts", run: selection::kept_counts },
    Check { name: "parameters", run: selection::parameters },
    Check { name: "own_rules", run: own_rules::own_rules },
    Check { name: "vit", run: timm::vit },
    Check { name: "deit_distilled", run: timm::deit_distilled },
    Check { name: "swin", run: timm::swin },
    Check { name: "convnext", run: timm::convnext },
    Check { name: "layers", run: timm::layers },
];
