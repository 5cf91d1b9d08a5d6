//! A file of weights, opened and judged; none of its values is read yet.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use burn::store::burn_pack::Tensor;
use burn::store::pytorch_reader::{PickleError, PytorchError, PytorchReader};
use burn::store::{ModuleStore, SafetensorsStore, bridge};
use burn::tensor::DType;
use sha2::{Digest, Sha256};

use super::container::{Container, EXPECTED, container};
use super::error::WeightsError;
use super::shards::Index;
use crate::input_file;
use crate::terminal::{one_line, printable};

/// Most bytes of an index of shards: that of the largest network published has far fewer.
const LARGEST_INDEX: u64 = 64 << 20;

/// Bytes that are hashed at once.
const HASHED: usize = 1 << 20;

/// Tensors in a file, or in several with an index. Their names, types and shapes are known; their values are read when a network
/// is [fitted](Self::fit) to them.
#[derive(Clone)]
pub struct WeightsFile {
    path: PathBuf,
    /// The file, or the index and its shards.
    files: Vec<PathBuf>,
    pub(super) tensors: Vec<Tensor>,
}

impl std::fmt::Debug for WeightsFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("WeightsFile")
            .field("path", &self.path)
            .field("tensors", &self.tensors.len())
            .finish()
    }
}

impl WeightsFile {
    /// Opens a `.safetensors` file, a checkpoint of PyTorch, or an index of several such files. What it is, its content decides.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is something else.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let (mut files, mut tensors) = (vec![path.to_owned()], Vec::new());
        match judged(path)? {
            Container::Json => {
                let index =
                    input_file::read(path, LARGEST_INDEX).map_err(|error| unreadable(path, &error))?;
                let index = Index::read(&index).map_err(|said| wrong(path, said, EXPECTED))?;
                for name in index.weight_map.values().collect::<BTreeSet<_>>() {
                    let shard = path.with_file_name(name);
                    let found = tensors_of(&shard, judged(&shard)?)?;
                    let lacks = |listed: &String| !found.iter().any(|tensor| tensor.name == *listed);
                    let mut listed = index.weight_map.iter().filter(|(_, file)| *file == name);
                    if let Some((missing, _)) = listed.find(|(listed, _)| lacks(listed)) {
                        let said = format!("lacks the tensor `{missing}`, which `{}` lists", path.display());
                        return Err(wrong(&shard, said, "download both again"));
                    }
                    tensors.extend(found);
                    files.push(shard);
                }
            }
            container => tensors = tensors_of(path, container)?,
        }
        if tensors.is_empty() {
            return Err(wrong(path, "holds no tensors".to_owned(), EXPECTED));
        }
        Ok(Self { path: path.to_owned(), files, tensors })
    }

    /// The tensors in `bytes`, a `.safetensors` file. Errors call it `path`.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub(crate) fn of_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self, WeightsError> {
        let tensors = of_safetensors(path, SafetensorsStore::from_bytes(Some(bytes)))?;
        Ok(Self { path: path.to_owned(), files: Vec::new(), tensors })
    }

    /// The shape of the tensor called `name`.
    pub(crate) fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.tensors.iter().find(|tensor| tensor.name == name).map(|tensor| tensor.shape.to_vec())
    }

    /// The SHA-256 of the content, in hexadecimal; with shards, of the content of the index and of all shards.
    ///
    /// # Errors
    ///
    /// When a file cannot be read.
    pub fn sha256(&self) -> Result<String, WeightsError> {
        let mut hash = Sha256::new();
        let mut block = vec![0; HASHED];
        for path in &self.files {
            let mut file = input_file::open(path).map_err(|error| unreadable(path, &error))?;
            loop {
                let read = file.read(&mut block).map_err(|error| unreadable(path, &error))?;
                if read == 0 {
                    break;
                }
                hash.update(&block[..read]);
            }
        }
        Ok(format!("{:x}", hash.finalize()))
    }

    /// An error in this file.
    pub(crate) fn error(&self, said: impl Into<String>, help: Option<String>) -> WeightsError {
        WeightsError { path: self.path.clone(), wrong: said.into(), help }
    }

    /// The values of `tensor`, in f32.
    ///
    /// # Errors
    ///
    /// When they are no floats, cannot be read, or are not finite.
    pub(super) fn values(&self, tensor: &Tensor) -> Result<Vec<f32>, WeightsError> {
        let name = printable(&tensor.name);
        if !matches!(tensor.dtype, DType::F64 | DType::F32 | DType::F16 | DType::BF16) {
            let said = format!("has no floats for `{name}`, but {:?}", tensor.dtype);
            return Err(self.error(said, Some("floats of 16, 32 or 64 bits are read".to_owned())));
        }
        let damaged = |error: String| {
            let said = format!("cannot be read at the tensor `{name}`: {}", one_line(&error));
            self.error(said, Some("is it broken off? Download or copy it again".to_owned()))
        };
        let data = bridge::to_data(tensor).map_err(|error| damaged(error.to_string()))?;
        let values: Vec<f32> =
            data.convert::<f32>().try_into_vec().map_err(|error| damaged(format!("{error:?}")))?;
        let bad = values.iter().filter(|value| !value.is_finite()).count();
        if bad > 0 {
            let all = values.len();
            let said = format!("has values that are infinite or no numbers: {bad} of {all} in `{name}`");
            return Err(
                self.error(said, Some("take a checkpoint from before its training failed".to_owned()))
            );
        }
        Ok(values)
    }
}

/// What the file at `path` is.
fn judged(path: &Path) -> Result<Container, WeightsError> {
    let file = input_file::open(path).map_err(|error| unreadable(path, &error))?;
    let found = container(&file).map_err(|error| unreadable(path, &error))?;
    found.map_err(|(seems, help)| wrong(path, format!("is {seems}"), help))
}

fn tensors_of(path: &Path, container: Container) -> Result<Vec<Tensor>, WeightsError> {
    match container {
        Container::Safetensors => of_safetensors(path, SafetensorsStore::from_file(path)),
        Container::Pytorch => of_pytorch(path),
        Container::Json => Err(wrong(path, "is JSON, not a file of weights".to_owned(), EXPECTED)),
    }
}

fn of_safetensors(path: &Path, mut store: SafetensorsStore) -> Result<Vec<Tensor>, WeightsError> {
    let damaged = |error: String| {
        let said = format!("is broken off or damaged: {}", one_line(&error));
        wrong(path, said, "download or copy it again")
    };
    let tensors: &BTreeMap<String, Tensor> =
        store.get_all_tensors().map_err(|error| damaged(error.to_string()))?;
    Ok(tensors.values().cloned().collect())
}

fn of_pytorch(path: &Path) -> Result<Vec<Tensor>, WeightsError> {
    const AGAIN: &str = "download or copy it again";
    const STATE: &str =
        "save the tensors alone, with `torch.save(model.state_dict(), path)`, or as `.safetensors`";
    let damaged = |error: &dyn std::fmt::Display| {
        wrong(path, format!("is broken off or damaged: {}", one_line(&error.to_string())), AGAIN)
    };
    let reader = PytorchReader::new(path).map_err(|error| match error {
        PytorchError::Zip(error) => {
            wrong(path, format!("is a zip archive that is broken off or damaged: {error}"), AGAIN)
        }
        PytorchError::InvalidFormat(said) if said.contains("data.pkl") => {
            wrong(path, "is a zip archive, but not one that PyTorch wrote".to_owned(), EXPECTED)
        }
        PytorchError::InvalidFormat(said) if !said.contains("dictionary") => damaged(&said),
        PytorchError::Io(error) | PytorchError::Pickle(PickleError::Io(error)) => damaged(&error),
        error => {
            let said = format!("is no checkpoint of tensors with names: {}", one_line(&error.to_string()));
            wrong(path, said, STATE)
        }
    })?;
    let length = path.metadata().map_err(|error| unreadable(path, &error))?.len();
    let mut tensors: Vec<Tensor> = reader.into_tensors().into_values().map(bridge::from_pytorch).collect();
    tensors.sort_by(|one, other| one.name.cmp(&other.name));
    match tensors.iter().find(|tensor| tensor.byte_len() as u64 > length) {
        Some(tensor) => {
            let said = format!(
                "claims {} bytes for the tensor `{}`, and has {length} in all",
                tensor.byte_len(),
                printable(&tensor.name)
            );
            Err(wrong(path, said, "save it after `.clone()`"))
        }
        None => Ok(tensors),
    }
}

fn wrong(path: &Path, wrong: String, help: &str) -> WeightsError {
    WeightsError { path: path.to_owned(), wrong, help: Some(help.to_owned()) }
}

fn unreadable(path: &Path, error: &std::io::Error) -> WeightsError {
    let ends_in_space = path.to_string_lossy().ends_with(char::is_whitespace);
    let help = match error.kind() {
        ErrorKind::NotFound if ends_in_space => "the path ends in a space",
        ErrorKind::NotFound if path.is_relative() => "a relative path starts at the current folder",
        ErrorKind::NotFound => "was it moved? Say where it is now",

        _ if path.is_dir() => "name the file of weights in it",
        _ => EXPECTED,
    };
    let said = match error.kind() {
        ErrorKind::NotFound => "does not exist".to_owned(),
        ErrorKind::PermissionDenied => "may not be read: permission denied".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    wrong(path, said, help)
}
