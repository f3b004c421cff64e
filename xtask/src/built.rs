//! The programs with tests that cargo builds.

use std::path::PathBuf;

use anyhow::{Result, bail};
use cargo_metadata::{Artifact, Message};

use crate::command::{cargo, output};
use crate::workspace::Workspace;

/// Builds tests as `cargo test` does with these words, and says where those are that are wanted.
pub(crate) fn tests(
    workspace: &Workspace,
    words: &[&str],
    is_wanted: impl Fn(&Artifact) -> bool,
) -> Result<Vec<PathBuf>> {
    let format = "--message-format=json-render-diagnostics";
    let mut command = cargo();
    command.current_dir(&workspace.root).arg("test").args(words).args(["--no-run", format]);
    let built = output(&mut command)?;
    let mut found = Vec::new();
    for message in Message::parse_stream(built.stdout.as_slice()) {
        if let Message::CompilerArtifact(artifact) = message?
            && is_wanted(&artifact)
        {
            found.extend(artifact.executable.map(PathBuf::from));
        }
    }
    if found.is_empty() {
        bail!("cargo names no tests that are wanted of `cargo test {}`", words.join(" "));
    }
    Ok(found)
}
