//! The tests that need PostgreSQL, and a server for them: in a temporary folder, with a socket and
//! a port of its own, gone when they end.
//!
//! A test may stop it, by process id, and have it back: while the file `away` is beside its socket
//! it is not started again, and when that is gone, it is. It stays this process's child.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::command::{cargo, is_root, output, run};
use crate::workspace::Workspace;
use crate::{ports, pytest};

/// The address of the server's database, for whoever tests with it.
pub(crate) const ADDRESS: &str = "EBB_TEST_POSTGRES";

/// PostgreSQL will not run as root; Debian's package makes this user.
const USER: &str = "postgres";

/// What is tested is what the store asks of it, not its disk: without syncs the suite takes a
/// fraction of the time. What is lost by a power failure here nobody wants back.
const SETTINGS: &[&str] = &["fsync=off", "full_page_writes=off", "max_connections=200", "ssl=on"];

/// What its certificate says: no authority, and this name alone.
const CERTIFICATE: &str = "[req]
distinguished_name = name
x509_extensions = extensions
prompt = no
[name]
CN = localhost
[extensions]
basicConstraints = critical, CA:FALSE
subjectAltName = DNS:localhost
";

/// Beside its socket, for whoever tests with it.
const CERTIFICATE_FILE: &str = "server.crt";
const KEY_FILE: &str = "server.key";

/// While this is beside its socket, it is not started again.
const AWAY: &str = "away";

/// Between two looks at it.
const PAUSE: Duration = Duration::from_millis(20);

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// Of the tests over HTTP, those of records: lists in their order, transactions. The story of a
/// reset and snapshots are told on PostgreSQL in the stage `cluster`.
const OVER_HTTP: &[&str] = &[
    "postgres",
    "conformance/test_describe_disks.py",
    "conformance/test_lives.py",
    "conformance/test_tags.py",
    "e2e/test_restart.py",
];

/// Runs them: the suite of the store, the use cases, and the whole program over HTTP.
pub(crate) fn gate(workspace: &Workspace) -> Result<()> {
    let server = Server::start()?;
    run(cargo().current_dir(&workspace.root).env(ADDRESS, server.address()).args([
        "test",
        "--workspace",
        "--exclude=ebb-local",
        "--all-features",
        "--test=postgres",
        "--test=control",
        "--quiet",
    ]))?;
    let words = [OVER_HTTP, &["--numprocesses", "2", "--dist", "loadfile"]].concat();
    run(pytest::command(workspace, &words).env(ADDRESS, server.address()))
}

/// A running server. Dropping it stops it and removes what it wrote.
pub(crate) struct Server {
    folder: PathBuf,
    port: u16,
    is_over: Arc<AtomicBool>,
    keeper: Option<JoinHandle<Result<()>>>,
}

impl Server {
    pub(crate) fn start() -> Result<Self> {
        let programs = programs()?;
        let folder = std::env::temp_dir().join(format!("ebb-postgres-{}", std::process::id()));
        fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let made = Self::start_in(&folder, &programs);
        if made.is_err() {
            // Why it could not be started is what counts.
            let _ = fs::remove_dir_all(&folder);
        }
        made
    }

    fn start_in(folder: &Path, programs: &Path) -> Result<Self> {
        if is_root()? {
            run(Command::new("chown").arg(USER).arg(folder))?;
        }
        let data = folder.join("data");
        output(
            as_user(&programs.join("initdb"))?
                .args(["--no-sync", "--auth=trust", "--username=ebb", "--encoding=UTF8"])
                // Not C: the order of texts must not depend on it.
                .args(["--locale=C.UTF-8", "--pgdata"])
                .arg(&data),
        )?;
        certify(folder)?;
        let port = ports::free(0)?;
        let mut server = as_user(&programs.join("postgres"))?;
        server.arg("-D").arg(&data).arg("-k").arg(folder).args(["-p", &port.to_string()]);
        server.args(["-c", "listen_addresses=127.0.0.1"]);
        for (setting, file) in [("ssl_cert_file", CERTIFICATE_FILE), ("ssl_key_file", KEY_FILE)] {
            server.arg("-c").arg(format!("{setting}={}", folder.join(file).display()));
        }
        for setting in SETTINGS {
            server.args(["-c", setting]);
        }
        let log = fs::File::create(folder.join("log"))?;
        server.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let is_over = Arc::new(AtomicBool::new(false));
        let (away, told) = (folder.join(AWAY), Arc::clone(&is_over));
        let keeper = Some(spawn(move || keep(&mut server, &away, &told)));
        let mut server = Self { folder: folder.to_owned(), port, is_over, keeper };
        server.until_it_answers(&programs.join("pg_isready"))?;
        Ok(server)
    }

    fn until_it_answers(&mut self, pg_isready: &Path) -> Result<()> {
        let started = Instant::now();
        loop {
            let asked = Command::new(pg_isready)
                .args(["--quiet", "--port", &self.port.to_string(), "--host"])
                .arg(&self.folder)
                .status()?;
            if asked.success() {
                return Ok(());
            }
            let has_ended = self.keeper.as_ref().is_none_or(JoinHandle::is_finished);
            if has_ended || started.elapsed() > PATIENCE {
                let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                bail!("PostgreSQL does not start: {log}");
            }
            sleep(Duration::from_millis(50));
        }
    }

    /// Over its socket.
    pub(crate) fn address(&self) -> String {
        let folder = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://ebb@{folder}:{}/postgres", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        match self.keeper.take().map(JoinHandle::join) {
            None | Some(Ok(Ok(()))) => {}
            Some(Ok(Err(error))) => eprintln!("PostgreSQL: {error:#}"),
            Some(Err(_)) => eprintln!("PostgreSQL may be running still: its thread has panicked"),
        }
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("{} is not wholly gone: {error}", self.folder.display());
        }
    }
}

/// Runs the server, and again each time that it was sent away and may come back. It is this
/// thread's child all the time: the kernel stops it where the thread ends in any other way.
fn keep(server: &mut Command, away: &Path, is_over: &AtomicBool) -> Result<()> {
    while !is_over.load(Ordering::Relaxed) {
        let mut child = server.spawn().context("cannot start PostgreSQL")?;
        let ended = loop {
            if let Some(ended) = child.try_wait()? {
                break ended;
            }
            if is_over.load(Ordering::Relaxed) {
                // SIGINT is its fast shutdown.
                output(Command::new("kill").args(["-INT", &child.id().to_string()]))?;
                child.wait()?;
                return Ok(());
            }
            sleep(PAUSE);
        };
        // What somebody has stopped ends well.
        if !ended.success() {
            bail!("it has ended by itself: {ended}");
        }
        while away.exists() && !is_over.load(Ordering::Relaxed) {
            sleep(PAUSE);
        }
    }
    Ok(())
}

/// A certificate that the server has signed itself.
fn certify(folder: &Path) -> Result<()> {
    let config = folder.join("certificate.cnf");
    fs::write(&config, CERTIFICATE)?;
    output(
        as_user(Path::new("openssl"))?
            .args(["req", "-x509", "-days", "2", "-nodes", "-newkey", "ec"])
            .args(["-pkeyopt", "ec_paramgen_curve:prime256v1", "-config"])
            .arg(&config)
            .arg("-keyout")
            .arg(folder.join(KEY_FILE))
            .arg("-out")
            .arg(folder.join(CERTIFICATE_FILE)),
    )?;
    Ok(())
}

/// A program as the user that PostgreSQL may run as; it ends with this process, however that ends.
fn as_user(program: &Path) -> Result<Command> {
    let mut command = Command::new("setpriv");
    if is_root()? {
        command.args(["--reuid", USER, "--regid", USER, "--init-groups"]);
    }
    command.args(["--pdeathsig", "INT"]).arg(program).current_dir("/");
    Ok(command)
}

/// Debian has each version's programs in a folder of its own; others have them in the PATH.
fn programs() -> Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    folders.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let newest_first = folders.into_iter().rev();
    newest_first
        .chain(std::env::split_paths(&path))
        .find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
        .context("there is no PostgreSQL here: its Debian package is `postgresql`")
}
