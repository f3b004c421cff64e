//! A real Ceph cluster for tests: one monitor, one manager and one OSD with BlueStore on a file, on
//! ports of their own, below a folder of their own, from Debian's packages.
//!
//! ```text
//! cargo xtask ceph              the tests of ebb-rbd and of a server on it, on a fresh cluster
//! cargo xtask ceph -- COMMAND   any command against one; it finds it in EBB_TEST_CEPH_CONF
//! ```
//!
//! The daemons are children of this process and end with it, however it ends. Nothing is skipped
//! where Ceph is not there: the run fails and says which packages it lacks.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::command::{exists, output, run};
use crate::workspace::Workspace;
use crate::{built, install, ports, pytest};

const CRATE: &str = "crates/ebb-rbd";

/// Tests find the cluster by the path in this variable.
pub(crate) const CONF: &str = "EBB_TEST_CEPH_CONF";

/// For the images of all tests; each has a namespace in it.
pub(crate) const POOL: &str = "rbd";

/// What is run against the cluster.
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
    against(Command::new(program).args(rest))
}

/// Runs a command against a cluster of its own.
pub(crate) fn against(command: &mut Command) -> Result<()> {
    let cluster = Cluster::start()?;
    run(command.env(CONF, cluster.conf()))
}

/// The stage of `cargo xtask test`. The tests wait for the cluster most of their time, so more of
/// them run at once than there are cores.
pub(crate) fn gate(workspace: &Workspace) -> Result<()> {
    let tests = tests(workspace)?;
    let cluster = Cluster::start()?;
    for test in tests {
        run(Command::new(test)
            .current_dir(workspace.root.join(CRATE))
            .args(["--include-ignored", "--test-threads", "8", "--quiet"])
            .env(CONF, cluster.conf()))?;
    }
    run(pytest::command(workspace, &["ceph"]).env(CONF, cluster.conf()))
}

/// The programs with the tests of ebb-rbd. They are built as the stage `rust` builds them: that
/// crate alone would have other features of its dependencies, and all of them built once more.
fn tests(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let folder = workspace.root.join(CRATE);
    let words = ["--workspace", "--exclude=ebb-local", "--all-features"];
    built::tests(workspace, &words, |artifact| artifact.target.src_path.starts_with(&folder))
}

/// A running cluster. Dropping it stops it and removes what it wrote.
pub(crate) struct Cluster {
    folder: PathBuf,
    /// In the order in which they were started.
    daemons: Vec<Child>,
}

impl Cluster {
    pub(crate) fn start() -> Result<Self> {
        for program in ["ceph-mon", "ceph-mgr", "ceph-osd", "ceph", "setpriv"] {
            if !exists(program) {
                bail!("a Ceph cluster needs `{program}`: install {}", install::CEPH.join(" "));
            }
        }
        let started = Instant::now();
        let folder = std::env::temp_dir().join(format!("ebb-ceph-{}", std::process::id()));
        let mut cluster = Self { folder, daemons: Vec::new() };
        cluster.bring_up().with_context(|| {
            // They are removed with the cluster.
            let logs = tails(&cluster.folder);
            format!("the Ceph cluster did not come up; its logs end:\n{logs}")
        })?;
        eprintln!("a Ceph cluster is up after {:.1} s", started.elapsed().as_secs_f64());
        Ok(cluster)
    }

    pub(crate) fn conf(&self) -> PathBuf {
        self.folder.join("ceph.conf")
    }

    fn bring_up(&mut self) -> Result<()> {
        for name in ["mon", "mgr", "osd"] {
            fs::create_dir_all(self.folder.join(name)).context("cannot make its folder")?;
        }
        let port = ports::free(PORTS)?;
        fs::write(self.conf(), self.settings(port))?;
        let map = self.folder.join("monmap");
        output(
            Command::new("monmaptool")
                .args(["--create", "--fsid", FSID, "--addv", "a"])
                .arg(format!("[v2:127.0.0.1:{port}]"))
                .arg(&map),
        )?;
        output(self.tool("ceph-mon").args(["--mkfs", "--id", "a", "--monmap"]).arg(&map))?;
        self.daemon("ceph-mon", "a")?;
        self.ask(&["osd", "new", OSD])?;
        output(self.tool("ceph-osd").args(["--mkfs", "--id", "0", "--osd-uuid", OSD]))?;
        self.daemon("ceph-osd", "0")?;
        self.daemon("ceph-mgr", "x")?;
        // Clones of version 2 are for clients of Mimic and later.
        self.ask(&["osd", "set-require-min-compat-client", "mimic"])?;
        self.ask(&["osd", "pool", "create", POOL, "8", "8", "--autoscale-mode=off"])?;
        self.ask(&["osd", "pool", "application", "enable", POOL, "rbd"])?;
        self.wait_for_osd()
    }

    /// Everything in one folder, no authentication, and a monitor that does not wait before it
    /// commits: snapshots take their numbers from it.
    fn settings(&self, port: u16) -> String {
        let folder = self.folder.display();
        let (first, last) = (port.saturating_add(1), port.saturating_add(PORTS));
        format!(
            "[global]
fsid = {FSID}
mon host = [v2:127.0.0.1:{port}]
public addr = 127.0.0.1
ms bind msgr1 = false
ms bind port min = {first}
ms bind port max = {last}
auth cluster required = none
auth service required = none
auth client required = none
run dir = {folder}
log file = {folder}/$name.log
pid file = {folder}/$name.pid
admin socket = {folder}/$name.$pid.asok
mon data = {folder}/mon
mgr data = {folder}/mgr
osd data = {folder}/osd
mon allow pool size one = true
mon warn on pool no redundancy = false
mon data avail crit = 1
mon data avail warn = 2
paxos propose interval = 0.01
paxos min wait = 0.001
osd pool default size = 1
osd pool default min size = 1
osd crush chooseleaf type = 0
osd memory target = 1073741824
osd client watch timeout = 5
bluestore block size = 10737418240
[client]
log file = {folder}/client.log
admin socket =
"
        )
    }

    fn tool(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("--conf").arg(self.conf());
        command
    }

    /// Takes no client for gone that is slow for some seconds, as those of three servers are with
    /// many clients on a machine of two processors.
    pub(crate) fn be_patient(&self) -> Result<()> {
        let option = "osd_client_watch_timeout";
        self.ask(&["tell", "osd.0", "config", "set", option, "30"]).map(drop)
    }

    /// Asks the monitor.
    fn ask(&self, words: &[&str]) -> Result<Vec<u8>> {
        let mut command = self.tool("ceph");
        // What the tool says of each command that succeeded is of no use.
        command.args(["--connect-timeout", "20"]).args(words).stderr(Stdio::null());
        let outcome = command.stdin(Stdio::null()).output().context("cannot start `ceph`")?;
        if !outcome.status.success() {
            bail!("`ceph {}` ended with {}", words.join(" "), outcome.status);
        }
        Ok(outcome.stdout)
    }

    /// Starts a daemon that the kernel kills when this process is gone.
    fn daemon(&mut self, program: &str, id: &str) -> Result<()> {
        let printed = File::create(self.folder.join(format!("{program}.out")))?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", program, "--foreground", "--id", id, "--conf"]);
        command.arg(self.conf()).stdin(Stdio::null());
        command.stdout(printed.try_clone()?).stderr(printed);
        let child = command.spawn().with_context(|| format!("cannot start `{program}`"))?;
        self.daemons.push(child);
        Ok(())
    }

    fn wait_for_osd(&mut self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            for daemon in &mut self.daemons {
                if let Some(status) = daemon.try_wait()? {
                    bail!("a daemon ended with {status}");
                }
            }
            let stat = String::from_utf8_lossy(&self.ask(&["osd", "stat"])?).into_owned();
            if stat.contains("1 up") {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("no OSD came up within a minute: {stat}");
            }
            sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Nothing of it is kept, so none of them needs to end in order.
        for daemon in self.daemons.iter_mut().rev() {
            let ended = daemon.kill().and_then(|()| daemon.wait());
            if let Err(error) = ended {
                eprintln!("process {} could not be ended: {error}", daemon.id());
            }
        }
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("{} could not be removed: {error}", self.folder.display());
        }
    }
}

/// How the logs end of a cluster that does not come up.
fn tails(folder: &Path) -> String {
    let mut logs: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    logs.retain(|path| path.extension().is_some_and(|kind| kind == "log" || kind == "out"));
    logs.sort();
    let mut told = String::new();
    for path in logs {
        let text = fs::read(&path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let last = lines.get(lines.len().saturating_sub(TAIL)..).unwrap_or_default();
        told += &format!("--- {}\n{}\n", path.display(), last.join("\n"));
    }
    told
}

/// Lines of each log.
const TAIL: usize = 20;

/// What the daemons have behind the monitor's port.
const PORTS: u16 = 100;

const FSID: &str = "e0bb71de-0000-4000-8000-000000000001";
const OSD: &str = "e0bb71de-0000-4000-8000-0000000000d0";
