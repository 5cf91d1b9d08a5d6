//! Augmentation as it is written, and what the names of runs are made of.

use super::*;
use crate::data::{Augment, AutoAugment, Fill, RandomCrop};

fn written(augment: &str) -> Result<Experiment, ExperimentErrors> {
    let data = format!("data: Cifar10(path: \"x\", augment: {augment})");
    experiment(&QUICKSTART.replace("data: Digits", &data), &[])
}

fn augment(experiment: &Experiment) -> Augment {
    match &experiment.data {
        Data::Cifar10 { augment, .. } => *augment,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_recipe_is_written_by_its_name_and_what_differs_from_it() {
    let crop = Some(RandomCrop::Resized { scale: [0.5, 1.0], ratio: [3.0 / 4.0, 4.0 / 3.0] });
    let policy = AutoAugment::RandAugment { magnitude: 7.0, magnitude_std: 0.5, layers: 2, prob: 0.5 };
    for (text, expected) in [
        ("()", Augment::NONE),
        ("Augment", Augment::NONE),
        ("(flip: true)", Augment { flip: true, ..Augment::NONE }),
        ("Augment(fill: Mean)", Augment { fill: Fill::Mean, ..Augment::NONE }),
        ("DeiT", Augment::DEIT),
        ("DeiT3()", Augment::DEIT3),
        ("DeiT(repeats: 1)", Augment { repeats: 1, ..Augment::DEIT }),
        ("DeiT(erasing: 0, crop: None)", Augment { erasing: 0.0, crop: None, ..Augment::DEIT }),
        ("DeiT(crop: Resized(scale: (0.5, 1.0)))", Augment { crop, ..Augment::DEIT }),
        (
            "DeiT(auto_augment: RandAugment(magnitude: 7))",
            Augment { auto_augment: Some(policy), ..Augment::DEIT },
        ),
        (
            "(crop: Simple, auto_augment: ThreeAugment, mixup: 0.1, cutmix: 0.2, mixup_prob: 0.3, mixup_switch_prob: 0.4)",
            Augment {
                crop: Some(RandomCrop::Simple { padding: 4 }),
                auto_augment: Some(AutoAugment::ThreeAugment),
                mixup: 0.1,
                cutmix: 0.2,
                mixup_prob: 0.3,
                mixup_switch_prob: 0.4,
                ..Augment::NONE
            },
        ),
    ] {
        let read = written(text).unwrap_or_else(|errors| panic!("{text}: {}", errors.first()));
        assert_eq!(augment(&read), expected, "{text}");
        let resolved = ron::ser::to_string_pretty(&read, ron::ser::PrettyConfig::new()).unwrap();
        assert_eq!(experiment(&resolved, &[]).unwrap(), read, "{resolved}");
    }
}

#[test]
fn a_recipe_can_be_set_and_changed_by_set_and_by_a_file_that_starts_from_it() {
    let quickstart = QUICKSTART.replace("data: Digits", "data: Cifar10(path: \"x\", augment: DeiT)");
    let set = |sets: &[&str]| augment(&experiment(&quickstart, sets).unwrap());
    assert_eq!(set(&["data.augment.mixup=0.2"]), Augment { mixup: 0.2, ..Augment::DEIT });
    assert_eq!(
        set(&["data.augment=DeiT3", "data.augment.flip=false"]),
        Augment { flip: false, ..Augment::DEIT3 }
    );
    let tree = |text: &str| Document::parse("f.ron", text, &[]).unwrap().root().clone();
    for (base, over, expected) in [
        ("(a: DeiT)", "(a: (mixup: 0.2))", "(a: DeiT(mixup: 0.2))"),
        ("(a: DeiT(erasing: 0))", "(a: (mixup: 0.2))", "(a: DeiT(erasing: 0, mixup: 0.2))"),
        ("(a: (flip: true))", "(a: DeiT)", "(a: DeiT)"),
        ("(a: (crop_padding: 2, flip: true))", "(a: DeiT(mixup: 0.8))", "(a: DeiT(mixup: 0.8))"),
        ("(a: DeiT(erasing: 0))", "(a: DeiT3(mixup: 0.8))", "(a: DeiT3(mixup: 0.8))"),
        ("(a: (flip: true))", "(a: Augment(mixup: 0.8))", "(a: Augment(flip: true, mixup: 0.8))"),
    ] {
        assert_eq!(overlay(tree(base), tree(over)).to_string(), tree(expected).to_string());
    }
}

#[test]
fn a_stage_writes_its_augmentation_as_the_data_do() {
    let quickstart = QUICKSTART.replace("data: Digits", "data: Cifar10(path: \"x\", augment: DeiT)");
    let search = |sets: &[&str]| experiment(&quickstart, sets).unwrap().search.augment;
    assert_eq!(search(&[]), None);
    assert_eq!(search(&["search.augment=()"]), Some(Augment::NONE));
    assert_eq!(search(&["search.augment=None"]), None);
    // A record without a name starts from nothing, and not from what the data say.
    assert_eq!(search(&["search.augment=(flip: true)"]), Some(Augment { flip: true, ..Augment::NONE }));
    let recipe = Some(Augment { mixup: 0.0, ..Augment::DEIT3 });
    assert_eq!(search(&["search.augment=DeiT3", "search.augment.mixup=0"]), recipe);
}

/// Runs of earlier versions keep their names.
#[test]
fn settings_of_earlier_versions_are_written_as_ever() {
    let read = written("(crop_padding: 4, flip: true)").unwrap();
    let data = ron::to_string(&read.data).unwrap();
    assert!(data.ends_with("augment:(crop_padding:4,fill:Black,flip:true))"), "{data}");
    let pretrain = ron::to_string(&read.pretrain).unwrap();
    for later in ["loss", "augment", "lr_of_batch", "warmup_lr"] {
        assert!(!pretrain.contains(later), "{later} is in {pretrain}");
    }
    let binary = experiment(QUICKSTART, &["retrain.loss=BinaryCrossEntropy(threshold: 0)"]).unwrap();
    let retrain = ron::to_string(&binary.retrain).unwrap();
    assert!(retrain.contains("loss:BinaryCrossEntropy(threshold:Some(0.0))"), "{retrain}");
}
