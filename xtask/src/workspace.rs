//! Where things are.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_metadata::MetadataCommand;

/// The checkout, and the folder that builds and tools go to.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// The workspace this program was built from.
    pub(crate) fn find() -> Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let metadata = MetadataCommand::new()
            .manifest_path(manifest)
            .no_deps()
            .exec()
            .context("cannot read the workspace with `cargo metadata`")?;
        Ok(Self { root: metadata.workspace_root.into(), target: metadata.target_directory.into() })
    }

    /// Tools that only the tests use, kept out of the machine's own folders.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("test-tools")
    }

    /// The clients in other languages, as `cargo xtask clients` builds them.
    pub(crate) fn clients(&self) -> PathBuf {
        self.tools().join("clients")
    }

    /// The server as `cargo build` leaves it. Its checks of its own invariants are on, which is
    /// why the tests run this one rather than the optimised build.
    pub(crate) fn server(&self) -> PathBuf {
        self.target.join("debug/ebb")
    }
}
