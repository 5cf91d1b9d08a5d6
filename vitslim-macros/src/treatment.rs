//! How training treats the parameters of a field: `no_decay`, `norm`, `layer = first`.

use std::fmt;

use proc_macro2::TokenTree;
use syn::{Error, Ident};

use crate::attr::flag;

/// The keys of these annotations.
pub(crate) const KEYS: [&str; 6] = ["norm", "decay", "no_decay", "freeze", "no_freeze", "layer"];

/// What the annotations of a field say, each with its key, in the order written.
#[derive(Default)]
pub(crate) struct Treatments(Vec<(Ident, Treatment)>);

/// As `vitslim_core::slim::Treatment`, which has these variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Treatment {
    Norm,
    Decay,
    NoDecay,
    Freeze,
    NoFreeze,
    FirstLayer,
    LastLayer,
}

impl fmt::Display for Treatment {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Treatment::Norm => "norm",
            Treatment::Decay => "decay",
            Treatment::NoDecay => "no_decay",
            Treatment::Freeze => "freeze",
            Treatment::NoFreeze => "no_freeze",
            Treatment::FirstLayer => "layer = first",
            Treatment::LastLayer => "layer = last",
        })
    }
}

impl Treatment {
    /// What it decides.
    fn decides(self) -> &'static [&'static str] {
        const DECAY: &str = "whether weight decay applies";
        const FREEZE: &str = "whether `freeze: Weights` leaves it as it is";
        match self {
            Treatment::Norm => &[DECAY, FREEZE],
            Treatment::Decay | Treatment::NoDecay => &[DECAY],
            Treatment::Freeze | Treatment::NoFreeze => &[FREEZE],
            Treatment::FirstLayer | Treatment::LastLayer => &["which layer it belongs to"],
        }
    }
}

impl Treatments {
    /// Reads the annotation `key`, one of [`KEYS`], and the `value` that follows.
    pub(crate) fn read(&mut self, key: &Ident, value: &[TokenTree], errors: &mut Vec<Error>) {
        let treatment = match key.to_string().as_str() {
            "layer" => match end(value) {
                Some(treatment) => treatment,
                None => {
                    let message = "which end of the network? write `layer = first`, with what comes before all blocks, or `layer = last`, with what comes after them";
                    errors.push(Error::new_spanned(key, message));
                    return;
                }
            },
            _ if !flag(key, value, errors) => return,
            "norm" => Treatment::Norm,
            "decay" => Treatment::Decay,
            "no_decay" => Treatment::NoDecay,
            "freeze" => Treatment::Freeze,
            _ => Treatment::NoFreeze,
        };
        let clash = self.0.iter().find_map(|(_, other)| {
            let decides = treatment.decides().iter().find(|decides| other.decides().contains(decides))?;
            Some((*other, decides))
        });
        match clash {
            None => self.0.push((key.clone(), treatment)),
            Some((other, _)) if other == treatment => errors.push(Error::new_spanned(
                key,
                format!("`{treatment}` is written twice on this field: remove one"),
            )),
            Some((other, decides)) => errors.push(Error::new_spanned(
                key,
                format!("`{other}` and `{treatment}` both say {decides}: remove one of the two"),
            )),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Treatment> {
        self.0.iter().map(|(_, treatment)| *treatment)
    }

    /// The key written first.
    pub(crate) fn first(&self) -> Option<&Ident> {
        self.0.first().map(|(key, _)| key)
    }

    /// The key `norm`.
    pub(crate) fn norm(&self) -> Option<&Ident> {
        self.0.iter().find(|(_, treatment)| *treatment == Treatment::Norm).map(|(key, _)| key)
    }
}

/// Reads the `= first` or `= last` of a layer.
fn end(value: &[TokenTree]) -> Option<Treatment> {
    match value {
        [TokenTree::Punct(equals), TokenTree::Ident(end)] if equals.as_char() == '=' => {
            match end.to_string().as_str() {
                "first" => Some(Treatment::FirstLayer),
                "last" => Some(Treatment::LastLayer),
                _ => None,
            }
        }
        _ => None,
    }
}
