//! safetensors files that vitslim reads back, and those that it refuses.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Distribution, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use safetensors::{SafeTensors, serialize};
use serde_json::json;
use vitslim_core::export::{Format, SubnetFileError, export};
use vitslim_core::models::{Vit, VitConfig, random_model};
use vitslim_core::prelude::*;
use vitslim_core::run::Subnet;
use vitslim_core::slim::{MaskSet, MaskSpec, describe};

use super::{IMAGE, about_half};

const EXPERIMENT: &str = r#"Experiment(
    name: "a",
    model: (architecture: "vit", config: (patch_size: 8)),
    data: Random(image_size: 32, channels: 3, classes: 3, images: 40),
    search: (epochs: 1, batch: 10, optimizer: AdamW(lr: 1e-3), dimensions: { "head_dim": (weight: 1e-4) }),
    budgets: [Share({ "head_dim": 0.5 })],
)"#;

/// A sub-network of a run that searched heads whose queries and keys have norms, and that folds its masks.
fn subnet() -> Subnet<Vit> {
    let config = VitConfig {
        image_size: 32,
        patch_size: 8,
        classes: 3,
        dim: 24,
        depth: 2,
        heads: 3,
        qk_norm: true,
        ..VitConfig::default()
    };
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let dense = random_model::<Vit>(&config, &mut rng, &Device::flex()).unwrap();
    let dimensions = describe(&dense).unwrap();
    let heads = dimensions.iter().filter(|dimension| dimension.path.ends_with("head_dim"));
    let searched: Vec<_> = heads.map(|dimension| (dimension.clone(), MaskSpec::default())).collect();
    let folded = dense.fold(&MaskSet::new(&searched, &Device::flex()));
    assert!(folded.num_params() > dense.num_params(), "heads share a norm");
    let mut plan = about_half(&dimensions, &mut rng);
    // Heads that lose nothing have a norm each too.
    plan.get_mut("blocks.1.attn.head_dim").unwrap().keep = (0..24).collect();
    let network = json!({
        "version": 1,
        "architecture": "vit",
        "config": config,
        "classes": ["a", "b", "c"],
        "images": { "channels": 3, "size": 32, "resize": null, "white": 255, "mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2] },
        "activations": [],
        "units": {},
        "heads": {},
        "tokens": {},
        "constants": {},
    });
    Subnet {
        model: folded.slim(&plan).unwrap(),
        plan,
        network: serde_json::from_value(network).unwrap(),
        label: "share-0.5".to_owned(),
        trial: "seed=0".to_owned(),
        experiment: EXPERIMENT.to_owned(),
    }
}

fn bytes(subnet: &Subnet<Vit>) -> Vec<u8> {
    let mut files = export(subnet, Format::Safetensors, &[], Path::new("a.safetensors")).unwrap();
    files.pop().unwrap().1
}

/// The file `bytes` with `found` changed in its metadata, where it is first.
fn with_metadata(bytes: &[u8], found: &str, changed: &str) -> Vec<u8> {
    let (_, header) = SafeTensors::read_metadata(bytes).unwrap();
    let mut entries = header.metadata().clone().unwrap();
    let metadata = entries.get_mut("vitslim").unwrap();
    assert!(metadata.contains(found), "{found} is not in {metadata}");
    *metadata = metadata.replacen(found, changed, 1);
    serialize(SafeTensors::deserialize(bytes).unwrap().tensors(), Some(entries)).unwrap()
}

/// What comes of a file with these `bytes`.
fn read_back<A: Architecture>(bytes: &[u8]) -> Result<Subnet<A>, SubnetFileError> {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("a.safetensors");
    std::fs::write(&path, bytes).unwrap();
    Subnet::load(&path, &Device::flex())
}

#[test]
fn heads_that_shared_a_norm_are_read_back_with_one_each() {
    let subnet = subnet();
    let found: Subnet<Vit> = read_back(&bytes(&subnet)).unwrap();
    let shape = [4, IMAGE.channels, IMAGE.size, IMAGE.size];
    let images = Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex());
    let logits = |model: &Vit| model.forward(images.clone()).mean().into_data();
    assert_eq!(logits(&found.model), logits(&subnet.model));
}

/// A network that cannot be made.
#[derive(Module, Debug, Slimmable)]
struct Unmade {
    #[slim]
    vit: Vit,
}

impl Architecture for Unmade {
    type Config = VitConfig;

    fn presets() -> Vec<(&'static str, VitConfig)> {
        Vec::new()
    }

    fn init(config: &VitConfig, _: &Device) -> Result<Self, ConfigError> {
        panic!("{} blocks are no network", config.depth)
    }

    fn forward(&self, images: Tensor<4>) -> Logits {
        self.vit.forward(images)
    }
}

#[test]
fn what_cannot_be_a_network_is_an_error() {
    let bytes = bytes(&subnet());
    let refused = |bytes: &[u8]| read_back::<Vit>(bytes).map(drop).unwrap_err().to_string();

    let error = read_back::<Unmade>(&bytes).map(drop).unwrap_err().to_string();
    assert!(error.contains("does not fit") && error.contains("2 blocks are no network"), "{error}");

    let version = br#"version\":1,"#;
    let at = bytes.windows(version.len()).position(|window| window == version).unwrap() + version.len() - 2;
    let mut newer = bytes.clone();
    newer[at] = b'2';
    let error = refused(&newer);
    assert!(error.contains("described in version 2, not in 1"), "{error}");

    for (found, changed, said) in [
        (r#""dim":24"#, r#""dim":24000000000"#, "the dense network of its metadata"),
        (r#""dim":24"#, r#""dim":18446744073709551600"#, "the dense network of its metadata"),
        (r#""depth":2"#, r#""depth":10000"#, "the dense network of its metadata"),
        (r#""classes":3"#, r#""classes":3000000"#, "the dense network of its metadata"),
        (r#""channels":3"#, r#""channels":30000"#, "the dense network of its metadata"),
        (r#""image_size":32"#, r#""image_size":16000"#, "the dense network of its metadata"),
        (r#""mlp_ratio":4.0"#, r#""mlp_ratio":40000.0"#, "the dense network of its metadata"),
        (r#""patch_size":8"#, r#""patch_size":0"#, "the dense network of its metadata"),
        (r#""of":[24]"#, r#""of":[18446744073709551615,18446744073709551615]"#, "the plan was made for"),
    ] {
        let error = refused(&with_metadata(&bytes, found, changed));
        assert!(error.contains("does not fit") && error.contains(said), "{changed}: {error}");
    }

    // It takes no place, but would when it is read.
    let folder = tempfile::tempdir().unwrap();
    let sparse = folder.path().join("a.safetensors");
    std::fs::write(&sparse, &bytes).unwrap();
    std::fs::File::options().write(true).open(&sparse).unwrap().set_len(3 << 30).unwrap();
    let error = Subnet::<Vit>::load(&sparse, &Device::flex()).map(drop).unwrap_err().to_string();
    assert!(error.contains("it is no safetensors file, or broken off"), "{error}");

    let long = [&(1_u64 << 40).to_le_bytes(), &bytes[8..]].concat();
    for bytes in [&b""[..], b"short", &[0; 100], &long] {
        let error = refused(bytes);
        assert!(error.contains("it is no safetensors file, or broken off"), "{error}");
    }
}
