//! Measures networks in turn, and reports their times.

use std::time::{Duration, Instant};

use super::work::{Benched, Network, Work, WorkKind};
use crate::report::{BenchedExperiment, BenchedNetwork, Benchmark, Spread, Timing};
use crate::train::EvaluateError;

/// The smallest number of rounds, however long they take.
const LEAST_ROUNDS: usize = 3;

/// How long to measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// This number of rounds.
    Rounds(usize),
    /// Until this number of seconds has passed, but at least three rounds.
    Seconds(f64),
}

impl Limit {
    pub(super) fn is_reached(self, rounds: usize, passed: Duration) -> bool {
        match self {
            Self::Rounds(limit) => rounds >= limit,
            Self::Seconds(limit) => rounds >= LEAST_ROUNDS && passed.as_secs_f64() >= limit,
        }
    }
}

/// Measures all networks in rounds. A round takes each measurement once, one after the other, so that whatever else the machine
/// does affects all of them alike. Every other round runs backwards, so that a measurement does not always follow the same one.
/// A first round warms up and is not counted.
///
/// # Errors
///
/// When a network's logits are not finite, or the device fails.
pub fn benchmark(
    mut experiments: Vec<Benched>,
    limit: Limit,
    batch: usize,
    device_name: &str,
) -> Result<Benchmark, EvaluateError> {
    let networks = experiments.iter_mut().flat_map(|experiment| &mut experiment.networks);
    let mut work: Vec<&mut Work> = networks.flat_map(|network| &mut network.work).collect();
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); work.len()];
    work.iter_mut().try_for_each(|work| (work.once)())?;
    let mut rounds = 0;
    let started = Instant::now();
    while !limit.is_reached(rounds, started.elapsed()) {
        let mut order: Vec<usize> = (0..work.len()).collect();
        if rounds % 2 == 1 {
            order.reverse();
        }
        for turn in order {
            let started = Instant::now();
            (work[turn].once)()?;
            times[turn].push(started.elapsed().as_secs_f64());
        }
        rounds += 1;
    }
    let mut times = times.into_iter();
    let experiments = experiments.iter().map(|experiment| report(experiment, &mut times, batch));
    Ok(Benchmark { device: device_name.to_owned(), batch, rounds, experiments: experiments.collect() })
}

/// The seconds that each kind of work of a network took, round by round.
type Times = Vec<(WorkKind, Vec<f64>)>;

fn report(
    experiment: &Benched,
    times: &mut impl Iterator<Item = Vec<f64>>,
    batch: usize,
) -> BenchedExperiment {
    let measured: Vec<(&Network, Times)> = experiment
        .networks
        .iter()
        .map(|network| (network, network.work.iter().map(|work| work.kind).zip(times.by_ref()).collect()))
        .collect();
    let dense = measured.first().map_or(&[][..], |(_, dense)| dense);
    let networks = measured.iter().map(|(network, times)| {
        let timing = |kind| Some(timing(of(times, kind)?, batch));
        let speedup = |kind| Some(ratio(of(dense, kind)?, of(times, kind)?));
        BenchedNetwork {
            name: network.name.clone(),
            params: network.params,
            macs: network.macs,
            training: timing(WorkKind::Training),
            search: timing(WorkKind::Search),
            inference: timing(WorkKind::Inference),
            training_speedup: speedup(WorkKind::Training),
            inference_speedup: speedup(WorkKind::Inference),
        }
    });
    let search = of(dense, WorkKind::Search).zip(of(dense, WorkKind::Training));
    BenchedExperiment {
        name: experiment.name.clone(),
        trial: experiment.trial.clone(),
        precision: experiment.precision.clone(),
        image_size: experiment.image.size,
        channels: experiment.image.channels,
        networks: networks.collect(),
        search_over_training: search.map(|(search, training)| ratio(search, training)),
    }
}

fn of(times: &[(WorkKind, Vec<f64>)], kind: WorkKind) -> Option<&[f64]> {
    times.iter().find(|(known, _)| *known == kind).map(|(_, seconds)| seconds.as_slice())
}

fn timing(seconds: &[f64], batch: usize) -> Timing {
    let milliseconds = Spread::of(seconds.iter().map(|seconds| 1000.0 * seconds));
    Timing { images_per_second: 1000.0 * batch as f64 / milliseconds.median, milliseconds }
}

/// The ratio of two times, round by round: whatever slows a round slows both.
fn ratio(numerator: &[f64], denominator: &[f64]) -> Spread {
    Spread::of(numerator.iter().zip(denominator).map(|(a, b)| a / b))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::WorkKind::{Inference, Search, Training};
    use super::*;
    use crate::data::ImageShape;

    type Log = Rc<RefCell<Vec<(&'static str, WorkKind)>>>;

    fn network(name: &'static str, kinds: &[WorkKind], log: &Log) -> Network {
        let work = kinds.iter().map(|&kind| {
            let log = log.clone();
            let once = move || {
                log.borrow_mut().push((name, kind));
                Ok(())
            };
            Work { kind, once: Box::new(once) }
        });
        Network { name: name.to_owned(), params: 1, macs: 1, work: work.collect(), operations: None }
    }

    fn benched(log: &Log) -> Benched {
        let networks = vec![
            network("dense", &[Training, Search, Inference], log),
            network("half", &[Training, Inference], log),
        ];
        let image = ImageShape { channels: 3, size: 8 };
        Benched {
            name: "a".to_owned(),
            trial: "seed=1".to_owned(),
            precision: "f32".to_owned(),
            image,
            networks,
        }
    }

    #[test]
    fn work_takes_turns_forth_and_back_after_a_round_of_warm_up() {
        let log = Log::default();
        let found = benchmark(vec![benched(&log)], Limit::Rounds(3), 10, "cpu").unwrap();
        let forth = [
            ("dense", Training),
            ("dense", Search),
            ("dense", Inference),
            ("half", Training),
            ("half", Inference),
        ];
        let back: Vec<_> = forth.iter().rev().copied().collect();
        assert_eq!(*log.borrow(), [&forth[..], &forth, &back, &forth].concat());
        assert_eq!(found.rounds, 3);
    }

    #[test]
    fn ratios_are_over_the_dense_network_round_by_round() {
        // The second round is ten times slower for all.
        let times = [2.0, 2.1, 1.0, 1.0, 0.25].map(|time| vec![time, 10.0 * time, time]);
        let found = report(&benched(&Log::default()), &mut times.into_iter(), 10);
        let same = |value: f64| Spread { lower: value, median: value, upper: value };
        assert_eq!(found.search_over_training, Some(same(1.05)));
        let [dense, half] = found.networks.as_slice() else { panic!("{found:?}") };
        assert_eq!((dense.training_speedup, dense.inference_speedup), (Some(same(1.0)), Some(same(1.0))));
        assert_eq!((half.training_speedup, half.inference_speedup), (Some(same(2.0)), Some(same(4.0))));
        assert_eq!(
            (dense.search.map(|search| search.milliseconds.median), half.search),
            (Some(2100.0), None)
        );
        assert_eq!(half.training.map(|training| training.images_per_second), Some(10.0));
    }

    #[test]
    fn limits_are_rounds_or_seconds() {
        let second = Duration::from_secs(1);
        assert!(!Limit::Rounds(2).is_reached(1, second) && Limit::Rounds(2).is_reached(2, second));
        assert!(!Limit::Seconds(0.5).is_reached(2, second) && Limit::Seconds(0.5).is_reached(3, second));
        assert!(!Limit::Seconds(2.0).is_reached(9, second));
    }
}
