//! How weights are fitted to another network than that which they are from.

use std::path::PathBuf;

use tempfile::TempDir;
use vitslim_core::models::{DistilledVit, Swin, SwinConfig, Vit, VitConfig};
use vitslim_core::prelude::*;

use super::files::{Values, config, data, difference, fitted, parameters, values, written};

/// The ViT of `data/weights`, and its weights.
fn timm_vit() -> (VitConfig, Values) {
    let config = config::<Vit>("weights", "timm_vit");
    let (_, network, _) = fitted::<Vit>(&config, &data("weights/timm_vit.pth"), &[]).unwrap();
    (config, parameters(&network))
}

/// A network of one's own with a field that is called like what other programs wrap around a network.
#[derive(Module, Debug, Slimmable)]
struct Wrapped {
    #[slim]
    vit: Vit,
}

impl Architecture for Wrapped {
    type Config = VitConfig;

    fn presets() -> Vec<(&'static str, VitConfig)> {
        Vec::new()
    }

    fn init(config: &VitConfig, device: &Device) -> Result<Self, ConfigError> {
        Ok(Self { vit: Vit::init(config, device)? })
    }

    fn forward(&self, images: Tensor<4>) -> Logits {
        self.vit.forward(images)
    }
}

#[test]
fn a_network_of_ones_own_takes_its_own_names_whatever_they_are() {
    let (config, dense) = timm_vit();
    let own: Values = dense.iter().map(|(name, value)| (format!("vit.{name}"), value.clone())).collect();
    let folder = tempfile::tempdir().unwrap();
    let (_, network, notes) = fitted::<Wrapped>(&config, &file(&folder, &own), &[]).unwrap();
    assert!(parameters(&network) == own);
    assert!(notes[0].starts_with("32 of 32 tensors"), "{notes:?}");
}

/// `values` as a file.
fn file(folder: &TempDir, values: &Values) -> PathBuf {
    let path = folder.path().join("weights");
    std::fs::write(&path, written(values)).unwrap();
    path
}

#[test]
fn positions_are_resized_whatever_the_file_is() {
    let (config, dense) = timm_vit();
    let folder = tempfile::tempdir().unwrap();
    let larger = VitConfig { image_size: 20, ..config };
    let found = [data("weights/timm_vit.pth"), file(&folder, &dense)].map(|path| {
        let (_, network, notes) = fitted::<Vit>(&larger, &path, &[]).unwrap();
        assert!(
            notes.contains(&"`pos_embed` is resized from 2 x 2 to 5 x 5 patches".to_owned()),
            "{notes:?}"
        );
        parameters(&network)
    });
    assert!(found[0] == found[1]);
    for (name, value) in &found[0] {
        assert!(name == "pos_embed" || *value == dense[name], "{name}");
    }
    // The corners stay near those of the file, and the class token keeps its position.
    let (shape, positions) = &found[0]["pos_embed"];
    assert_eq!((shape, &positions[..12]), (&vec![1, 26, 12], &dense["pos_embed"].1[..12]));
}

#[test]
fn what_belongs_to_the_distillation_token_is_dropped_or_left_as_initialised() {
    let config = config::<DistilledVit>("timm", "deit_distilled");
    let path = data("timm/deit_distilled.safetensors");
    let distilled = values(&path);
    let (_, network, notes) = fitted::<Vit>(&config, &path, &[]).unwrap();
    let plain = parameters(&network);
    let (from, to) = (&distilled["pos_embed"].1, &plain["pos_embed"].1);
    assert!(to[..12] == from[..12] && to[12..] == from[24..]);
    assert!(
        notes
            .iter()
            .any(|note| note.contains("`dist_token`, with the distillation token of the file, is dropped")),
        "{notes:?}"
    );

    let folder = tempfile::tempdir().unwrap();
    let (initial, network, notes) = fitted::<DistilledVit>(&config, &file(&folder, &plain), &[]).unwrap();
    let (initial, back) = (parameters(&initial), parameters(&network));
    for name in ["dist_token", "head_dist.weight", "head_dist.bias"] {
        assert!(back[name] == initial[name], "{name}");
    }
    let (from, to) = (&initial["pos_embed"].1, &back["pos_embed"].1);
    assert!(to[12..24] == from[12..24] && to[24..] == distilled["pos_embed"].1[24..]);
    assert!(
        notes.contains(&"`dist_token` is left as initialised: the file has none".to_owned()),
        "{notes:?}"
    );
}

/// As of DeiT III: the class token has no position.
#[test]
fn positions_of_patches_only_leave_the_class_token_without() {
    let (config, mut dense) = timm_vit();
    let (shape, positions) = dense.get_mut("pos_embed").unwrap();
    shape[1] -= 1;
    positions.drain(..12);
    let expected = [vec![0.0; 12], positions.clone()].concat();
    let folder = tempfile::tempdir().unwrap();
    let (_, network, notes) = fitted::<Vit>(&config, &file(&folder, &dense), &[]).unwrap();
    assert_eq!(parameters(&network)["pos_embed"].1, expected);
    assert!(
        notes.contains(&"`pos_embed` is fitted to the tokens before the patches".to_owned()),
        "{notes:?}"
    );
}

#[test]
fn a_classifier_for_other_classes_is_left_as_initialised() {
    let (config, mut dense) = timm_vit();
    let others = VitConfig { classes: 7, ..config.clone() };
    let folder = tempfile::tempdir().unwrap();
    let (initial, network, notes) = fitted::<Vit>(&others, &file(&folder, &dense), &[]).unwrap();
    assert!(parameters(&network)["head.weight"] == parameters(&initial)["head.weight"]);
    assert!(parameters(&network)["norm.weight"] == dense["norm.weight"]);
    assert!(notes[0].starts_with("30 of 32 tensors"), "{notes:?}");
    assert!(
        notes.iter().any(|note| note.starts_with("`head` is left as initialised: it is [5")),
        "{notes:?}"
    );

    dense.retain(|name, _| !name.starts_with("head"));
    let (_, _, notes) = fitted::<Vit>(&config, &file(&folder, &dense), &[]).unwrap();
    assert!(notes.contains(&"`head` is left as initialised: the file has none".to_owned()), "{notes:?}");
}

#[test]
fn three_channels_are_summed_to_one() {
    let (config, dense) = timm_vit();
    let gray = VitConfig { channels: 1, ..config };
    let (_, network, notes) = fitted::<Vit>(&gray, &data("weights/timm_vit.pth"), &[]).unwrap();
    let found = &parameters(&network)["patch_embed.proj.weight"].1;
    let three = dense["patch_embed.proj.weight"].1.chunks(48);
    let sums: Vec<f32> = three.flat_map(|of| (0..16).map(|at| of[at] + of[16 + at] + of[32 + at])).collect();
    assert!(difference(found, &sums) < 1e-6);
    assert!(
        notes.contains(&"`patch_embed.proj.weight`: its 3 channels are summed to 1".to_owned()),
        "{notes:?}"
    );
}

#[test]
fn tables_are_resized_to_another_window() {
    let config = SwinConfig { image_size: 24, window: 3, ..config::<Swin>("weights", "microsoft_swin") };
    let (_, network, notes) = fitted::<Swin>(&config, &data("weights/microsoft_swin.pth"), &[]).unwrap();
    let table = "layers.*.blocks.*.attn.relative_position_bias_table";
    let told = format!("`{table}` is resized from windows of 4 to windows of 3 patches (3 times)");
    assert!(notes.contains(&told), "{notes:?}");
    assert_eq!(parameters(&network)["layers.0.blocks.0.attn.relative_position_bias_table"].0, [25, 1]);
}

/// What is said when the file does not fit `config`.
fn refused<A: Architecture>(
    config: &A::Config,
    file: &std::path::Path,
    allow_missing: &[&str],
) -> (String, String) {
    let error = fitted::<A>(config, file, allow_missing).unwrap_err();
    (error.wrong.clone(), error.help.unwrap_or_default())
}

#[test]
fn what_does_not_fit_is_told_by_name_and_with_both_shapes() {
    let (config, dense) = timm_vit();
    let path = data("weights/timm_vit.pth");
    for (depth, there) in [(1, 2), (12, 2)] {
        let (told, _) = refused::<Vit>(&VitConfig { depth, ..config.clone() }, &path, &[]);
        assert_eq!(
            told,
            format!(
                "does not fit the network: `blocks` has {there} elements in the file and {depth} in the network"
            )
        );
    }
    // Half of a network is a start too, where that is meant.
    let half = VitConfig { depth: 1, ..config.clone() };
    let (_, _, notes) = fitted::<Vit>(&half, &path, &["blocks.1.*"]).unwrap();
    assert!(notes[0].starts_with("20 of 32 tensors"), "{notes:?}");
    let (told, help) = refused::<Vit>(&VitConfig { dim: 24, ..config.clone() }, &path, &[]);
    assert!(
        told.contains("`blocks.*.norm1.weight` is [12] in the file and [24] in the network (2 times)"),
        "{told}"
    );
    assert!(help.contains("change the configuration of the network, or allow"), "{help}");
    let patches = VitConfig { patch_size: 2, ..config.clone() };
    let (told, _) = refused::<Vit>(&patches, &path, &[]);
    let weight = "`patch_embed.proj.weight` is [12, 3, 4, 4] in the file and [12, 3, 2, 2] in the network";
    assert_eq!(told, format!("does not fit the network: {weight}"));

    let folder = tempfile::tempdir().unwrap();
    let mut other = dense.clone();
    other.remove("blocks.1.norm2.bias");
    for block in 0..2 {
        other.insert(format!("blocks.{block}.ls1.gamma"), (vec![12], vec![2.0; 12]));
    }
    let (told, help) = refused::<Vit>(&config, &file(&folder, &other), &[]);
    assert_eq!(
        told,
        "does not fit the network: `blocks.*.norm2.bias` [12] is missing in the file; `blocks.*.ls1.gamma` [12] of the file is \
         unknown to the network (2 times)"
    );
    assert!(help.ends_with("`allow_missing: [\"blocks.*.norm2.bias\"]`"), "{help}");
    let allowed = ["blocks.*.ls1.gamma", "blocks.1.norm2.bias", "head"];
    let (initial, network, notes) = fitted::<Vit>(&config, &file(&folder, &other), &allowed).unwrap();
    assert!(parameters(&network)["blocks.1.norm2.bias"] == parameters(&initial)["blocks.1.norm2.bias"]);
    for told in [
        "`blocks.*.norm2.bias` is left as initialised: the file has none",
        "`blocks.*.ls1.gamma` of the file is not used (2 times)",
        "`allow_missing`: nothing that `head` names is missing",
    ] {
        assert!(notes.contains(&told.to_owned()), "{notes:?}");
    }
    assert!(
        refused::<Vit>(&config, &path, &["[a"]).0.contains("the pattern `[a` of `allow_missing` is wrong")
    );
}

#[test]
fn the_file_of_another_architecture_is_told_with_what_was_looked_for() {
    let config = config::<Vit>("weights", "timm_vit");
    for file in [
        "weights/microsoft_swin.pth",
        "weights/hugging_face_convnext.safetensors",
        "timm/convnext.safetensors",
    ] {
        let (told, _) = refused::<Vit>(&config, &data(file), &[]);
        assert!(told.starts_with("is no file of this network: it has tensors such as `"), "{told}");
        assert!(told.contains("ConvNeXt of Facebook (`stages.0.0.dwconv.weight`)"), "{told}");
    }
}
