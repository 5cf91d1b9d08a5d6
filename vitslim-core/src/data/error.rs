//! What is wrong with data, and where.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// Data that cannot be used. Displayed, it is a sentence in lower case that names the file or the setting.
#[derive(Debug, Error)]
pub enum DataError {
    /// A file or folder that cannot be used.
    #[error("`{}` {reason}", .path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it, a sentence whose subject it is.
        reason: String,
        /// What to do about it, where the reason does not say it.
        help: Option<String>,
    },
    /// A setting that does not fit the data.
    #[error("`{}` {reason}", .setting.join("."))]
    Setting {
        /// Its place within `data`, as in `["augment", "crop_padding"]`.
        setting: &'static [&'static str],
        /// What is wrong with it, a sentence whose subject it is.
        reason: String,
        /// What to do about it, where the reason does not say it.
        help: Option<String>,
    },
}

impl DataError {
    pub(super) fn file(path: &Path, reason: impl Into<String>) -> Self {
        Self::File { path: path.to_owned(), reason: reason.into(), help: None }
    }

    pub(super) fn setting(setting: &'static [&'static str], reason: impl Into<String>) -> Self {
        Self::Setting { setting, reason: reason.into(), help: None }
    }

    #[must_use]
    pub(super) fn with_help(mut self, text: impl Into<String>) -> Self {
        let (Self::File { help, .. } | Self::Setting { help, .. }) = &mut self;
        *help = Some(text.into());
        self
    }

    /// The setting at fault: the path, if it is a file.
    pub fn place(&self) -> &'static [&'static str] {
        match self {
            Self::File { .. } => &["path"],
            Self::Setting { setting, .. } => setting,
        }
    }

    /// What to do, where there is more to say than the message does.
    pub fn help(&self) -> Option<&str> {
        let (Self::File { help, .. } | Self::Setting { help, .. }) = self;
        help.as_deref()
    }
}
