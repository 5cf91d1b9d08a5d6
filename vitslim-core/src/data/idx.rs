//! The format of MNIST and Fashion-MNIST: a header of big-endian sizes, then bytes.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use super::files::{DataFile, check_folder, find};
use super::images::{Images, Pixels};
use super::{DataError, Dataset, ImageShape, Preparation};
use crate::terminal::counted;

/// The type byte of unsigned bytes, and all type bytes that exist.
const BYTES: u8 = 0x08;
const TYPES: [(u8, &str); 6] = [
    (BYTES, "unsigned bytes"),
    (0x09, "signed bytes"),
    (0x0b, "16-bit integers"),
    (0x0c, "32-bit integers"),
    (0x0d, "32-bit floats"),
    (0x0e, "64-bit floats"),
];

/// More bytes than any data set of this format has: a small gzip file can unpack to any number.
const MOST_BYTES: usize = 4_000_000_000;

/// Most classes that a label byte can name.
const MOST_CLASSES: usize = 256;

/// Reads the four files of MNIST in the folder `path`: `train-images-idx3-ubyte` and so on, with `-` or `.` before `idx` and
/// with or without `.gz`. A file is decompressed if its content is gzip. Images are gray and square, of any size; labels are
/// below `classes`.
///
/// The test split is the `t10k` files.
///
/// # Errors
///
/// When a file is missing, is not what its name says, has more or less data than its header announces, or does not fit the
/// others.
pub fn idx(path: &Path, classes: usize, preparation: &Preparation) -> Result<Dataset, DataError> {
    if classes > MOST_CLASSES {
        let reason = format!("is {classes}, but a label is a byte: there are at most {MOST_CLASSES}");
        return Err(DataError::setting(&["classes"], reason));
    }
    check_folder(path)?;
    let (train, train_file) = pair(path, "train", classes)?;
    let (test, test_file) = pair(path, "t10k", classes)?;
    if train.shape != test.shape {
        let name = train_file.file_name().unwrap_or_default().display();
        let (found, expected) = (test.shape.size, train.shape.size);
        let reason = format!(
            "has images of {found} x {found} pixels, but those of `{name}` are {expected} x {expected}"
        );
        return Err(DataError::file(&test_file, reason));
    }
    Dataset::hold_out(train, test, (0..classes).map(|class| class.to_string()).collect(), preparation)
}

/// Images and labels of one split, and the file of the images.
fn pair(folder: &Path, part: &str, classes: usize) -> Result<(Images, PathBuf), DataError> {
    let (images_file, [count, height, width], pixels) = read(folder, part, IMAGES)?;
    let (labels_file, [_], labels) = read(folder, part, LABELS)?;
    if height != width {
        let reason = format!("has images of {height} x {width} pixels, but only square ones can be used");
        return Err(DataError::file(&images_file, reason));
    }
    if labels.len() != count {
        let name = images_file.file_name().unwrap_or_default().display();
        let labels = counted(labels.len(), "label", "labels");
        let images = counted(count, "image", "images");
        let reason = format!("has {labels}, but `{name}` has {images}: do both belong to the same split?");
        return Err(DataError::file(&labels_file, reason));
    }
    if let Some(image) = labels.iter().position(|&label| usize::from(label) >= classes) {
        let (label, last) = (labels[image], classes - 1);
        let classes = counted(classes, "class goes", "classes go");
        let reason = format!("gives image {image} the label {label}, but {classes} from 0 to {last}");
        let help = "`classes: ...` says how many classes there are; left out, it is 10";
        return Err(DataError::file(&labels_file, reason).with_help(help));
    }
    let images = Images {
        shape: ImageShape { channels: 1, size: height },
        white: 255,
        labels: labels.into_iter().map(u32::from).collect(),
        pixels: Pixels::Memory(pixels),
    };
    Ok((images, images_file))
}

/// What a file with `N` dimensions contains.
#[derive(Clone, Copy)]
struct Content<const N: usize> {
    name: &'static str,
    /// What the file beside it contains.
    other: &'static str,
}

const IMAGES: Content<3> = Content { name: "images", other: "labels" };
const LABELS: Content<1> = Content { name: "labels", other: "images" };

/// A file of a split, the sizes in its header, and the bytes after it.
fn read<const N: usize>(
    folder: &Path,
    part: &str,
    Content { name, other }: Content<N>,
) -> Result<(PathBuf, [usize; N], Vec<u8>), DataError> {
    let names = [("-", ""), ("-", ".gz"), (".", ""), (".", ".gz")];
    let names = names.map(|(dash, end)| format!("{part}-{name}{dash}idx{N}-ubyte{end}"));
    let path = find(folder, &names)?;
    let mut file = DataFile::open(&path)?;

    let magic = file.read(4)?;
    let [0, 0, kind, dimensions] = magic[..] else {
        return Err(
            file.error("is no IDX file: those begin with two zero bytes, a type and a number of dimensions")
        );
    };
    match TYPES.iter().find(|(known, _)| *known == kind) {
        Some((BYTES, _)) => {}
        Some((_, name)) => {
            return Err(file.error(format!("holds {name}, but only unsigned bytes can be used")));
        }
        None => return Err(file.error(format!("is no IDX file: there is no type 0x{kind:02x}"))),
    }
    if usize::from(dimensions) != N {
        let hint = match dimensions {
            1 | 3 => format!(": it holds {other}, were two files swapped?"),
            _ => String::new(),
        };
        let dimensions = counted(dimensions.into(), "dimension", "dimensions");
        return Err(file.error(format!("has {dimensions}, but {name} have {N}{hint}")));
    }

    let header = file.read(4 * N)?;
    if header.len() < 4 * N {
        return Err(file.error("ends within its header"));
    }
    let size = |axis: usize| (0..4).fold(0, |size, byte| size << 8 | usize::from(header[4 * axis + byte]));
    let sizes: [usize; N] = std::array::from_fn(size);
    let shape = sizes.map(|size| size.to_string()).join(" x ");
    let Some(announced) = sizes.iter().try_fold(1_usize, |product, &size| product.checked_mul(size)) else {
        return Err(
            file.error(format!("announces {shape} bytes, more than there can be: its header is damaged"))
        );
    };
    if announced == 0 {
        return Err(file.error(format!("has no {name}: its header announces {shape} bytes")));
    }
    if announced > MOST_BYTES {
        let most = MOST_BYTES / 1_000_000_000;
        let reason =
            format!("announces {shape} bytes, more than the {most} GB that are read: is its header damaged?");
        return Err(file.error(reason));
    }
    // One byte more, to notice if there is more data, and to verify the checksum at the end of a gzip file.
    let bytes = file.read(announced + 1)?;
    let found = bytes.len();
    match found.cmp(&announced) {
        Ordering::Less => {
            Err(file.error(format!("announces {shape} bytes in its header, but has only {found}")))
        }
        Ordering::Greater => Err(file.error(format!("announces {shape} bytes in its header, but has more"))),
        Ordering::Equal => Ok((path, sizes, bytes)),
    }
}
