//! CIFAR-10 and CIFAR-100, in their binary version, label bytes and then 32 x 32 pixels each of red, green and blue, or in their Python
//! version, pickles of the same.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::files::{DataFile, check_folder, find};
use super::images::{Images, Pixels};
use super::pickle::{self, Entries, Value, is_pickle};
use super::{DataError, Dataset, ImageShape, Preparation};

const SHAPE: ImageShape = ImageShape { channels: 3, size: 32 };

/// More bytes than any file of this format has, so that reading another file ends.
const MOST_BYTES: usize = 1 << 28;

/// Which of the two labels of CIFAR-100 is the class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CifarLabels {
    /// One of 100 classes.
    #[default]
    Fine,
    /// One of 20 groups of classes.
    Coarse,
}

/// Reads CIFAR-10: `data_batch_1.bin` to `data_batch_5.bin` and, to test, `test_batch.bin`, in the folder `path` or in
/// `cifar-10-batches-bin` within it; or the same without `.bin`, or in `cifar-10-batches-py`. Whether a file is a pickle, its content says.
/// Both versions have the same images in the same order, and are the same data.
///
/// # Errors
///
/// When a file is missing, does not consist of whole records, is no pickle as CIFAR's are, or has an unknown label.
pub fn cifar10(path: &Path, preparation: &Preparation) -> Result<Dataset, DataError> {
    CIFAR10.dataset(path, preparation)
}

/// Reads CIFAR-100: `train.bin` and, to test, `test.bin`, in the folder `path` or in `cifar-100-binary` within it; or `train` and `test`, or
/// in `cifar-100-python`.
///
/// # Errors
///
/// Those of [`cifar10`].
pub fn cifar100(path: &Path, labels: CifarLabels, preparation: &Preparation) -> Result<Dataset, DataError> {
    match labels {
        CifarLabels::Fine => CIFAR100.dataset(path, preparation),
        CifarLabels::Coarse => Form { label: 0, ..CIFAR100 }.dataset(path, preparation),
    }
}

/// One of the two datasets.
struct Form {
    name: &'static str,
    /// Folders that unpacking the archives creates.
    folders: [&'static str; 2],
    /// The files, without `.bin`.
    train: &'static [&'static str],
    test: &'static str,
    /// Number of classes and name of each label byte.
    labels: &'static [(usize, &'static str)],
    /// Which label byte is the class.
    label: usize,
}

const FORMS: [&Form; 2] = [&CIFAR10, &CIFAR100];

const CIFAR10: Form = Form {
    name: "Cifar10",
    folders: ["cifar-10-batches-bin", "cifar-10-batches-py"],
    train: &["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"],
    test: "test_batch",
    labels: &[(10, "label")],
    label: 0,
};

const CIFAR100: Form = Form {
    name: "Cifar100",
    folders: ["cifar-100-binary", "cifar-100-python"],
    train: &["train"],
    test: "test",
    labels: &[(20, "coarse label"), (100, "fine label")],
    label: 1,
};

impl Form {
    fn dataset(&self, path: &Path, preparation: &Preparation) -> Result<Dataset, DataError> {
        check_folder(path)?;
        let folder = self.folder(path);
        let train = self.images(&folder, self.train)?;
        let test = self.images(&folder, &[self.test])?;
        let (classes, _) = self.labels[self.label];
        Dataset::hold_out(train, test, (0..classes).map(|class| class.to_string()).collect(), preparation)
    }

    /// The folder with the files: `path`, or one in it that unpacking an archive creates.
    fn folder(&self, path: &Path) -> PathBuf {
        let inner = self.folders.map(|folder| path.join(folder)).into_iter().find(|inner| inner.is_dir());
        inner.unwrap_or_else(|| path.to_owned())
    }

    /// The images of all `files`.
    fn images(&self, folder: &Path, files: &[&str]) -> Result<Images, DataError> {
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for name in files {
            let path = find(folder, &both(name)).map_err(|error| self.hint(folder, error))?;
            self.read(&path, &mut pixels, &mut labels)?;
        }
        Ok(Images { shape: SHAPE, white: 255, labels, pixels: Pixels::Memory(pixels) })
    }

    fn read(&self, path: &Path, pixels: &mut Vec<u8>, labels: &mut Vec<u32>) -> Result<(), DataError> {
        let mut file = DataFile::open(path)?;
        let mut bytes = file.read_all(MOST_BYTES)?;
        if is_pickle(&bytes) {
            bytes = self.records(&bytes).map_err(|reason| file.error(reason))?;
        }
        let (name, record) = (self.name, self.record());
        if bytes.len() % record != 0 {
            let found = bytes.len();
            let other = FORMS.into_iter().find(|form| found % form.record() == 0);
            let hint =
                other.map_or_else(String::new, |form| format!("; it may be a file of `{}`", form.name));
            let reason = format!(
                "has {found} bytes, which is not a whole number of `{name}` records ({record} bytes each){hint}"
            );
            return Err(file.error(reason));
        }
        for (image, record) in bytes.chunks_exact(record).enumerate() {
            let (found, values) = record.split_at(self.labels.len());
            for (&label, (classes, called)) in found.iter().zip(self.labels) {
                if usize::from(label) >= *classes {
                    let last = classes - 1;
                    let reason =
                        format!("gives image {image} the {called} {label}, but `{name}` has 0 to {last}");
                    return Err(file.error(reason));
                }
            }
            labels.push(found[self.label].into());
            pixels.extend_from_slice(values);
        }
        Ok(())
    }

    /// The records that the binary version has of a `pickle`.
    fn records(&self, pickle: &[u8]) -> Result<Vec<u8>, String> {
        let entries = pickle::read(pickle)?;
        let Some(Value::Array(data)) = entry(&entries, "data") else {
            return Err("is a pickle, but has no array `data`".to_owned());
        };
        let [images, values] = data.shape[..] else {
            return Err(format!("has an array `data` of {} axes, but CIFAR's have 2", data.shape.len()));
        };
        if values != SHAPE.values() {
            return Err(format!("has images of {values} values, but CIFAR's have {}", SHAPE.values()));
        }
        let labels = self.labels.iter().map(|(_, called)| self.labels(&entries, called, images));
        let labels: Vec<Vec<u8>> = labels.collect::<Result<_, _>>()?;
        let mut records = Vec::with_capacity(images * self.record());
        for (image, pixels) in data.bytes.chunks_exact(values).enumerate() {
            records.extend(labels.iter().map(|labels| labels[image]));
            records.extend_from_slice(pixels);
        }
        Ok(records)
    }

    /// The labels of so many `images` that are `called` so.
    fn labels(&self, entries: &Entries, called: &str, images: usize) -> Result<Vec<u8>, String> {
        let key = plural(called);
        let Some(Value::List(labels)) = entry(entries, &key) else {
            let has_all = |form: &&&Form| {
                form.labels.iter().all(|(_, called)| entry(entries, &plural(called)).is_some())
            };
            let other = FORMS.iter().find(has_all);
            let hint =
                other.map_or_else(String::new, |form| format!("; it may be a file of `{}`", form.name));
            return Err(format!("is a pickle, but has no list `{key}`{hint}"));
        };
        if labels.len() != images {
            return Err(format!("has {images} images, but {} `{key}`", labels.len()));
        }
        let label = |(image, label): (usize, &Value)| match label {
            Value::Int(label) => u8::try_from(*label).map_err(|_| {
                format!("gives image {image} the {called} {label}, which is none of `{}`", self.name)
            }),
            _ => Err(format!("gives image {image} a {called} that is no number")),
        };
        labels.iter().enumerate().map(label).collect()
    }

    /// Bytes of an image and its labels.
    fn record(&self) -> usize {
        self.labels.len() + SHAPE.values()
    }

    /// `error`, with help if `folder` has the other dataset.
    fn hint(&self, folder: &Path, error: DataError) -> DataError {
        let held = |form: &&&Form| {
            let files = both(form.test).map(|name| form.folder(folder).join(name));
            form.name != self.name && files.iter().any(|file| file.is_file())
        };
        match FORMS.iter().find(held) {
            Some(form) => error.with_help(format!("the folder holds the files of `{}(...)`", form.name)),
            None => error,
        }
    }
}

/// What a file is called in the binary version, and in the Python version.
fn both(name: &str) -> [String; 2] {
    [format!("{name}.bin"), name.to_owned()]
}

/// What the list of the labels that are `called` so is called in a pickle: `fine_labels`.
fn plural(called: &str) -> String {
    format!("{}s", called.replace(' ', "_"))
}

fn entry<'a, 'b>(entries: &'b Entries<'a>, key: &str) -> Option<&'b Value<'a>> {
    entries.iter().find(|(name, _)| *name == key.as_bytes()).map(|(_, value)| value)
}
