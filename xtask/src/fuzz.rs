//! `cargo xtask fuzz`: builds the fuzz targets and runs them, one after the other.
//!
//! ```text
//! target/fuzz/<triple>/release/<target>   the programs, of the workspace in fuzz/
//! target/fuzz/corpus/<target>/            what was found to be new, kept from run to run
//! target/fuzz/seeds/<target>/             valid encodings, written by the target itself
//! target/fuzz/findings/<target>/          inputs that broke a property
//! ```
//! libFuzzer is driven with the compiler's own flags, which the stable toolchain has: there is
//! nothing to install. It is C++, though, so a machine without a C++ compiler runs nothing, and
//! that is said.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::{cargo, exists, output, run as run_command};
use crate::workspace::Workspace;

const TARGETS: &[&str] = &[
    "record_header",
    "superblock",
    "map_page",
    "tables",
    "nbd_handshake",
    "nbd_transmission",
    "policy",
    "pipeline",
];

/// What makes a program tell libFuzzer which of its branches an input took, and what it compared.
const RUSTFLAGS: &str = "--cfg fuzzing \
    -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// An input that takes longer is a finding.
const SECONDS_FOR_ONE: u64 = 10;
/// As is a program that takes more memory.
const MEMORY_MIB: u64 = 2048;

/// Runs one target or all of them, each for `seconds`. All are run, also if one finds something.
pub(crate) fn run(workspace: &Workspace, target: Option<&str>, seconds: u64) -> Result<()> {
    let chosen: Vec<&str> =
        TARGETS.iter().copied().filter(|t| target.is_none_or(|c| c == *t)).collect();
    if chosen.is_empty() {
        bail!("there is no target `{}`; there are: {}", target.unwrap_or(""), TARGETS.join(", "));
    }
    if !["c++", "g++", "clang++"].into_iter().any(exists) {
        eprintln!("fuzz: SKIPPED: libFuzzer is C++, and there is no C++ compiler here (c++)");
        return Ok(());
    }
    let folder = workspace.target.join("fuzz");
    let programs = build(workspace, &folder)?;
    let mut bad = Vec::new();
    for target in chosen {
        eprintln!("\n=== {target}, {seconds} s ===");
        if let Err(error) = fuzz(&programs, &folder, target, seconds) {
            eprintln!("{target}: {error:#}");
            bad.push(target);
        }
    }
    if !bad.is_empty() {
        bail!("something was found, see {}: {}", folder.join("findings").display(), bad.join(", "));
    }
    Ok(())
}

/// Builds every target, and says where the programs are.
fn build(workspace: &Workspace, folder: &Path) -> Result<PathBuf> {
    let triple = host_triple()?;
    // Naming the triple keeps the flags away from build scripts, which have no libFuzzer.
    run_command(
        cargo()
            .current_dir(workspace.root.join("fuzz"))
            .args(["build", "--quiet", "--release", "--target", &triple])
            .arg("--target-dir")
            .arg(folder)
            .env("RUSTFLAGS", RUSTFLAGS),
    )?;
    Ok(folder.join(triple).join("release"))
}

fn host_triple() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = output(Command::new(rustc).arg("--verbose").arg("--version"))?;
    let said = String::from_utf8(said.stdout).context("rustc's version is no text")?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc does not say for which machine it is")
}

fn fuzz(programs: &Path, folder: &Path, target: &str, seconds: u64) -> Result<()> {
    let made = |kind: &str| -> Result<PathBuf> {
        let path = folder.join(kind).join(target);
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(path)
    };
    let (corpus, seeds, findings) = (made("corpus")?, made("seeds")?, made("findings")?);
    run_command(
        Command::new(programs.join(target))
            .env("EBB_FUZZ_SEEDS", &seeds)
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-timeout={SECONDS_FOR_ONE}"))
            .arg(format!("-rss_limit_mb={MEMORY_MIB}"))
            .arg(format!("-artifact_prefix={}/", findings.display()))
            .args(["-print_final_stats=1", "-verbosity=1"])
            .args([corpus, seeds]),
    )
}
