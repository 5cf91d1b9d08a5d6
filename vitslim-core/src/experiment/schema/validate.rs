//! Rules that more than one field has a part in. Each looks at those fields alone, so that it is told beside mistakes in others.

use super::super::document::Document;
use super::super::fault::Fault;
use super::super::nearest::nearest;
use super::super::tree::{Node, Value};
use super::training::batch;
use super::{Budget, Count, Keyed, Rate, Schedule, SearchedDimension};

/// The fields of the stages of training.
pub(crate) const STAGES: [&str; 3] = ["pretrain", "search", "retrain"];

const BATCH: &str = "batch";

/// Every rule that `document` breaks of those that the types alone do not say, at its place.
pub(in super::super) fn validate(document: &Document) -> Vec<Fault> {
    let mut faults = Vec::new();
    for stage in STAGES {
        faults.extend(warmup(document, stage));
        faults.extend(final_lr(document, stage));
        faults.extend(accumulate(document, stage));
    }
    faults.extend(devices(document));
    faults.extend(dimensions(document));
    faults.extend(budgets(document));
    faults
}

/// Images in a batch of `stage`, if that is known.
pub(crate) fn batch_of(document: &Document, stage: &str) -> Option<usize> {
    let path = [stage, BATCH];
    let batch = match (&document.at(&[stage])?.value, document.at(&path)) {
        (_, Some(_)) => document.part::<Count>(&path)?,
        // It is the default, if no other name was meant to be it.
        (Value::Record { fields, .. }, None) => {
            let misspelt = fields.iter().any(|(name, _)| nearest(&name.text, [BATCH]).is_some());
            (!misspelt).then(batch)?
        }
        _ => return None,
    };
    Some(batch.get())
}

fn warmup(document: &Document, stage: &str) -> Option<Fault> {
    let node = document.at(&[stage, "schedule", "warmup_epochs"])?;
    let schedule: Schedule = document.part(&[stage, "schedule"])?;
    let epochs: Count = document.part(&[stage, "epochs"])?;
    let (warmup, epochs) = (schedule.warmup_epochs(), epochs.get());
    (warmup > epochs).then(|| {
        let message = format!("the warm-up takes {warmup} epochs, but `{stage}` has {epochs} in all");
        let fault = Fault::new(node.span.clone(), message);
        match document.at(&[stage, "epochs"]) {
            Some(epochs) => fault.with_also(epochs.span.clone(), "all its epochs"),
            None => fault,
        }
    })
}

fn final_lr(document: &Document, stage: &str) -> Option<Fault> {
    let node = document.at(&[stage, "schedule", "final_lr"])?;
    let Schedule::Cosine { final_lr, .. } = document.part(&[stage, "schedule"])? else { return None };
    let lr = document.part::<Rate>(&[stage, "optimizer", "lr"])?.get();
    (final_lr.get() > lr).then(|| {
        let message = format!("the learning rate cannot fall to {:?}: it begins at {lr:?}", final_lr.get());
        Fault::new(node.span.clone(), message)
    })
}

fn accumulate(document: &Document, stage: &str) -> Option<Fault> {
    let node = document.at(&[stage, "accumulate"])?;
    let parts = document.part::<Count>(&[stage, "accumulate"])?.get();
    let batch = batch_of(document, stage)?;
    (parts > batch).then(|| {
        let message = format!("a batch of {batch} images cannot be computed in {parts} parts");
        let fault = Fault::new(node.span.clone(), message);
        match document.at(&[stage, "batch"]) {
            Some(batch) => fault.with_also(batch.span.clone(), "the batch"),
            None => fault,
        }
    })
}

fn devices(document: &Document) -> Option<Fault> {
    let node = document.at(&["devices"])?;
    let devices: Vec<String> = document.part(&["devices"])?;
    devices.is_empty().then(|| {
        Fault::new(node.span.clone(), "`devices` is empty: a run needs at least one device").with_help(
            "leave it out for that of the command line, or write for example `[\"cuda:0\", \"cuda:1\"]`",
        )
    })
}

fn dimensions(document: &Document) -> Option<Fault> {
    let path = ["search", "dimensions"];
    let node = document.at(&path)?;
    let dimensions: Keyed<SearchedDimension> = document.part(&path)?;
    dimensions.is_empty().then(|| {
        Fault::new(node.span.clone(), "`dimensions` is empty: a search needs at least one dimension")
            .with_help("for example `{ \"hidden\": (weight: 5e-5) }`")
    })
}

fn budgets(document: &Document) -> Vec<Fault> {
    let Some(Node { value: Value::List(items), span }) = document.at(&["budgets"]) else {
        return Vec::new();
    };
    if items.is_empty() {
        let fault = Fault::new(span.clone(), "`budgets` is empty: at least one is needed");
        return vec![fault.with_help("for example `[Share({ \"hidden\": 0.5 })]`")];
    }
    let mut faults = Vec::new();
    let mut before: Vec<(Budget, &Node)> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let Some(budget) = document.part::<Budget>(&["budgets", &index.to_string()]) else { continue };
        let Budget::Share(parts) = &budget;
        if parts.is_empty() {
            let message = "this budget is empty: it names no dimension that it keeps a part of";
            faults.push(Fault::new(item.span.clone(), message));
        } else if let Some((_, first)) = before.iter().find(|(earlier, _)| earlier.is_same(&budget)) {
            let fault = Fault::new(item.span.clone(), "this budget is written twice");
            faults.push(fault.with_label("again here").with_also(first.span.clone(), "first here"));
        }
        before.push((budget, item));
    }
    faults
}
