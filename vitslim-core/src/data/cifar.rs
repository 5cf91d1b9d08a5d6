//! CIFAR-10 and CIFAR-100 in their binary format: label bytes, then 32 x 32 pixels each of red, green and blue.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::files::{DataFile, check_folder, find};
use super::images::{Images, Pixels};
use super::{DataError, Dataset, ImageShape, Preparation};

const SHAPE: ImageShape = ImageShape { channels: 3, size: 32 };

/// More bytes than any file of this format has, so that reading another file ends.
const MOST_BYTES: usize = 1 << 30;

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
/// `cifar-10-batches-bin` within it.
///
/// # Errors
///
/// When a file is missing, does not consist of whole records, or has an unknown label.
pub fn cifar10(path: &Path, preparation: &Preparation) -> Result<Dataset, DataError> {
    CIFAR10.dataset(path, preparation)
}

/// Reads CIFAR-100: `train.bin` and, to test, `test.bin`, in the folder `path` or in `cifar-100-binary` within it.
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
    folder: &'static str,
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
    folder: "cifar-10-batches-bin",
    train: &[
        "data_batch_1.bin",
        "data_batch_2.bin",
        "data_batch_3.bin",
        "data_batch_4.bin",
        "data_batch_5.bin",
    ],
    test: "test_batch.bin",
    labels: &[(10, "label")],
    label: 0,
};

const CIFAR100: Form = Form {
    name: "Cifar100",
    folder: "cifar-100-binary",
    train: &["train.bin"],
    test: "test.bin",
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

    /// The folder with the files: `path`, or the folder in it that unpacking the archive creates.
    fn folder(&self, path: &Path) -> PathBuf {
        let inner = path.join(self.folder);
        if inner.is_dir() { inner } else { path.to_owned() }
    }

    /// The images of all `files`.
    fn images(&self, folder: &Path, files: &[&str]) -> Result<Images, DataError> {
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for name in files {
            let path = find(folder, &[(*name).to_owned()]).map_err(|error| self.hint(folder, error))?;
            self.read(&path, &mut pixels, &mut labels)?;
        }
        Ok(Images { shape: SHAPE, white: 255, labels, pixels: Pixels::Memory(pixels) })
    }

    fn read(&self, path: &Path, pixels: &mut Vec<u8>, labels: &mut Vec<u32>) -> Result<(), DataError> {
        let mut file = DataFile::open(path)?;
        let bytes = file.read_all(MOST_BYTES)?;
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

    /// Bytes of an image and its labels.
    fn record(&self) -> usize {
        self.labels.len() + SHAPE.values()
    }

    /// `error`, with help if `folder` has the other dataset.
    fn hint(&self, folder: &Path, error: DataError) -> DataError {
        let held = |form: &&&Form| form.name != self.name && form.folder(folder).join(form.test).exists();
        match FORMS.iter().find(held) {
            Some(form) => error.with_help(format!("the folder holds the files of `{}(...)`", form.name)),
            None => error,
        }
    }
}
