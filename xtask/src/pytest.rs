//! The tests that drive the built server from the outside: Python, and Node run by it.

use std::ffi::OsStr;
use std::process::Command;

use anyhow::Result;

use crate::command::{cargo, run};
use crate::install;
use crate::workspace::Workspace;

/// Builds the server that the tests run, and every other program: together they take the features
/// of their dependencies that the Rust tests take too, so that nothing is built once for each.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    run(cargo().current_dir(&workspace.root).args(["build", "--workspace", "--all-features"]))
}

/// The format and lints of the tests themselves.
pub(crate) fn lint(workspace: &Workspace) -> Result<()> {
    for words in [["check", "--no-cache"].as_slice(), &["format", "--no-cache", "--check"]] {
        run(Command::new(install::python_path(workspace))
            .args(["-m", "ruff"])
            .args(words)
            .current_dir(workspace.root.join("tests")))?;
    }
    Ok(())
}

/// Runs pytest with `args`; paths among them are relative to `tests/`.
pub(crate) fn pytest<S: AsRef<OsStr>>(workspace: &Workspace, args: &[S]) -> Result<()> {
    run(&mut command(workspace, args))
}

/// What runs it. `EBB_BIN` names another server to test than the one built here.
pub(crate) fn command<S: AsRef<OsStr>>(workspace: &Workspace, args: &[S]) -> Command {
    let server = std::env::var_os("EBB_BIN").unwrap_or_else(|| workspace.server().into_os_string());
    let mut command = Command::new(install::python_path(workspace));
    command
        .args(["-m", "pytest"])
        .args(args)
        .current_dir(workspace.root.join("tests"))
        .env("EBB_BIN", server)
        .env("EBB_CLIENTS", workspace.clients())
        .env("NODE_PATH", install::node_path(workspace))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// `cargo xtask e2e`: everything up to date, then pytest as asked.
pub(crate) fn for_developers(workspace: &Workspace, args: &[String]) -> Result<()> {
    install::run_all(workspace)?;
    build(workspace)?;
    pytest(workspace, args)
}
