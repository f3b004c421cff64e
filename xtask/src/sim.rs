//! `cargo xtask sim`: worlds of the engine's simulator.
//!
//! The simulator is test code of `ebb-local`: the bugs that it must find can be planted in no other
//! build. So this builds that crate's unit tests, optimised and with every assertion on (the
//! profile `sim`), and runs one test in them by name. What is asked for goes there in the
//! environment.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};
use cargo_metadata::TargetKind;

use crate::built;
use crate::command::{output, run};
use crate::workspace::Workspace;

const WORLDS: &str = "sim::run::worlds_keep_every_promise";
const SMALL: &str = "sim::exhaustive::every_small_world_keeps_every_promise";
const SMALL_PLANTED: &str = "sim::exhaustive::small_worlds_find_planted_bugs";
const PLANTED: &str = "sim::planted::every_planted_bug_is_found";

/// What `cargo xtask test` runs: about two minutes on two cores.
const GATE_START: u64 = 1_000_000;
const GATE_SEEDS: u64 = 5_000;
const GATE_OPERATIONS: u64 = 3;

/// What is asked of the simulator.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run so many worlds, one for each seed.
    #[arg(long, value_name = "N", default_value_t = 200)]
    seeds: u64,
    /// The first seed.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    start: u64,
    /// Things that happen in a world.
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Search for each planted bug, from the first seed on, for at most two minutes each.
    #[arg(long, conflicts_with_all = ["seeds", "steps"])]
    planted: bool,
    /// Try every sequence of up to so many operations instead, with every crash.
    #[arg(
        long,
        value_name = "OPERATIONS",
        conflicts_with_all = ["seeds", "start", "steps", "planted"]
    )]
    exhaustive: Option<u64>,
}

/// Runs what is asked for.
pub(crate) fn simulate(workspace: &Workspace, args: &Args) -> Result<()> {
    let tests = build(workspace)?;
    if let Some(operations) = args.exhaustive {
        return run_test(&tests, SMALL, &[("SIM_OPERATIONS", operations)]);
    }
    let mut variables = vec![("SIM_START", args.start)];
    if args.planted {
        variables.push(("SIM_PLANTED", 1));
        run_test(&tests, PLANTED, &variables)?;
        return run_test(&tests, SMALL_PLANTED, &[("SIM_OPERATIONS", 2)]);
    }
    variables.push(("SIM_SEEDS", args.seeds));
    variables.extend(args.steps.map(|steps| ("SIM_STEPS", steps)));
    run_test(&tests, WORLDS, &variables)
}

/// The worlds of `cargo xtask test`.
pub(crate) fn gate(workspace: &Workspace) -> Result<()> {
    let tests = build(workspace)?;
    run_test(&tests, SMALL, &[("SIM_OPERATIONS", GATE_OPERATIONS)])?;
    run_test(&tests, WORLDS, &[("SIM_START", GATE_START), ("SIM_SEEDS", GATE_SEEDS)])
}

/// Builds the engine's unit tests, and says where they are.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    let words = ["--profile=sim", "--package=ebb-local", "--lib"];
    let mut found = built::tests(workspace, &words, |artifact| {
        artifact.target.kind.contains(&TargetKind::Lib) && artifact.target.name == "ebb_local"
    })?;
    Ok(found.remove(0))
}

/// Runs one test. Its name has to be right: with a wrong one none would run, and none fail.
fn run_test(tests: &Path, name: &str, variables: &[(&str, u64)]) -> Result<()> {
    let there = output(Command::new(tests).args(["--exact", name, "--list"]))?;
    if !String::from_utf8_lossy(&there.stdout).contains(&format!("{name}: test")) {
        bail!("ebb-local has no test `{name}`");
    }
    let mut command = Command::new(tests);
    command.args(["--exact", name, "--nocapture"]);
    for (variable, value) in variables {
        command.env(variable, value.to_string());
    }
    run(&mut command)
}
