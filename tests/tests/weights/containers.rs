//! Files in all forms in which weights are published, and files that are none.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::Device;
use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;
use vitslim_core::weights::{WeightsError, WeightsFile};

use super::files::{Values, data, difference, parameters, values, written};

/// The network of `data/weights/containers`.
#[derive(Module, Debug)]
struct Net {
    fc: Linear,
}

fn net() -> Net {
    Net { fc: LinearConfig::new(2, 3).init(&Device::flex()) }
}

fn container(name: &str) -> std::path::PathBuf {
    data("weights/containers").join(name)
}

fn read(path: &Path) -> Result<(Values, Vec<String>), WeightsError> {
    let fitted = WeightsFile::open(path)?.fit(&net(), &[])?;
    let notes = fitted.told();
    Ok((parameters(&fitted.into_network(net())?), notes))
}

#[test]
fn the_same_weights_come_out_of_every_container() {
    let expected = values(&container("state.safetensors"));
    for name in [
        "state.safetensors",
        "bare.pth",
        "legacy.pth",
        "wrapped.pth",
        "teacher.pth",
        "module.pth",
        "executed_beside.pth",
        "deit_tiny_patch16_224.pth",
    ] {
        let (found, notes) = read(&container(name)).unwrap();
        assert!(found == expected, "{name}");
        assert!(notes[0].starts_with("2 of 2 tensors"), "{name}: {notes:?}");
    }
    for (name, digits) in [("half", 1e-3), ("bfloat", 1e-2)] {
        for extension in ["pth", "safetensors"] {
            let (found, _) = read(&container(&format!("{name}.{extension}"))).unwrap();
            let far = difference(&found["fc.weight"].1, &expected["fc.weight"].1);
            assert!(far > 0.0 && far < digits, "{name}.{extension}: {far}");
        }
    }
    let (average, notes) = read(&container("average.pth")).unwrap();
    let more: Vec<f32> = expected["fc.bias"].1.iter().map(|value| value + 1.0).collect();
    assert_eq!(average["fc.bias"].1, more);
    assert!(notes.contains(&"`model_ema`, the average of the weights, is taken".to_owned()), "{notes:?}");
}

#[test]
fn the_name_of_a_file_does_not_count() {
    let folder = tempfile::tempdir().unwrap();
    for (name, other) in [("state.safetensors", "x.pth"), ("bare.pth", "x.safetensors"), ("legacy.pth", "x")]
    {
        let path = folder.path().join(other);
        fs::copy(container(name), &path).unwrap();
        assert!(read(&path).unwrap().0 == values(&container("state.safetensors")), "{name}");
    }
}

#[test]
fn shards_are_put_together_by_their_index() {
    let folder = tempfile::tempdir().unwrap();
    let all = values(&container("state.safetensors"));
    let index = folder.path().join("model.safetensors.index.json");
    for name in all.keys() {
        let one = [(name.clone(), all[name].clone())].into();
        fs::write(folder.path().join(format!("{name}.safetensors")), written(&one)).unwrap();
    }
    let write = |weight: &str| {
        let map = format!(r#"{{"fc.weight": "{weight}", "fc.bias": "fc.bias.safetensors"}}"#);
        fs::write(&index, format!(r#"{{"metadata": {{}}, "weight_map": {map}}}"#)).unwrap();
    };
    write("fc.weight.safetensors");
    assert!(read(&index).unwrap().0 == all);
    let sha256 = |path: &Path| WeightsFile::open(path).unwrap().sha256().unwrap();
    let before = sha256(&index);
    let changed: Values = [("fc.weight".to_owned(), (vec![3, 2], vec![1.0; 6]))].into();
    fs::write(folder.path().join("fc.weight.safetensors"), written(&changed)).unwrap();
    assert_ne!(sha256(&index), before);

    write("fc.bias.safetensors");
    let error = read(&index).unwrap_err().to_string();
    assert!(error.contains("fc.bias.safetensors` lacks the tensor `fc.weight`, which"), "{error}");
    write("gone.safetensors");
    let error = read(&index).unwrap_err().to_string();
    assert!(error.ends_with("gone.safetensors` does not exist"), "{error}");
}

/// Writes a file that is no good, and returns its path.
fn bad(folder: &TempDir, name: &str, content: &[u8]) -> std::path::PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    path
}

#[test]
fn what_is_no_good_is_told_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let state = fs::read(container("state.safetensors")).unwrap();
    let zip = fs::read(container("bare.pth")).unwrap();
    let legacy = fs::read(container("legacy.pth")).unwrap();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&state).unwrap();
    let huge = [&100_000_000_000_u64.to_le_bytes()[..], &state[8..]].concat();
    let header = br#"{"fc.weight":{"dtype":"F32","shape":[50000,500000],"data_offsets":[0,100000000000]}}"#;
    let claims = [&(header.len() as u64).to_le_bytes()[..], header, &[0; 64]].concat();
    let header =
        br#"{"fc.weight":{"dtype":"F32","shape":[1099511627776,1099511627776],"data_offsets":[0,64]}}"#;
    let overflows = [&(header.len() as u64).to_le_bytes()[..], header, &[0; 64]].concat();
    let empty_zip = [&b"PK\x05\x06"[..], &[0; 18]].concat();
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";
    let mut nan = values(&container("state.safetensors"));
    nan.get_mut("fc.bias").unwrap().1[1] = f32::NAN;
    let subfolder = folder.path().join("folder");
    fs::create_dir(&subfolder).unwrap();
    let cases = [
        (bad(&folder, "page", b"<!DOCTYPE html>\n<html><head></head></html>"), "is a web page"),
        (bad(&folder, "pointer", pointer), "is a pointer of Git LFS"),
        (bad(&folder, "empty", b""), "is empty"),
        (bad(&folder, "text", b"hello, these are my weights"), "is no file of weights"),
        (bad(&folder, "zip", &empty_zip), "is a zip archive, but not one that PyTorch wrote"),
        (bad(&folder, "gzip", &gzip.finish().unwrap()), "is compressed by gzip"),
        (subfolder, "cannot be read: it is a folder, not a file"),
        (folder.path().join("state.safetensors "), "does not exist"),
        (bad(&folder, "short", &state[..state.len() - 1]), "is broken off or damaged"),
        (bad(&folder, "shorter", &state[..20]), "claims a header of"),
        (bad(&folder, "short zip", &zip[..zip.len() - 30]), "is a zip archive that is broken off or damaged"),
        (bad(&folder, "short pickle", &legacy[..legacy.len() - 9]), "is broken off or damaged"),
        (bad(&folder, "shorter pickle", &legacy[..legacy.len() / 2]), "is broken off or damaged"),
        (bad(&folder, "huge", &huge), "claims a header of 100000000000 bytes, and has"),
        (bad(&folder, "claims", &claims), "is broken off or damaged"),
        (bad(&folder, "overflows", &overflows), "is broken off or damaged"),
        (
            bad(&folder, "nan", &written(&nan)),
            "has values that are infinite or no numbers: 1 of 3 in `fc.bias`",
        ),
        (container("nan.pth"), "has values that are infinite or no numbers"),
        (container("integers.pth"), "has no floats for `fc.weight`, but I64"),
        (container("executed.pth"), "is no checkpoint of tensors with names"),
        (container("expanded.pth"), "claims 24000000 bytes for the tensor `fc.weight`"),
        (bad(&folder, "json", br#"{"hidden_size": 192}"#), "is JSON, but not the index"),
        (bad(&folder, "none", &written(&Values::new())), "holds no tensors"),
        (
            bad(&folder, "other", &written(&[("x.y".to_owned(), (vec![1], vec![0.0]))].into())),
            "is no file of this network",
        ),
    ];
    for (path, said) in cases {
        let begin = Instant::now();
        let error = read(&path).unwrap_err();
        let told = error.to_string();
        assert!(told.contains(said) && told.lines().count() == 1, "{}: {told}", path.display());
        assert!(
            told.starts_with(&format!("`{}", folder.path().display()))
                || told.starts_with(&format!("`{}", data("").display())),
            "{told}"
        );
        println!("{told}\n    {}\n    {:?}", error.help.unwrap_or_default(), begin.elapsed());
    }
    let space = read(&folder.path().join("state.safetensors ")).unwrap_err();
    assert_eq!(space.help.as_deref(), Some("the path ends in a space"));
}

#[cfg(unix)]
#[test]
fn what_may_not_be_read_or_never_ends() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let folder = tempfile::tempdir().unwrap();
    let path = bad(&folder, "closed", &fs::read(container("state.safetensors")).unwrap());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    // The superuser reads everything.
    if fs::File::open(&path).is_err() {
        assert!(read(&path).unwrap_err().to_string().ends_with("may not be read: permission denied"));
    }
    let around = folder.path().join("loop");
    symlink(&around, &around).unwrap();
    assert!(read(&around).unwrap_err().to_string().contains("cannot be read: "));
    assert!(read(Path::new("/dev/zero")).unwrap_err().to_string().contains("it is a device, not a file"));
}
