//! The project's own tool: `cargo xtask <command>`.
//!
//! ```text
//! test   installs what the tests need, then runs every stage: format, lints, Rust tests,
//!        generated pages, and the Python and Node tests that drive the built server
//! e2e    only the Python and Node tests, with arguments for pytest
//! bench  measures the release build
//! clients  runs the official SDKs of every language against the built server
//! sim    runs worlds of the engine's simulator, or searches for its planted bugs
//! fuzz   drives the decoders of what comes from disks and networks, by coverage
//! vault  runs the tests of the key service on a real Vault
//! kill   kills the release build under real clients, again and again
//! ceph   runs the tests of the Ceph engine, or a command, against a cluster of their own
//! cluster  runs servers on Ceph and PostgreSQL, or a command, beside both of their own
//! docs   writes the generated pages, or checks that they are fresh
//! ```
//!
//! It is the only way the tests are run, by a developer and in CI alike, so that there is no second
//! list of steps to keep in agreement. Checks of the source itself (who may depend on whom, sizes,
//! leftovers) are not here: they are tests of this crate, in `tests/`.

mod bench;
mod built;
mod ceph;
mod clients;
mod cluster;
mod command;
mod docs;
mod fuzz;
mod install;
mod kill;
mod ports;
mod postgres;
mod pytest;
mod sim;
mod stages;
mod vault;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// The project's own tool.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run every test there is.
    Test {
        /// Run this stage only, after those it needs. May be given again.
        #[arg(long, value_name = "STAGE")]
        only: Vec<String>,
    },
    /// Run the Python and Node tests against the built server.
    E2e {
        /// Arguments for pytest: paths below tests/, -k NAME, -x …
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Measure the release build; ResetDisk if nothing else is named.
    Bench {
        #[command(subcommand)]
        what: Option<bench::What>,
    },
    /// Run the official SDKs of every language against the built server.
    Clients,
    /// Run the tests of the key service with its keys in a real Vault.
    Vault,
    /// Run worlds of the engine's simulator.
    Sim(sim::Args),
    /// Run the fuzz targets.
    Fuzz {
        /// This one only.
        target: Option<String>,
        /// For each target.
        #[arg(long, default_value_t = 20)]
        seconds: u64,
    },
    /// Kill the release build under real clients, again and again.
    Kill(kill::Args),
    /// Run the tests of the Ceph engine, or a command, against a cluster of their own.
    Ceph(ceph::Args),
    /// Run the tests of servers on Ceph and PostgreSQL, or a command, beside both.
    Cluster(cluster::Args),
    /// Write the generated pages.
    Docs {
        /// Write nothing; fail where a page is not what would be written.
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    let result = Workspace::find().and_then(|workspace| match Cli::parse().command {
        Task::Test { only } => stages::run(&workspace, &only),
        Task::E2e { args } => pytest::for_developers(&workspace, &args),
        Task::Bench { what } => bench::bench(&workspace, what.unwrap_or(bench::What::Reset)),
        Task::Clients => clients::for_developers(&workspace),
        Task::Vault => vault::tests(&workspace),
        Task::Sim(args) => sim::simulate(&workspace, &args),
        Task::Fuzz { target, seconds } => fuzz::run(&workspace, target.as_deref(), seconds),
        Task::Kill(args) => kill::kill(&workspace, &args),
        Task::Ceph(args) => ceph::for_developers(&workspace, &args),
        Task::Cluster(args) => cluster::for_developers(&workspace, &args),
        Task::Docs { check } => docs::run(&workspace, check),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
