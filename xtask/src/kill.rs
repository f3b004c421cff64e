//! `cargo xtask kill`: the release build, killed again and again under real clients. The short form
//! in `cargo xtask test` takes the build that the other stages have made.
//!
//! The program that does it is `ebb-kill`, in `tests/kill`. Data directories are made below the
//! target folder; that of a run that failed is kept there.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::{cargo, exists, is_root, run};
use crate::workspace::Workspace;

/// What `cargo xtask test` runs.
const GATE: [Args; 2] = [Args::of(25, false), Args::of(5, true)];

/// How often, and on what.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Kills.
    #[arg(long, value_name = "N", default_value_t = 500)]
    rounds: u64,
    /// What all choices follow from [default: the time].
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// On a small file system, full; needs root, for it is mounted over a loop device.
    #[arg(long)]
    full: bool,
    /// Full: space that was deleted has to come back.
    #[arg(long, requires = "full")]
    expect_space_back: bool,
    /// More arguments for `ebb serve`.
    #[arg(last = true, value_name = "ARG")]
    serve: Vec<String>,
}

impl Args {
    const fn of(rounds: u64, full: bool) -> Self {
        // Space that was deleted comes back, also where there is none left.
        Self { rounds, seed: None, full, expect_space_back: full, serve: Vec::new() }
    }
}

/// Kills the release build.
pub(crate) fn kill(workspace: &Workspace, args: &Args) -> Result<()> {
    kill_build(workspace, args, &["--release"], "release")
}

/// Builds the server and what kills it, and runs that.
fn kill_build(workspace: &Workspace, args: &Args, options: &[&str], made_in: &str) -> Result<()> {
    if args.full {
        can_mount()?;
    }
    let build = ["build", "--package", "ebb", "--package", "ebb-kill"];
    run(cargo().current_dir(&workspace.root).args(build).args(options))?;
    let (built, folder) = (workspace.target.join(made_in), workspace.target.join("kill"));
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut command = Command::new(built.join("ebb-kill"));
    if args.full {
        // In a mount namespace of its own, so that the mount ends with the process, however that
        // ends, and the kernel detaches the loop device with it.
        command = Command::new("unshare");
        command.arg("--mount").arg(built.join("ebb-kill"));
    }
    command.arg(built.join("ebb")).arg("--folder").arg(folder);
    command.args(["--rounds", &args.rounds.to_string()]);
    command.args(args.seed.map(|seed| format!("--seed={seed}")));
    command.args(args.full.then_some("--full"));
    command.args(args.expect_space_back.then_some("--expect-space-back"));
    command.arg("--");
    if args.full {
        // The usual reserve would be most of so small a file system.
        command.args(["--pool-reserve", "96MiB"]);
    }
    run(command.args(&args.serve))
}

/// The stage of `cargo xtask test`: a short form of both.
pub(crate) fn gate(workspace: &Workspace) -> Result<()> {
    GATE.iter().try_for_each(|args| kill_build(workspace, args, &[], "debug"))
}

/// Says what is missing before anything is built.
fn can_mount() -> Result<()> {
    let why = "the kill loop on a full file system mounts a small ext4 over a loop device";
    if !is_root()? {
        bail!("{why}: it needs root");
    }
    if !fs::exists("/dev/loop-control").unwrap_or(false) {
        bail!("{why}: this machine has no /dev/loop-control (in a container: run it privileged)");
    }
    for program in ["mke2fs", "mount", "umount", "unshare"] {
        if !exists(program) {
            bail!("{why}: `{program}` is missing (Debian: e2fsprogs, mount, util-linux)");
        }
    }
    Ok(())
}
