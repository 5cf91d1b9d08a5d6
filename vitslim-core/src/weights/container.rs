//! What a file is, by its first bytes. Its name does not count.

use std::fs::File;
use std::io::{self, Read};

/// So many bytes at the start of a file are looked at: as far as the mark of a tar archive.
const LOOKED_AT: u64 = 512;

/// Longest header of a safetensors file, as the format defines it.
const LONGEST_HEADER: u64 = 100_000_000;

/// A file that may hold weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    Safetensors,
    /// A zip archive or a pickle of PyTorch's.
    Pytorch,
    /// JSON, perhaps the index of shards.
    Json,
}

/// What is no weights, by the bytes that it begins with: what it is, and what to do.
const OTHERS: [(&[u8], &str, &str); 11] = [
    (
        b"version https://git-lfs",
        "a pointer of Git LFS, not the file that it stands for",
        "`git lfs pull` fetches it",
    ),
    (b"<", "a web page", "download the file itself, not the page about it"),
    (b"\x1f\x8b", "compressed by gzip", "unpack it with `gunzip`"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "unpack it with `unzstd`"),
    (b"\xfd7zXZ", "compressed by xz", "unpack it with `unxz`"),
    (b"BZh", "compressed by bzip2", "unpack it with `bunzip2`"),
    (b"7z\xbc\xaf", "an archive of 7-Zip", "unpack it, and name the file of weights in it"),
    (b"\x89HDF", "an HDF5 file, as Keras writes it", EXPECTED),
    (b"\x93NUMPY", "an array of NumPy", EXPECTED),
    (b"GGUF", "a GGUF file", EXPECTED),
    (b"NRUB", "a file of Burn's own", EXPECTED),
];

/// What is expected.
pub(super) const EXPECTED: &str = "expected a `.safetensors` file, a checkpoint of PyTorch (`.pth`, `.pt`, `.bin`), or the index of its \
     shards (`.index.json`)";

/// Marks of a pickle: the opcodes that one can begin with.
const PICKLE: [u8; 5] = [0x80, b'(', b'}', b']', b'c'];

/// What `file` is; otherwise what it seems to be instead, to follow "is", and what to do.
///
/// # Errors
///
/// When it cannot be read.
pub(super) fn container(file: &File) -> io::Result<Result<Container, (String, &'static str)>> {
    let length = file.metadata()?.len();
    let mut start = Vec::new();
    file.take(LOOKED_AT).read_to_end(&mut start)?;
    Ok(of_bytes(&start, length))
}

fn of_bytes(start: &[u8], length: u64) -> Result<Container, (String, &'static str)> {
    let seems = |what: &str, help| Err((what.to_owned(), help));
    if start.is_empty() {
        return seems("empty", EXPECTED);
    }
    if let Some(header) = header_length(start) {
        if header <= LONGEST_HEADER.min(length.saturating_sub(8)) {
            return Ok(Container::Safetensors);
        }
        let said =
            format!("broken off or damaged: it claims a header of {header} bytes, and has {length} in all");
        return Err((said, "download or copy it again"));
    }
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    if let Some((_, what, help)) = OTHERS.iter().find(|(mark, ..)| text.starts_with(mark)) {
        return seems(what, help);
    }
    if start.get(257..262) == Some(b"ustar") {
        return seems("a tar archive", "unpack it, and name the file of weights in it");
    }
    match (start[0], text.first()) {
        _ if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") => Ok(Container::Pytorch),
        // `}` and `]` begin a pickle too.
        (_, Some(b'{' | b'[')) => Ok(Container::Json),
        (first, _) if PICKLE.contains(&first) => Ok(Container::Pytorch),
        _ => seems("no file of weights", EXPECTED),
    }
}

/// The length of the header that a safetensors file claims, if `start` begins one.
fn header_length(start: &[u8]) -> Option<u64> {
    let length = u64::from_le_bytes(*start.first_chunk::<8>()?);
    // Text in front of a brace is no length: as a number it would be far beyond any file.
    let is_length = length < 1 << 56 && start.get(8) == Some(&b'{');
    is_length.then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_decides() {
        let safetensors = [&2_u64.to_le_bytes()[..], b"{}"].concat();
        assert_eq!(of_bytes(&safetensors, 10), Ok(Container::Safetensors));
        assert_eq!(of_bytes(b"PK\x03\x04....", 8), Ok(Container::Pytorch));
        assert_eq!(of_bytes(b"\x80\x02\x8a\x0a", 4), Ok(Container::Pytorch));
        assert_eq!(of_bytes(b" \n{\"weight_map\": {}}", 20), Ok(Container::Json));
        // 128 bytes of header begin as a pickle does, and eight letters are no length.
        let header = [&128_u64.to_le_bytes()[..], b"{\"a\""].concat();
        assert_eq!(of_bytes(&header, 200), Ok(Container::Safetensors));
        for (bytes, seems) in [
            (&b""[..], "empty"),
            (b"\n <!DOCTYPE html>", "a web page"),
            (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
            (b"\x1f\x8b\x08\x00", "compressed by gzip"),
            (b"abcdefgh{", "no file of weights"),
        ] {
            let (what, help) = of_bytes(bytes, bytes.len() as u64).unwrap_err();
            assert!(what.starts_with(seems) && !help.is_empty(), "{what}");
        }
        for claimed in [3, 100_000_000_000, 1 << 55] {
            let huge = [&u64::to_le_bytes(claimed)[..], b"{}"].concat();
            let (what, _) = of_bytes(&huge, 10).unwrap_err();
            assert!(
                what.contains(&format!("claims a header of {claimed} bytes, and has 10 in all")),
                "{what}"
            );
        }
    }
}
