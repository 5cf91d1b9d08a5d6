//! A folder of files that can be made again: whoever deletes them waits longer, and gets the same results.

use std::path::{Path, PathBuf};
use std::sync::Once;

use etcetera::BaseStrategy;
use sha2::{Digest, Sha256};

use super::error::shown;
use crate::input_file;
use crate::terminal::say;
use crate::whole_file::write_whole;

/// The environment variable that names the folder.
const VARIABLE: &str = "VITSLIM_CACHE";

/// More bytes than any file has, so that reading another file ends.
const MOST_BYTES: u64 = 1 << 32;

/// Where to keep what would otherwise be read again. By default, nothing is kept.
#[derive(Clone, Debug, Default)]
pub struct Cache(Option<PathBuf>);

impl Cache {
    /// In the folder that `VITSLIM_CACHE` names, or else in `vitslim` in the user's folder for such files: `$XDG_CACHE_HOME`, or
    /// `~/.cache`. Nothing is kept for a user without a home.
    pub fn of_user() -> Self {
        let of_user = || Some(etcetera::choose_base_strategy().ok()?.cache_dir().join("vitslim"));
        let named = std::env::var_os(VARIABLE).filter(|folder| !folder.is_empty());
        Self(named.map(PathBuf::from).or_else(of_user))
    }

    /// In `folder`, which is made when there is something to keep.
    pub fn at(folder: &Path) -> Self {
        Self(Some(folder.to_owned()))
    }

    /// The name of a file of a `kind`, by the hash of what it is about.
    pub(crate) fn name(kind: &str, hash: Sha256) -> String {
        format!("{kind}-{:x}", hash.finalize())
    }

    /// What was written as `name`; `None` if there is none, or it is damaged.
    pub(crate) fn read(&self, name: &str) -> Option<Vec<u8>> {
        let mut bytes = input_file::read(&self.0.as_ref()?.join(name), MOST_BYTES).ok()?;
        let checksum: [u8; 4] = *bytes.last_chunk()?;
        bytes.truncate(bytes.len() - checksum.len());
        (crc32c::crc32c(&bytes) == u32::from_le_bytes(checksum)).then_some(bytes)
    }

    /// Keeps `bytes` as `name`, whole or not at all. That it fails is told once.
    pub(crate) fn write(&self, name: &str, mut bytes: Vec<u8>) {
        static TOLD: Once = Once::new();

        let Some(folder) = &self.0 else { return };
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        if let Err(error) = write_whole(&folder.join(name), &bytes) {
            TOLD.call_once(|| tell(folder, &error));
        }
    }
}

fn tell(folder: &Path, error: &std::io::Error) {
    say(format_args!(
        "`{}` cannot be written ({error}): each start reads images and measures latencies anew; `{VARIABLE}` names another folder",
        shown(folder)
    ));
}
