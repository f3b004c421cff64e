//! Pages of `docs/` that the program writes itself, so that they can not fall behind it.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::output;
use crate::pytest;
use crate::workspace::Workspace;

/// What is asked of `ebb operations`, and the page that its answer is.
const PAGES: &[(&str, &str)] =
    &[("--markdown", "docs/reference/operations.md"), ("--errors", "docs/reference/errors.md")];

/// Writes the pages, or with `check` compares them with what would be written.
pub(crate) fn run(workspace: &Workspace, check: bool) -> Result<()> {
    pytest::build(workspace)?;
    PAGES.iter().try_for_each(|(form, name)| page(workspace, form, name, check))
}

fn page(workspace: &Workspace, form: &str, name: &str, check: bool) -> Result<()> {
    let fresh = output(Command::new(workspace.server()).args(["operations", form]))?.stdout;
    let page = workspace.root.join(name);
    if !check {
        let folder = page.parent().context("the page is in a folder")?;
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        return fs::write(&page, fresh).with_context(|| format!("cannot write {name}"));
    }
    let kept = fs::read(&page).with_context(|| format!("cannot read {name}"))?;
    if kept != fresh {
        bail!("{name} is not what the server says of itself: run `cargo xtask docs`");
    }
    Ok(())
}
