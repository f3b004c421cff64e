//! `cargo xtask clients`: the official SDKs, unmodified, each living a life on a server.
//!
//! The Python and Node ones come with the tests' own environments. Those of Go and Java are small
//! programs in `tests/clients`, built here below `target/test-tools` from the Go module proxy and
//! from Maven's repository, with the machine's own Go and JDK or Debian's.

use std::fs;
use std::process::Command;

use anyhow::Result;

use crate::command::run;
use crate::workspace::Workspace;
use crate::{install, pytest};

/// `cargo xtask clients`.
pub(crate) fn for_developers(workspace: &Workspace) -> Result<()> {
    install::run_all(workspace)?;
    pytest::build(workspace)?;
    build(workspace)?;
    pytest::pytest(
        workspace,
        &["clients", "conformance/test_story.py", "conformance/test_lives.py"],
    )
}

/// The stage in CI: those that no other stage runs.
pub(crate) fn gate(workspace: &Workspace) -> Result<()> {
    build(workspace)?;
    pytest::pytest(workspace, &["clients"])
}

fn build(workspace: &Workspace) -> Result<()> {
    install::compilers()?;
    let (sources, built) = (workspace.root.join("tests/clients"), workspace.clients());
    fs::create_dir_all(&built)?;
    run(Command::new("go")
        .args(["build", "-mod=readonly", "-o"])
        .arg(built.join("go"))
        .arg(".")
        .current_dir(sources.join("go")))?;
    let java = built.join("java");
    run(Command::new("mvn")
        .args(["--quiet", "--batch-mode", "compile", "dependency:build-classpath"])
        .arg(format!("-Debb.build={}", java.display()))
        .arg(format!("-Dmdep.outputFile={}", java.join("classpath").display()))
        .current_dir(sources.join("java")))
}
