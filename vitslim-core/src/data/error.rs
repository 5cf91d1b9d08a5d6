//! What is wrong with data, and where.

use std::path::{Path, PathBuf};

use miette::Diagnostic;
use thiserror::Error;

use crate::terminal::printable;

/// Data that cannot be used. The message is a sentence in lower case that starts with the file or the setting.
#[derive(Debug, Error, Diagnostic)]
pub enum DataError {
    /// A file or folder that cannot be used.
    #[error("`{}` {reason}", shown(.path))]
    File {
        /// Its path.
        path: PathBuf,
        /// What is wrong with it, a sentence without its subject.
        reason: String,
        /// What to do about it, if the reason does not say so.
        #[help]
        help: Option<String>,
    },
    /// A setting that does not fit the data.
    #[error("`{}` {reason}", .setting.join("."))]
    Setting {
        /// Its path within `data`: `["augment", "crop_padding"]`.
        setting: &'static [&'static str],
        /// What is wrong with it, a sentence without its subject.
        reason: String,
        /// What to do about it, if the reason does not say so.
        #[help]
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

    /// The error of a file that a `setting` names.
    pub(super) fn led_to_by(self, setting: &'static [&'static str]) -> Self {
        match self {
            Self::File { path, reason, help } => {
                let reason = format!("leads to `{}`, which {reason}", shown(&path));
                Self::Setting { setting, reason, help }
            }
            other @ Self::Setting { .. } => other,
        }
    }

    /// The setting to point at: for a file, the path.
    pub fn place(&self) -> &'static [&'static str] {
        match self {
            Self::File { .. } => &["path"],
            Self::Setting { setting, .. } => setting,
        }
    }

    /// What to do, if the message does not say so.
    pub fn advice(&self) -> Option<&str> {
        let (Self::File { help, .. } | Self::Setting { help, .. }) = self;
        help.as_deref()
    }
}

/// `path` on one line. The name of a file may have any character in it.
pub(super) fn shown(path: &Path) -> String {
    printable(&path.display().to_string()).replace('\n', "\\n")
}
