//! One mistake each, what is said about it and where.

use super::*;

/// What is replaced in the quickstart, by what, and the place and a part of the sentence that follow.
#[rustfmt::skip]
const BROKEN: &[(&str, &str, &str, &str)] = &[
    // Names.
    ("epochs: 10", "epoch: 10", "9:9", "unknown field `epoch` in `search`; did you mean `epochs`?"),
    ("    retrain:", "    retrian:", "22:5", "unknown field `retrian` in `Experiment`; did you mean `retrain`?"),
    ("Experiment(", "Experimnt(", "2:1", "expected `Experiment`, found `Experimnt`"),
    ("data: Digits", "data: Digit", "6:11", "unknown variant `Digit` of `data`; did you mean `Digits`?"),
    ("data: Digits", "data: Imagenet", "6:11", "unknown variant `Imagenet` of `data`"),
    ("Cosine(", "Cosin(", "7:86", "unknown variant `Cosin` of `schedule`; did you mean `Cosine`?"),
    ("warmup_epochs: 2", "warmup: 2", "7:93", "unknown field `warmup` in `Cosine`; did you mean `warmup_lr`?"),
    ("AdamW(lr: 1e-3", "Adam(lr: 1e-3", "7:39", "did you mean `AdamW`?"),
    ("activation: Tanh", "activation: tanh", "15:59", "did you mean `Tanh`?"),
    ("granularity: Uniform", "granularity: Head", "14:53", "unknown variant `Head` of `granularity`"),
    ("weight: 1e-4, act", "weigth: 1e-4, act", "15:33", "unknown field `weigth` in `blocks.*.tokens`; did you mean `weight`?"),
    ("Share({ \"hidden\": 0.5 })", "Mac(0.5)", "20:9", "unknown variant `Mac` of `budgets`"),
    // Missing fields.
    ("    name: \"digits\",\n", "", "2:1", "missing field `name` in `Experiment`"),
    ("        epochs: 10,\n", "", "8:13", "missing field `epochs` in `search`"),
    ("AdamW(lr: 5e-4),\n        masks", "AdamW(),\n        masks", "10:20", "missing field `lr` in `AdamW`"),
    ("(weight: 5e-4)", "()", "13:25", "missing field `weight` in `head_dim`"),
    // Types.
    ("epochs: 10", "epochs: \"10\"", "9:17", "`epochs`: expected a whole number, found the string \"10\""),
    ("epochs: 10", "epochs: 10.5", "9:17", "`epochs`: must be a whole number, but is `10.5`"),
    ("epochs: 10", "epochs: 1e1", "9:17", "must be a whole number, but is `1e1`: write 10"),
    ("epochs: 10", "epochs: -1", "9:17", "`epochs`: must not be negative, but is `-1`"),
    ("epochs: 10", "epochs: 0", "9:17", "`epochs`: must be at least 1, but is 0"),
    ("epochs: 10", "epochs: 5_000_000_000", "9:17", "`epochs`: must be at most 4294967295, but is `5_000_000_000`"),
    ("epochs: 10", "epochs: Some(10)", "9:17", "`epochs`: expected a whole number, found `Some(...)`"),
    ("epochs: 10", "epochs: ten", "9:17", "`epochs`: expected a whole number, found `ten`"),
    ("seed: 42", "seed: -1", "4:11", "`seed`: must not be negative"),
    ("name: \"digits\"", "name: digits", "3:11", "`name`: expected a string, found `digits`"),
    ("name: \"digits\"", "name: 'digits'", "3:11", "a string is written in double quotes"),
    ("name: \"digits\"", "name: \"a/b\"", "3:11", "`name`: names a folder"),
    ("name: \"digits\"", "name: \"..\"", "3:11", "`name`: names a folder and must begin"),
    ("name: \"digits\"", "name: \"\"", "3:11", "`name`: must not be empty"),
    ("data: Digits", "data: \"Digits\"", "6:11", "`data`: expected one of `Digits`, `Idx`, `Cifar10`, `Cifar100`, `ImageFolder`, `Shards` and `Random`, found the string"),
    ("data: Digits", "data: Idx(pth: \"x\")", "6:15", "unknown field `pth` in `Idx`; did you mean `path`?"),
    ("data: Digits", "data: Idx()", "6:11", "missing field `path` in `Idx`"),
    ("data: Digits", "data: Idx(path: \"x\", held_out: 0)", "6:36", "`held_out`: must be greater than 0 and less than 1"),
    ("data: Digits", "data: Cifar100(path: \"x\", labels: Corse)", "6:39", "unknown variant `Corse` of `labels`; did you mean `Coarse`?"),
    ("data: Digits", "data: Cifar10(path: \"x\", augment: (crop_pading: 4))", "6:40", "unknown field `crop_pading` in `augment`; did you mean `crop_padding`?"),
    ("data: Digits", "data: Cifar10(path: \"x\", augment: DeiT2)", "6:39", "unknown variant `DeiT2` of `augment`; did you mean `DeiT`?"),
    ("data: Digits", "data: Cifar10(path: \"x\", augment: DeiT(mixupp: 1))", "6:44", "unknown field `mixupp` in `DeiT`; did you mean `mixup`?"),
    ("data: Digits", "data: Cifar10(path: \"x\", augment: 3)", "6:39", "`augment`: expected one of `Augment`, `DeiT` and `DeiT3`, found"),
    ("data: Digits", "data: Cifar10(path: \"x\", augment: (mixup: \"a\"))", "6:47", "`mixup`: expected a number, found the string"),
    ("data: Digits", "data: Cifar10(path: \"x\", augment: (auto_augment: RandAug))", "6:54", "unknown variant `RandAug` of `auto_augment`"),
    ("data: Digits", "data: Cifar10(path: \"x\", augment: (crop: Resized(scale: 0.08)))", "6:61", "`scale`: expected 2 values `(...)`, found"),
    ("epochs: 10", "epochs: 10, loss: BCE", "9:27", "unknown variant `BCE` of `loss`"),
    ("epochs: 10", "epochs: 10, loss: BinaryCrossEntropy(threshold: 1)", "9:57", "`threshold`: must be at least 0 and less than 1"),
    ("data: Digits", "data: ImageFolder(path: \"x\", classes: true)", "6:43", "`classes`: expected a list of names, the path of a file in quotes, or a number of classes, found boolean `true`"),
    ("data: Digits", "data: ImageFolder(path: \"x\", classes: [1])", "6:44", "expected a string, found"),
    ("data: Digits", "data: Shards(path: \"x\", classes: 0)", "6:38", "`classes`: must be at least 1 and at most 1000000, but is 0"),
    ("data: Digits", "data: Shards(path: \"x\", classes: -1)", "6:38", "`classes`: expected a list of names"),
    ("data: Digits", "data: Shards(path: \"x\", train: [\"a.tar\"])", "6:36", "`train`: expected a string"),
    ("data: Digits", "data: ImageFolder(path: \"x\", image_size: 0)", "6:46", "`image_size`: must be at least 1"),
    ("data: Digits", "data: Random(images: 0)", "6:26", "`images`: must be at least 1"),
    ("data: Digits", "data: Random(imagesize: 32)", "6:18", "unknown field `imagesize` in `Random`; did you mean `image_size`?"),
    ("data: Digits", "data: Digits(3)", "6:11", "`data`: `Digits` is written `Digits`, without values"),
    ("masks: (lr: 1e-2)", "masks: { \"lr\": 1e-2 }", "11:16", "`masks`: expected a struct `(name: value)`, found a map"),
    ("masks: (lr: 1e-2)", "masks: (1e-2)", "11:16", "found values without names"),
    ("Share({ \"hidden\": 0.5 })", "Share((hidden: 0.5))", "20:15", "expected a map, found a record"),
    ("Share({ \"hidden\": 0.5 })", "Share", "20:9", "`Share` is written `Share(...)`, with one value in it"),
    ("Share({ \"hidden\": 0.5 })", "Share({ hidden: 0.5 })", "20:17", "expected a string, found `hidden`"),
    // Ranges.
    ("\"hidden\": 0.5", "\"hidden\": 1.5", "20:27", "`hidden`: must be greater than 0 and at most 1, but is 1.5"),
    ("\"hidden\": 0.5", "\"hidden\": 0.0", "20:27", "`hidden`: must be greater than 0 and at most 1, but is 0.0"),
    ("weight: 5e-5", "weight: -5e-5", "14:34", "`weight`: must be at least 0, but is -5e-5"),
    ("lr: 1e-3", "lr: 0", "7:49", "`lr`: must be greater than 0 and at most 1, but is 0.0"),
    ("lr: 1e-3", "lr: 1e-3, beta1: 1.0", "7:62", "`beta1`: must be at least 0 and less than 1, but is 1.0"),
    // What a stage may have.
    ("epochs: 20", "epochs: 20, clip: 0", "22:33", "`clip`: must be greater than 0, but is 0.0"),
    ("epochs: 20", "epochs: 20, ema: 1", "22:32", "`ema`: must be at least 0 and less than 1, but is 1.0"),
    ("epochs: 20", "epochs: 20, layer_decay: 1.5", "22:40", "`layer_decay`: must be at least 0.1 and at most 1"),
    ("epochs: 20", "epochs: 20, checkpointing: 1", "22:42", "expected `true` or `false`"),
    ("epochs: 20", "epochs: 20, early_stop: 0", "22:39", "`early_stop`: must be at least 1, but is 0"),
    ("epochs: 20", "epochs: 20, freeze: Weights", "22:27", "unknown field `freeze` in `retrain`"),
    ("masks: (", "freeze: Masks, masks: (", "11:17", "unknown variant `Masks`"),
    ("seed: 42", "devices: []", "4:14", "`devices` is empty: a run needs at least one device"),
    ("seed: 42", "devices: [0]", "4:15", "expected a string"),
    ("seed: 42", "log_every: 0", "4:16", "`log_every`: must be at least 1, but is 0"),
    ("seed: 42", "round_to: 0", "4:15", "`round_to`: must be at least 1, but is 0"),
    ("seed: 42", "round_to: -1", "4:15", "`round_to`: must be at least 1, but is -1"),
    ("seed: 42", "round_to: { \"hidden\": 0 }", "4:27", "`hidden`: must be at least 1, but is 0"),
    ("seed: 42", "keep_at_least: { \"hidden\": 8 }", "4:32", "`hidden`: expected one of `Layer` and `Group`, found the number `8`"),
    ("seed: 42", "ranking: Cost", "4:14", "unknown variant `Cost`"),
    ("Share({ \"hidden\": 0.5 })", "Macs(1.5)", "20:14", "1.5 is more than the dense network: write a share of the dense network"),
    ("Share({ \"hidden\": 0.5 })", "Macs(0)", "20:14", "must be greater than 0 and at most 1, but is 0.0"),
    ("Share({ \"hidden\": 0.5 })", "Params(\"15\")", "20:16", "found \"15\"; units are k, M, G and T"),
    ("Share({ \"hidden\": 0.5 })", "Params(\"-1 M\")", "20:16", "found \"-1 M\"; units are k, M, G and T"),
    ("Share({ \"hidden\": 0.5 })", "Params(\"2 GiB\")", "20:16", "found \"2 GiB\"; units are k, M, G and T"),
    ("AdamW(lr: 1e-3, weight_decay: 0.05)", "Sgd(lr: 1e-3, momentum: 1.0)", "7:63", "`momentum`: must be at least 0 and less than 1, but is 1.0"),
    ("AdamW(lr: 1e-3, weight_decay: 0.05)", "Sgd(lr: 1e-3, nesterov: 1)", "7:63", "`nesterov`: expected `true` or `false`"),
    ("AdamW(lr: 1e-3, weight_decay: 0.05)", "Sgd(lr: 1e-3, beta1: 0.9)", "7:53", "unknown field `beta1` in `Sgd`"),
    ("AdamW(lr: 1e-3, weight_decay: 0.05)", "Lamb(lr: 1e-3, epsilon: 0)", "7:63", "`epsilon`: must be greater than 0, but is 0.0"),
    ("AdamW(lr: 1e-3, weight_decay: 0.05)", "LAMB(lr: 1e-3)", "7:39", "unknown variant `LAMB` of `optimizer`; did you mean `Lamb`?"),
    ("AdamW(lr: 1e-3, weight_decay: 0.05)", "SGD(lr: 1e-3)", "7:39", "unknown variant `SGD` of `optimizer`; did you mean `Sgd`?"),
    ("epochs: 40", "epochs: 40, lr_of_batch: 0", "7:41", "`lr_of_batch`: must be at least 1, but is 0"),
    ("warmup_epochs: 2", "warmup_lr: 0", "7:104", "`warmup_lr`: must be greater than 0, but is 0.0"),
    ("epochs: 20", "epochs: 20, augment: DeiT2", "22:36", "unknown variant `DeiT2` of `augment`; did you mean `DeiT`?"),
    // Rules over several fields.
    ("epochs: 40", "epochs: 40, batch: 1024, lr_of_batch: 1", "7:54", "at the batch of `pretrain`, the learning rate 0.001 becomes 1.02: it must"),
    ("masks: (lr: 1e-2)", "masks: (lr: 1e-2), batch: 128, lr_of_batch: 1", "11:53", "at the batch of `search`, the learning rate 0.01 becomes 1.28"),
    ("warmup_epochs: 2", "warmup_epochs: 2, warmup_lr: 2e-3", "7:122", "the learning rate cannot rise from 0.002: it rises to 0.001"),
    ("schedule: Cosine(warmup_epochs: 2)", "lr_of_batch: 512, schedule: Cosine(warmup_lr: 5e-4)", "7:122", "the learning rate cannot rise from 0.0005: it rises to 0.000125"),
    ("schedule: Cosine(warmup_epochs: 2)", "lr_of_batch: 512, schedule: Cosine(final_lr: 5e-4)", "7:121", "the learning rate cannot fall to 0.0005: it begins at 0.000125"),
    ("Cosine(warmup_epochs: 2)", "Constant(warmup_lr: 1e-4)", "7:106", "the warm-up has a first learning rate, but no steps"),
    ("warmup_epochs: 2", "warmup_steps: 0, warmup_lr: 1e-4", "7:121", "the warm-up has a first learning rate, but no steps"),
    ("epochs: 20", "epochs: 20, augment: DeiT", "22:36", "images of `Digits` are not augmented"),
    ("epochs: 20", "epochs: 20, batch: 8, accumulate: 9", "22:49", "a batch of 8 images cannot be computed in 9 parts"),
    ("warmup_epochs: 2", "warmup_epochs: 41", "7:108", "the warm-up takes 41 epochs, but `pretrain` has 40 in all"),
    ("warmup_epochs: 2", "warmup_epochs: 2, warmup_steps: 40", "7:125", "the warm-up is written twice, in epochs and in steps"),
    ("Share({ \"hidden\": 0.5 })", "Share({ \"hidden\": 0.7, \"head_dim\": 0.7, \"blocks.*.tokens\": 0.7 })", "20:9", "this budget is written twice"),
    ("Share({ \"hidden\": 0.5 })", "Share({})", "20:9", "this budget is empty"),
    ("Share({ \"hidden\": 0.5 })", "All([])", "20:9", "this budget is empty: `All` needs at least one limit"),
    ("Share({ \"hidden\": 0.5 })", "All([Macs(0.5), All([Macs(0.4)])])", "20:9", "`All` within `All`: write all limits in one list"),
    ("Share({ \"hidden\": 0.5 })", "All([Share({ \"hidden\": 0.5 }), Share({ \"tokens\": 0.5 })])", "20:9", "this budget has two `Share`s"),
    ("Share({ \"hidden\": 0.5 })", "Macs(\"2 G\"), Macs(\"2000 M\")", "20:22", "this budget is written twice"),
    // Duplicates.
    ("seed: 42", "name: \"x\"", "4:5", "the field `name` is written twice, first in line 3"),
    ("\"head_dim\": (", "\"hidden\": (", "14:13", "the key \"hidden\" is written twice, first in line 13"),
    // Sweeps.
    ("weight: 5e-4", "weight: Sweep([2e-4, 5e-4])", "13:34", "this experiment has 2 trials, and one is needed here"),
    ("seed: 42", "seed: Sweep([])", "4:17", "this sweep is empty"),
    ("seed: 42", "seed: Sweep(1, 2)", "4:11", "a sweep is written `Sweep([a, b])`"),
    ("seed: 42", "seed: Sweep([1, Sweep([2, 3])])", "4:21", "a sweep inside a sweep"),
    ("seed: 42", "seed: Sweep([1, 2, 1])", "4:24", "`1` gives the same trial twice"),
    ("seed: 42", "clip: Sweep([1, 2])", "4:5", "unknown field `clip` in `Experiment`"),
    ("epochs: 40", "epochs: 40, clip: Sweep([1.0, Some(1)])", "7:46", "`Some(1)` gives the same trial twice"),
    ("seed: 42", "seed: Sweep(\"a\", [1, 2]), log_every: Sweep(\"a\", [1, 2, 3])", "4:42", "sweeps called \"a\" go in step, but this one has 3 values and the first, at f.ron:4:11, has 2"),
    ("seed: 42", "seed: Seeds(200), log_every: Range(1, 100, 100)", "4:34", "with this sweep there are 20000 trials, and at most 10000 are allowed"),
    ("lr: 1e-3", "lr: LogRange(1e-3, 10, 3)", "7:49", "`lr`: must be greater than 0 and at most 1, but is 10.0"),
    ("lr: 1e-3", "lr: Sweep([1e-3, 2])", "7:62", "`lr`: must be greater than 0 and at most 1, but is 2.0"),
    ("warmup_epochs: 2", "warmup_epochs: Sweep([2, 41])", "7:118", "the warm-up takes 41 epochs, but `pretrain` has 40 in all"),
    ("\"digits\",", "Sweep([\"a\", \"b c\"]),", "3:11", "`name` cannot be swept"),
    // Syntax.
    ("search: (", "search: {", "17:5", "expected `}`, found `)`: the `{` of line 8 is not closed"),
    ("masks: (lr: 1e-2)", "masks: {lr: 1e-2}", "11:16", "`masks`: expected a struct `(name: value)`, found a map"),
    ("seed: 42", "seed = 42", "4:10", "expected `:` after `seed`, found `=`"),
    ("seed: 42", "\"seed\": 42", "4:5", "a field is written without quotes: `seed: value`"),
    ("seed: 42", "seed: ", "4:11", "expected a value for `seed`, found `,`"),
    ("seed: 42", "seed", "4:9", "expected `:` and a value after `seed`, found `,`"),
    ("seed: 42,", "seed: 42;", "4:13", "expected `,`, found `;`"),
    ("seed: 42,", "seed: 42,,", "4:14", "expected a field `name: value`, found `,`"),
    ("seed: 42,", "seed: 42, # the answer", "4:15", "a comment starts with `//`"),
    ("// The quickstart.", "/* The quickstart.", "1:1", "this comment is never closed"),
    ("\"digits\",", "\"digits,", "3:11", "this string is not closed on its line"),
    ("\"digits\"", "\"C:\\digits\"", "3:14", "unknown escape `\\d`"),
    ("\"digits\"", "“digits”", "3:11", "plain double quotes"),
    ("\"digits\"", "b\"digits\"", "3:11", "byte strings are not part of an experiment"),
    ("// The quickstart.", "#![enable(implicit_som)]", "1:1", "with a known extension"),
    (")\n", ")\n)", "24:1", "unexpected `)`"),
    ("Experiment(", "Experiment {", "2:12", "expected `(`, found `{`: a struct is written `Experiment(...)`"),
];

#[test]
fn each_mistake_is_told_at_its_place() {
    let mut wrong = Vec::new();
    for (good, bad, place, sentence) in BROKEN {
        assert!(QUICKSTART.contains(good), "{good}");
        let text = if *good == ")\n" { format!("{QUICKSTART})") } else { QUICKSTART.replacen(good, bad, 1) };
        match experiment(&text, &[]) {
            Ok(_) => wrong.push(format!("{bad}: accepted")),
            Err(errors) => {
                let told = errors.first().to_string();
                if !told.starts_with(&format!("f.ron:{place}:")) || !told.contains(sentence) {
                    wrong.push(format!(
                        "{bad}\n    expected {place}: {sentence}\n    told     {}",
                        lines(&errors).join("\n             ")
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn several_mistakes_are_told_at_once() {
    let text = QUICKSTART
        .replace("seed: 42,", "seed = 42")
        .replace("lr: 1e-2", "lr 1e-2")
        .replace("0.5 }", "5e-1f32 }");
    assert_eq!(
        lines(&experiment(&text, &[]).unwrap_err()),
        [
            "f.ron:4:10: expected `:` after `seed`, found `=`",
            "f.ron:5:5: expected `,` before `model`",
            "f.ron:11:20: expected `:` or `,` before `1e-2`",
            "f.ron:20:27: `5e-1f32` has a type at its end: a number is written without one",
        ]
    );
    // Of what types and ranges refuse, all, and nothing that only follows from it.
    let text = QUICKSTART
        .replace("seed: 42", "seed: -1")
        .replace("epochs: 40, optimizer: AdamW(lr: 1e-3,", "epochs: 0, optimizer: AdamW(")
        .replace("(weight: 5e-4)", "(weigth: -5e-4)")
        .replace("Share({ \"hidden\": 0.5 })", "Share((hidden: 0.5))")
        .replace("epochs: 20", "epochs: None, batch: \"z\"");
    let told = lines(&experiment(&text, &[]).unwrap_err());
    let starts = [
        "f.ron:4:11: `seed`: must not be negative",
        "f.ron:7:24: `epochs`: must be at least 1",
        "f.ron:7:38: missing field `lr` in `AdamW`",
        "f.ron:13:26: unknown field `weigth` in `head_dim`",
        "f.ron:20:15: `Share`: expected a map",
        "f.ron:22:23: `epochs`: expected a whole number",
        "f.ron:22:36: `batch`: expected a whole number",
    ];
    assert_eq!(told.len(), starts.len(), "{told:#?}");
    for (told, start) in told.iter().zip(starts) {
        assert!(told.starts_with(start), "{told}");
    }
    let text = QUICKSTART
        .replace("seed:", "sead:")
        .replace("granularity:", "granularty:")
        .replace("epochs: 20", "epoch: 20");
    assert_eq!(lines(&experiment(&text, &[]).unwrap_err()).len(), 3);
}
