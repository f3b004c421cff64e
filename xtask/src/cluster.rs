//! Ceph and PostgreSQL at once, as where Ebbtide is more than one machine.
//!
//! ```text
//! cargo xtask cluster              the tests of servers that have their disks in Ceph and their
//!                                  records in PostgreSQL
//! cargo xtask cluster --kills 200  servers killed so often, at each step of a few calls in turn
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

/// The promises of disks, their snapshots and resets, over HTTP and NBD. Each refusal of a reset
/// (`test_reset_refusals.py`) takes seconds here and no other way than elsewhere: those are run by
/// hand, their order and what a broken import leaves here.
const PROMISES: &[&str] = &[
    "conformance/test_story.py",
    "conformance/test_reset_disks.py",
    "conformance/test_reset_order.py",
    "conformance/test_reset_semantics.py",
    "conformance/test_snapshots.py",
    "conformance/test_attach.py",
];

/// Servers that share both, and are killed.
const MANY: &[&str] = &["cluster/test_three_servers.py", "cluster/kill_steps.py"];

/// Two servers, of which each knows what the other has seen and changed.
const SHARED: &[&str] = &["cluster/test_shared.py"];

/// Servers of which both are taken away: nothing runs beside these.
const OUTAGES: &[&str] = &["cluster/test_outages.py"];

/// How many servers there are, and how often one is killed, for those tests.
const SERVERS_OF_ONE: &str = "EBB_CLUSTER_SERVERS";
const KILLS: &str = "EBB_CLUSTER_KILLS";
const CLIENTS: &str = "EBB_CLUSTER_CLIENTS";

/// What is run beside both.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Kill servers so often, at each step of ResetDisk, CreateSnapshot and AttachDisk in turn.
    #[arg(long, value_name = "N", conflicts_with = "command")]
    kills: Option<u64>,
    /// How many servers are killed in turn, or serve clients: 3 unless said otherwise.
    #[arg(long, value_name = "N")]
    servers: Option<u64>,
    /// How many clients they serve.
    #[arg(long, value_name = "N")]
    clients: Option<u64>,
    /// Run this instead of the tests.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// The tests, or a command that is given.
pub(crate) fn for_developers(workspace: &Workspace, args: &Args) -> Result<()> {
    install::ceph()?;
    let mut command = match args.command.split_first() {
        Some((program, rest)) => {
            let mut command = Command::new(program);
            command.args(rest);
            command
        }
        None => {
            install::run_all(workspace)?;
            pytest::build(workspace)?;
            if [args.kills, args.servers, args.clients].iter().all(Option::is_none) {
                return gate(workspace);
            }
            pytest::command(workspace, if args.kills.is_some() { &MANY[1..] } else { MANY })
        }
    };
    command.envs(args.servers.map(|servers| (SERVERS_OF_ONE, servers.to_string())));
    command.envs(args.kills.map(|kills| (KILLS, kills.to_string())));
    command.envs(args.clients.map(|clients| (CLIENTS, clients.to_string())));
    Both::start()?.run(&mut command)
}

/// The stage of `cargo xtask test`. The tests wait for Ceph most of their time, so more of them
/// run at once than there are cores.
pub(crate) fn gate(workspace: &Workspace) -> Result<()> {
    let both = Both::start()?;
    let promises = [PROMISES, SHARED, &["--numprocesses", "4", "--dist", "worksteal"]].concat();
    both.run(&mut pytest::command(workspace, &promises))?;
    let many = [MANY, &["--numprocesses", "2", "--dist", "loadfile"]].concat();
    both.run(&mut pytest::command(workspace, &many))?;
    both.run(&mut pytest::command(workspace, OUTAGES))
}

struct Both {
    ceph: ceph::Cluster,
    postgres: postgres::Server,
}

impl Both {
    fn start() -> Result<Self> {
        let (ceph, postgres) = (ceph::Cluster::start()?, postgres::Server::start()?);
        ceph.be_patient()?;
        Ok(Self { ceph, postgres })
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
