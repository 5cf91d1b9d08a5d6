//! Files that a user names: opened without waiting for anybody, and read only up to a limit.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

/// Opens the regular file at `path`. What is none may never end, like `/dev/zero`, or wait for a writer, like a pipe.
///
/// # Errors
///
/// When it is none, or the system refuses.
pub(crate) fn open(path: &Path) -> Result<File> {
    let kind = path.metadata()?.file_type();
    if kind.is_file() {
        return File::open(path);
    }
    let found = if kind.is_dir() { "folder" } else { other(kind) };
    Err(Error::new(ErrorKind::InvalidInput, format!("it is a {found}, not a file")))
}

#[cfg(unix)]
fn other(kind: std::fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;

    match () {
        () if kind.is_fifo() => "pipe",
        () if kind.is_socket() => "socket",
        () => "device",
    }
}

#[cfg(not(unix))]
fn other(_: std::fs::FileType) -> &'static str {
    "device"
}

/// The content of the file at `path`.
///
/// # Errors
///
/// Those of [`open`], and when it has more than `most` bytes.
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    let file = open(path)?;
    let length = file.metadata()?.len();
    if length <= most {
        let mut bytes = Vec::with_capacity(length as usize);
        // Some files have more than they say.
        if file.take(most + 1).read_to_end(&mut bytes)? as u64 <= most {
            return Ok(bytes);
        }
    }
    let error = format!("it has more than the {} MiB that are read", most >> 20);
    Err(Error::new(ErrorKind::FileTooLarge, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, vec![7; 1 << 20]).unwrap();
        assert_eq!(read(&path, 1 << 20).unwrap().len(), 1 << 20);
        std::fs::write(&path, vec![7; (1 << 20) + 1]).unwrap();
        assert_eq!(read(&path, 1 << 20).unwrap_err().to_string(), "it has more than the 1 MiB that are read");
        // Sparse: it takes no place.
        File::create(&path).unwrap().set_len(10 << 40).unwrap();
        assert!(read(&path, 1 << 30).unwrap_err().to_string().contains("more than the 1024 MiB"));
        assert_eq!(read(folder.path(), 1).unwrap_err().to_string(), "it is a folder, not a file");
        assert_eq!(read(&folder.path().join("y"), 1).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_never_ends_or_waits_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert_eq!(read(&pipe, 1).unwrap_err().to_string(), "it is a pipe, not a file");
        assert_eq!(read(Path::new("/dev/zero"), 1).unwrap_err().to_string(), "it is a device, not a file");
        // Its length is said to be 0.
        assert_eq!(read(Path::new("/proc/self/status"), 1).unwrap_err().kind(), ErrorKind::FileTooLarge);
    }
}
