//! When a stage ends, and which of its weights are kept.

use crate::experiment::Training;

/// Top-1 on the validation split after an epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct HeldOut {
    /// Top-1 of the weights.
    pub(super) top1: f64,
    /// Top-1 of their running average, if there is one.
    pub(super) top1_ema: Option<f64>,
}

impl HeldOut {
    fn average_is_better(self) -> bool {
        self.top1_ema.is_some_and(|average| average > self.top1)
    }

    /// The better of the two.
    fn best(self) -> f64 {
        self.top1_ema.map_or(self.top1, |average| average.max(self.top1))
    }
}

/// The best of `epochs`, counted from 1; the first of several that are equal. `None` without epochs or without early stopping.
pub(super) fn best_epoch(epochs: &[HeldOut], training: &Training) -> Option<usize> {
    training.early_stop?;
    let better = |best: (HeldOut, usize), next: (HeldOut, usize)| {
        if next.0.best() > best.0.best() { next } else { best }
    };
    epochs.iter().copied().zip(1..).reduce(better).map(|(_, epoch)| epoch)
}

/// Whether training is complete after `epochs`.
pub(super) fn is_complete(epochs: &[HeldOut], training: &Training) -> bool {
    let patience = training.early_stop.map(|patience| patience.get());
    let stops_early = patience
        .zip(best_epoch(epochs, training))
        .is_some_and(|(patience, best)| epochs.len() >= best + patience);
    stops_early || epochs.len() >= training.epochs.get()
}

/// The weights of a stage that the next one gets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Chosen {
    pub(super) epoch: usize,
    /// Whether the running average is used instead of the weights themselves.
    pub(super) averaged: bool,
}

impl Chosen {
    /// With early stopping the best of `epochs`, otherwise the last; `None` if there is none.
    pub(super) fn of(epochs: &[HeldOut], training: &Training) -> Option<Self> {
        let epoch = best_epoch(epochs, training).unwrap_or(epochs.len());
        let held_out = epochs.get(epoch.checked_sub(1)?)?;
        Some(Self { epoch, averaged: held_out.average_is_better() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::fixture::training;

    fn epochs(values: &[(f64, Option<f64>)]) -> Vec<HeldOut> {
        values.iter().map(|&(top1, top1_ema)| HeldOut { top1, top1_ema }).collect()
    }

    #[test]
    fn the_last_epoch_goes_on_or_the_first_of_the_best() {
        let chosen = |values: &[(f64, Option<f64>)], settings| {
            let chosen = Chosen::of(&epochs(values), &training(settings));
            chosen.map(|chosen| (chosen.epoch, chosen.averaged))
        };
        let weights = [(0.5, None), (0.7, None), (0.7, None), (0.6, None)];
        let averages = [(0.7, Some(0.1)), (0.6, Some(0.8)), (0.7, Some(0.7))];
        assert_eq!(chosen(&weights, ""), Some((4, false)));
        assert_eq!(chosen(&weights, "early_stop: 2,"), Some((2, false)));
        assert_eq!(chosen(&averages, ""), Some((3, false)), "as good is not better");
        assert_eq!(chosen(&averages, "early_stop: 2,"), Some((2, true)));
        assert_eq!(chosen(&[], "early_stop: 2,"), None);
        assert_eq!(chosen(&[], ""), None);
    }

    #[test]
    fn a_stage_ends_with_its_epochs_or_its_patience() {
        let complete = |values: &[f64], settings| {
            let values: Vec<_> = values.iter().map(|&top1| (top1, None)).collect();
            is_complete(&epochs(&values), &training(settings))
        };
        assert!(complete(&[0.1; 9], "") && !complete(&[0.1; 8], "") && !complete(&[], "early_stop: 1,"));
        assert!(complete(&[0.5, 0.4, 0.5], "early_stop: 2,"));
        assert!(!complete(&[0.5, 0.4, 0.6], "early_stop: 2,"));
        assert!(!complete(&[0.5, 0.4], "early_stop: 2,"));
    }
}
