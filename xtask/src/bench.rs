//! `cargo xtask bench`: the release build, measured.
//!
//! All run below the target folder: the file system that is measured is the one that holds the
//! checkout.

use std::process::Command;

use anyhow::Result;
use clap::Subcommand;

use crate::command::{cargo, run};
use crate::workspace::Workspace;
use crate::{ceph, install};

/// What can be measured.
#[derive(Subcommand)]
pub(crate) enum What {
    /// Calls a second, and lists of many records, on the built server from outside, beside moto's
    /// server, which it installs below the target folder.
    Api {
        /// Arguments for the benchmark: --quick
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// ResetDisk, on the built server from outside.
    Reset,
    /// The NBD server beside others, with fio. As root: it installs them, and mounts loops.
    Nbd {
        /// Arguments for the benchmark: --quick, --only PART, --write, …
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// ResetDisk and NBD on Ceph RBD, beside Ceph's own ways, on a cluster of its own. As root: it
    /// installs Ceph and QEMU's driver.
    Rbd {
        /// Arguments for the benchmark: --quick, --only PART
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// The embedded engine, without a server or a socket.
    Engine {
        /// Arguments for the benchmark: --quick, --only GROUP, …
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

/// Builds what is measured and what measures it, and runs that.
pub(crate) fn bench(workspace: &Workspace, what: What) -> Result<()> {
    if matches!(what, What::Nbd { .. }) {
        install::debian()?;
    }
    if matches!(what, What::Rbd { .. }) {
        install::debian()?;
        install::ceph()?;
        install::ceph_for_qemu()?;
    }
    let build = ["build", "--release", "--package", "ebb", "--package", "ebb-bench"];
    run(cargo().current_dir(&workspace.root).args(build))?;
    let release = workspace.target.join("release");
    let mut command = match what {
        What::Api { .. } => Command::new(release.join("ebb-bench-api")),
        What::Reset => Command::new(release.join("ebb-bench-reset")),
        What::Nbd { .. } => Command::new(release.join("ebb-bench-nbd")),
        What::Engine { .. } => Command::new(release.join("ebb-bench-engine")),
        What::Rbd { .. } => Command::new(release.join("ebb-bench-rbd")),
    };
    match what {
        What::Api { args } => {
            let python = install::moto_path(workspace)?;
            command.arg(release.join("ebb")).arg("--moto").arg(python).args(args)
        }
        What::Reset => command.arg(release.join("ebb")),
        What::Nbd { args } => {
            let page = workspace.root.join("docs/benchmarks/nbd.md");
            command.arg(release.join("ebb")).arg(page).args(args)
        }
        What::Engine { args } => command.args(args),
        What::Rbd { args } => {
            command.arg(release.join("ebb")).args(args);
            return ceph::against(command.current_dir(&workspace.target));
        }
    };
    run(command.current_dir(&workspace.target))
}
