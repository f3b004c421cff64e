//! Ceph and PostgreSQL at once, as where Ebbtide is more than one machine.
//!
//! ```text
//! cargo xtask cluster              the tests of servers that have their disks in Ceph and their
//!                                  records in PostgreSQL
//! cargo xtask cluster -- COMMAND   any command beside both, such as pytest in tests/
//! ```
//!
//! Tests find them in EBB_TEST_CEPH_CONF and EBB_TEST_POSTGRES. Each server of the Python tests has
//! its records in a schema and its disks in a namespace of its own, unless a test says otherwise:
//! EBB_TEST_SERVERS tells it to.

use std::process::Command;

use anyhow::Result;

use crate::command::run;
use crate::workspace::Workspace;
use crate::{ceph, install, postgres, pytest};

/// What every server of the Python tests is told beside its own.
const SERVERS: &str = "EBB_TEST_SERVERS";

/// The promises of disks, their snapshots and resets, over HTTP and NBD.
const PROMISES: &[&str] = &[
    "conformance/test_story.py",
    "conformance/test_reset_disks.py",
    "conformance/test_reset_order.py",
    "conformance/test_reset_refusals.py",
    "conformance/test_reset_semantics.py",
    "conformance/test_snapshots.py",
    "conformance/test_attach.py",
    "e2e/test_restart.py",
];

/// What is run beside both.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run this instead of the tests.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// The tests, or a command that is given.
pub(crate) fn for_developers(workspace: &Workspace, args: &Args) -> Result<()> {
    install::ceph()?;
    let Some((program, rest)) = args.command.split_first() else {
        install::run_all(workspace)?;
        pytest::build(workspace)?;
        return gate(workspace);
    };
    Both::start()?.run(Command::new(program).args(rest))
}

/// The stage of `cargo xtask test`. The tests wait for Ceph most of their time.
pub(crate) fn gate(workspace: &Workspace) -> Result<()> {
    let both = Both::start()?;
    let promises = [PROMISES, &["--numprocesses", "4", "--dist", "loadfile"]].concat();
    both.run(&mut pytest::command(workspace, &promises))
}

struct Both {
    ceph: ceph::Cluster,
    postgres: postgres::Server,
}

impl Both {
    fn start() -> Result<Self> {
        Ok(Self { ceph: ceph::Cluster::start()?, postgres: postgres::Server::start()? })
    }

    fn run(&self, command: &mut Command) -> Result<()> {
        let conf = self.ceph.conf();
        let servers =
            format!("EBB_ENGINE=rbd EBB_CEPH_CONF={} EBB_RBD_POOL={}", conf.display(), ceph::POOL);
        run(command
            .env(ceph::CONF, &conf)
            .env(postgres::ADDRESS, self.postgres.address())
            .env(SERVERS, servers))
    }
}
