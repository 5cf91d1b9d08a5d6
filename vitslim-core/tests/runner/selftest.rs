//! `vitslim selftest`: what it tells where all holds, and where something does not.

use std::path::Path;

use serde_json::Value;

use super::workspace::{VITSLIM, Workspace, said};

#[test]
fn a_line_a_check_and_the_counts() {
    let workspace = Workspace::new();
    let output =
        workspace.vitslim(&["selftest", "--only", "layers", "--only", "slicing", "--only", "slicing"]);
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{lines}{}", said(&output));
    let lines: Vec<_> = lines.lines().collect();
    let (last, checks) = lines.split_last().unwrap();
    assert!(checks.len() > 5 && checks.iter().all(|line| line.starts_with("pass  ")), "{lines:?}");
    assert!(
        checks[0].starts_with("pass  slicing.") && lines.iter().any(|line| line.contains("layers.attention"))
    );
    assert!(last.starts_with(&format!("{} passed, 0 failed on cpu", checks.len())), "{last}");
    assert_eq!(std::fs::read_dir(workspace.path(".")).unwrap().count(), 0, "nothing is left");
}

/// The golden numbers in the folder `parity`, with one logit of the dense network changed.
fn wrong_numbers(folder: &Path) {
    std::fs::create_dir(folder).unwrap();
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/parity");
    for file in std::fs::read_dir(ours).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), folder.join(file.file_name())).unwrap();
    }
    let path = folder.join("io.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let start = {
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let logits = tensors.tensor("logits_dense").unwrap();
        logits.data().as_ptr().addr() - bytes.as_ptr().addr()
    };
    let logit = f32::from_le_bytes(bytes[start..start + 4].try_into().unwrap()) + 1e-3;
    bytes[start..start + 4].copy_from_slice(&logit.to_le_bytes());
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn what_does_not_hold_is_told_and_the_rest_goes_on() {
    let workspace = Workspace::new();
    let folder = workspace.path("parity");
    wrong_numbers(&folder);
    let selftest = |args: &[&str]| {
        let args = [&["selftest", "--only", "parity"], args].concat();
        workspace.command(VITSLIM, &args).env("VITSLIM_PARITY_DIR", &folder).output().unwrap()
    };
    let output = selftest(&[]);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{printed}");
    let failed: Vec<_> = printed.lines().filter(|line| line.starts_with("FAIL  ")).collect();
    assert!(failed.len() == 1 && failed[0].contains("parity.dense_logits"), "{printed}");
    assert!(failed[0].contains("dense by 1.0e-3, allowed 2e-5"), "{printed}");
    assert!(printed.lines().last().unwrap().contains("13 passed, 1 failed"), "{printed}");
    assert!(said(&output).contains("1 of 14 checks failed on cpu"), "{}", said(&output));

    let output = selftest(&["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((report["passed"].as_u64(), report["failed"].as_u64()), (Some(13), Some(1)));
    let checks = report["checks"].as_array().unwrap();
    assert_eq!(
        (checks.len(), &checks[0]["name"], &checks[0]["passed"]),
        (14, &"dense_logits".into(), &false.into())
    );

    std::fs::remove_file(folder.join("grads.safetensors")).unwrap();
    let output = selftest(&[]);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(printed.contains("VITSLIM_PARITY_DIR: cannot read"), "{printed}");
    assert!(printed.contains("12 passed, 2 failed"), "{printed}");
}

#[test]
fn an_unknown_group_is_refused() {
    let workspace = Workspace::new();
    let output = workspace.vitslim(&["selftest", "--only", "partiy"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("parity"), "{}", said(&output));
}
