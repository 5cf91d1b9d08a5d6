//! Rules that more than one field has a part in.

use super::super::fault::{Fault, Faults};
use super::super::tree::Node;
use super::{Budget, Experiment, Schedule, Training};

/// Checks what the types alone do not say. `root` is what `experiment` was read from.
///
/// # Errors
///
/// Every rule that is broken, at its place.
pub(in super::super) fn validate(experiment: &Experiment, root: &Node) -> Result<(), Faults> {
    let mut faults = Vec::new();
    let stages = [
        ("pretrain", experiment.pretrain.clone()),
        ("search", Some(experiment.search.training())),
        ("retrain", experiment.retrain.clone()),
    ];
    for (name, stage) in stages {
        let Some(stage) = stage else { continue };
        faults.extend(warmup(root, name, &stage.schedule, stage.epochs.get()));
        faults.extend(final_lr(root, name, &stage));
        faults.extend(accumulate(root, name, &stage));
    }
    faults.extend(devices(experiment, root));
    faults.extend(dimensions(experiment, root));
    faults.extend(budgets(&experiment.budgets, root));
    Faults::check(faults)
}

fn warmup(root: &Node, stage: &str, schedule: &Schedule, epochs: usize) -> Option<Fault> {
    let warmup = schedule.warmup_epochs();
    let node = root.at(&[stage, "schedule", "warmup_epochs"])?;
    (warmup > epochs).then(|| {
        let message = format!("the warm-up takes {warmup} epochs, but `{stage}` has {epochs} in all");
        let fault = Fault::new(node.span.clone(), message);
        match root.at(&[stage, "epochs"]) {
            Some(epochs) => fault.with_also(epochs.span.clone(), "all its epochs"),
            None => fault,
        }
    })
}

fn final_lr(root: &Node, stage: &str, training: &Training) -> Option<Fault> {
    let Schedule::Cosine { final_lr, .. } = training.schedule else { return None };
    let lr = training.optimizer.lr().get();
    let node = root.at(&[stage, "schedule", "final_lr"])?;
    (final_lr.get() > lr).then(|| {
        let message = format!("the learning rate cannot fall to {:?}: it begins at {lr:?}", final_lr.get());
        Fault::new(node.span.clone(), message)
    })
}

fn accumulate(root: &Node, stage: &str, training: &Training) -> Option<Fault> {
    let (parts, batch) = (training.accumulate.get(), training.batch.get());
    let node = root.at(&[stage, "accumulate"])?;
    (parts > batch).then(|| {
        let message = format!("a batch of {batch} images cannot be computed in {parts} parts");
        let fault = Fault::new(node.span.clone(), message);
        match root.at(&[stage, "batch"]) {
            Some(batch) => fault.with_also(batch.span.clone(), "the batch"),
            None => fault,
        }
    })
}

fn devices(experiment: &Experiment, root: &Node) -> Option<Fault> {
    let node = root.at(&["devices"])?;
    experiment.devices.as_ref().is_some_and(Vec::is_empty).then(|| {
        Fault::new(node.span.clone(), "`devices` is empty: a run needs at least one device").with_help(
            "leave it out for that of the command line, or write for example `[\"cuda:0\", \"cuda:1\"]`",
        )
    })
}

fn dimensions(experiment: &Experiment, root: &Node) -> Option<Fault> {
    let node = root.at(&["search", "dimensions"])?;
    experiment.search.dimensions.is_empty().then(|| {
        Fault::new(node.span.clone(), "`dimensions` is empty: a search needs at least one dimension")
            .with_help("for example `{ \"hidden\": (weight: 5e-5) }`")
    })
}

fn budgets(budgets: &[Budget], root: &Node) -> Vec<Fault> {
    let Some(node) = root.at(&["budgets"]) else {
        return Vec::new();
    };
    if budgets.is_empty() {
        let fault = Fault::new(node.span.clone(), "`budgets` is empty: at least one is needed");
        return vec![fault.with_help("for example `[Share({ \"hidden\": 0.5 })]`")];
    }
    let place = |index: usize| node.child(&index.to_string()).unwrap_or(node).span.clone();
    let mut faults = Vec::new();
    for (index, budget) in budgets.iter().enumerate() {
        let Budget::Share(parts) = budget;
        if parts.is_empty() {
            let message = "this budget is empty: it names no dimension that it keeps a part of";
            faults.push(Fault::new(place(index), message));
        } else if let Some(first) = budgets[..index].iter().position(|earlier| earlier.is_same(budget)) {
            let fault = Fault::new(place(index), "this budget is written twice");
            faults.push(fault.with_label("again here").with_also(place(first), "first here"));
        }
    }
    faults
}
