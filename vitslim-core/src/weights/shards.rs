//! The index of a network in several files, as Hugging Face writes it: `model.safetensors.index.json`.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use serde::Deserialize;

/// Which file each tensor is in.
#[derive(Debug, Deserialize)]
pub(super) struct Index {
    /// The names of tensors, each with the name of its file in the folder of the index.
    pub weight_map: BTreeMap<String, String>,
}

impl Index {
    /// The index in `text`.
    ///
    /// # Errors
    ///
    /// What is wrong with it, to follow the name of its file.
    pub(super) fn read(text: &[u8]) -> Result<Self, String> {
        let index: Self = serde_json::from_slice(text).map_err(|error| {
            format!(
                "is JSON, but not the index of a network in several files, which has a `weight_map` ({error})"
            )
        })?;
        let is_name = |file: &str| {
            let mut parts = Path::new(file).components();
            matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
        };
        match index.weight_map.values().find(|file| !is_name(file)) {
            Some(file) => Err(format!("names the file `{file}`: files of an index lie beside it")),
            None => Ok(index),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_an_index_lie_beside_it() {
        let read = |text: &str| Index::read(text.as_bytes()).map(|index| index.weight_map.len());
        assert_eq!(
            read(r#"{"metadata": {"total_size": 4}, "weight_map": {"a": "x-1.bin", "b": "x-2.bin"}}"#),
            Ok(2)
        );
        for outside in ["../x.bin", "/x.bin", "a/x.bin", ".", ""] {
            let wrong = read(&format!(r#"{{"weight_map": {{"a": "{outside}"}}}}"#)).unwrap_err();
            assert!(wrong.contains("lie beside it"), "{wrong}");
        }
        assert!(read(r#"{"hidden_size": 192}"#).unwrap_err().contains("which has a `weight_map`"));
    }
}
