//! Why a call cannot be written down.

use std::io;
use std::path::{Path, PathBuf};

/// Why not.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system said no.
    #[error("the audit log cannot use {}: {error}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
    /// What the log ends with was not written by a log: nothing is written behind it.
    #[error("the audit log {} is damaged: {what}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// An earlier write or sync failed; after that no line is written.
    #[error("the audit log has failed: {0}")]
    Failed(String),
}

impl Error {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        |error| Self::Io { path: path.to_owned(), error }
    }

    pub(crate) fn damaged(path: &Path, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.into() }
    }
}
