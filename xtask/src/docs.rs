//! Pages of `docs/` that the program writes itself, so that they can not fall behind it.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::output;
use crate::pytest;
use crate::workspace::Workspace;

/// The list of operations with their parameters and errors: what the server's own table says.
const OPERATIONS: &str = "docs/reference/operations.md";

/// Writes the pages, or with `check` compares them with what would be written.
pub(crate) fn run(workspace: &Workspace, check: bool) -> Result<()> {
    pytest::build(workspace)?;
    let fresh = output(Command::new(workspace.server()).args(["operations", "--markdown"]))?.stdout;
    let page = workspace.root.join(OPERATIONS);
    if !check {
        let folder = page.parent().context("the page is in a folder")?;
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        return fs::write(&page, fresh).with_context(|| format!("cannot write {OPERATIONS}"));
    }
    let kept = fs::read(&page).with_context(|| format!("cannot read {OPERATIONS}"))?;
    if kept != fresh {
        bail!("{OPERATIONS} is not what the server says of itself: run `cargo xtask docs`");
    }
    Ok(())
}
