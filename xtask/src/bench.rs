//! `cargo xtask bench`: the release build, measured from outside.

use anyhow::Result;

use crate::command::{cargo, run};
use crate::workspace::Workspace;

/// Builds the server and the benchmark, and runs it below the target folder: the file system that
/// is measured is the one that holds the checkout.
pub(crate) fn reset(workspace: &Workspace) -> Result<()> {
    let build = ["build", "--release", "--package", "ebb", "--package", "ebb-bench"];
    run(cargo().current_dir(&workspace.root).args(build))?;
    let release = workspace.target.join("release");
    run(std::process::Command::new(release.join("ebb-bench"))
        .arg(release.join("ebb"))
        .current_dir(&workspace.target))
}
