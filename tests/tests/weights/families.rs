//! A network of each family computes what the program computes that it is from.

use std::path::PathBuf;

use vitslim_core::models::{Architecture, ConvNext, DistilledVit, Swin, Vit, VitConfig};

use super::files::{config, data, difference, fitted, parameters, tensor, values, written};

/// The logits' difference over the largest logit.
const TOLERANCE: f32 = 1e-5;

/// Compares a case of `data/weights`, and returns what is told of the file.
#[track_caller]
fn check<A: Architecture>(file: &str, allow_missing: &[&str]) -> Vec<String> {
    let (case, _) = file.split_once(['.', '/']).unwrap();
    let (io, path) = (values(&data("weights/io.safetensors")), data(&format!("weights/{file}")));
    let (_, network, notes) = fitted::<A>(&config::<A>("weights", case), &path, allow_missing).unwrap();
    let logits = network.forward(tensor(&io, &format!("{case}.images"))).mean();
    let logits: Vec<f32> = logits.into_data().try_into_vec().unwrap();
    let difference = difference(&logits, &io[&format!("{case}.logits")].1);
    println!("{case}: {difference:e}");
    assert!(difference < TOLERANCE, "{case}: {difference:e}");
    notes
}

#[test]
fn timm_vit() {
    let notes = check::<Vit>("timm_vit.pth", &[]);
    assert_eq!(notes, ["32 of 32 tensors, by the names of timm, DeiT, DINOv2 or the network's own names"]);
}

#[test]
fn hugging_face_vit() {
    check::<Vit>("hugging_face_vit.pth", &[]);
    check::<Vit>("hugging_face_vit/model.safetensors.index.json", &[]);
    let notes = check::<Vit>("hugging_face_vit.safetensors", &[]);
    assert_eq!(notes, ["40 of 40 tensors, by the names of ViT, DeiT or DINOv2 of Hugging Face"]);
}

#[test]
fn hugging_face_deit() {
    let notes = check::<DistilledVit>("hugging_face_deit.safetensors", &[]);
    assert_eq!(notes, ["43 of 43 tensors, by the names of ViT, DeiT or DINOv2 of Hugging Face"]);
}

#[test]
fn hugging_face_dinov2() {
    check::<Vit>("hugging_face_dinov2.pth", &[]);
    let notes = check::<Vit>("hugging_face_dinov2.safetensors", &[]);
    assert!(
        notes[0].starts_with("44 of 45 tensors, by the names of ViT, DeiT or DINOv2 of Hugging Face"),
        "{notes:?}"
    );
    assert_eq!(notes[1..], ["`embeddings.mask_token` of the file is not used"]);
}

/// Where timm's network has registers, its class token has no position: that of the file is added to it.
#[test]
fn dinov2_with_registers() {
    let notes = check::<Vit>("timm_dinov2_registers.pth", &[]);
    assert_eq!(notes.len(), 1, "{notes:?}");
    let notes = check::<Vit>("hugging_face_dinov2_registers.safetensors", &[]);
    assert!(
        notes.contains(&"`pos_embed` is fitted to the tokens before the patches".to_owned()),
        "{notes:?}"
    );
}

#[test]
fn timm_deit3() {
    let notes = check::<Vit>("timm_deit3.pth", &[]);
    assert_eq!(notes.len(), 1, "{notes:?}");
}

#[test]
fn hugging_face_swin() {
    check::<Swin>("hugging_face_swin.pth", &[]);
    check::<Swin>("hugging_face_swin.safetensors", &[]);
}

#[test]
fn hugging_face_convnext() {
    check::<ConvNext>("hugging_face_convnext.safetensors", &[]);
}

#[test]
fn microsoft_swin() {
    let notes = check::<Swin>("microsoft_swin.pth", &[]);
    assert!(notes[0].ends_with("by the names of Swin of Microsoft"), "{notes:?}");
    assert!(
        notes.iter().any(|note| note.contains("relative_position_index` of the file is not used")),
        "{notes:?}"
    );
}

#[test]
fn facebook_convnext() {
    let notes = check::<ConvNext>("facebook_convnext.pth", &[]);
    assert!(notes[0].ends_with("by the names of ConvNeXt of Facebook"), "{notes:?}");
}

/// Weights that were really trained, and features that onnxruntime computed with them. They are in the folder `VITSLIM_PUBLISHED`, where
/// `bench/published.py` puts them.
#[test]
fn published_dinov2() {
    let Some(folder) = std::env::var_os("VITSLIM_PUBLISHED").map(PathBuf::from) else {
        eprintln!("skipped: VITSLIM_PUBLISHED names no folder that bench/published.py made");
        return;
    };
    let io = values(&folder.join("features.safetensors"));
    let (_, preset) =
        Vit::presets().into_iter().find(|(name, _)| *name == "vit_small_patch14_dinov2").unwrap();
    let config = VitConfig { image_size: 224, classes: preset.dim, ..preset };
    let (_, network, notes) = fitted::<Vit>(&config, &folder.join("dinov2.safetensors"), &[]).unwrap();
    assert!(notes.len() == 1 && notes[0].starts_with("224 of 224 tensors"), "{notes:?}");
    let features = network.forward(tensor(&io, "images")).mean();
    let features: Vec<f32> = features.into_data().try_into_vec().unwrap();
    let difference = difference(&features, &io["features"].1);
    println!("published_dinov2: {difference:e}");
    assert!(difference < 1e-4, "{difference:e}");
}

/// What timm's networks compute is compared in the library's self-test; here, that their files are taken whole.
#[test]
fn files_of_timm_are_taken_as_they_are() {
    fn check<A: Architecture>(case: &str) {
        let path = data(&format!("timm/{case}.safetensors"));
        let (_, network, notes) = fitted::<A>(&config::<A>("timm", case), &path, &[]).unwrap();
        assert!(parameters(&network) == values(&path), "{case}");
        let count = values(&path).len();
        assert_eq!(
            notes,
            [format!(
                "{count} of {count} tensors, by the names of timm, DeiT, DINOv2 or the network's own names"
            )]
        );
    }
    check::<Swin>("swin");
    check::<Swin>("swin_odd");
    check::<ConvNext>("convnext");
    check::<ConvNext>("convnext_odd");
    check::<DistilledVit>("deit_distilled");
}

/// The original's checkpoints have its masks beside the weights.
#[test]
fn vit_slim() {
    let mut checkpoint = values(&data("parity/vit_slim_tiny.safetensors"));
    let count = checkpoint.len();
    checkpoint.extend(values(&data("parity/masks_full.safetensors")));
    let path = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(path.path(), written(&checkpoint)).unwrap();
    let config = VitConfig {
        image_size: 32,
        patch_size: 8,
        classes: 10,
        dim: 48,
        depth: 3,
        heads: 3,
        ..Default::default()
    };
    let (_, network, notes) = fitted::<Vit>(&config, path.path(), &[]).unwrap();
    assert!(parameters(&network) == values(&data("parity/vit_slim_tiny.safetensors")));
    assert!(notes[0].starts_with(&format!("{count} of {} tensors", checkpoint.len())), "{notes:?}");
    assert!(!notes.iter().any(|note| note.contains("zeta")), "{notes:?}");
}
