//! The tests that need PostgreSQL, and a server for them: in a temporary folder, with a socket and
//! a port of its own, gone when they end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::command::{cargo, is_root, output, run};
use crate::workspace::Workspace;
use crate::{ports, pytest};

/// The address of the server's database, for whoever tests with it.
const ADDRESS: &str = "EBB_TEST_POSTGRES";

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

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// Of the tests over HTTP, those of records: lists in their order, transactions, starts.
const OVER_HTTP: &[&str] = &[
    "postgres",
    "conformance/test_describe_disks.py",
    "conformance/test_lives.py",
    "conformance/test_reset_semantics.py",
    "conformance/test_snapshots.py",
    "conformance/test_story.py",
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

struct Server {
    folder: PathBuf,
    port: u16,
    child: Child,
}

impl Server {
    fn start() -> Result<Self> {
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
        let child = server.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn();
        let child = child.context("cannot start PostgreSQL")?;
        let mut server = Self { folder: folder.to_owned(), port, child };
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
            if self.child.try_wait()?.is_some() || started.elapsed() > PATIENCE {
                let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                bail!("PostgreSQL does not start: {log}");
            }
            sleep(Duration::from_millis(50));
        }
    }

    /// Over its socket.
    fn address(&self) -> String {
        let folder = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://ebb@{folder}:{}/postgres", self.port)
    }
}

/// SIGINT is PostgreSQL's fast shutdown.
impl Drop for Server {
    fn drop(&mut self) {
        let id = self.child.id().to_string();
        let asked = Command::new("kill").args(["-INT", &id]).status();
        if !asked.is_ok_and(|status| status.success()) {
            eprintln!("PostgreSQL, process {id}, cannot be stopped");
            return;
        }
        let ended = self.child.wait();
        let removed = fs::remove_dir_all(&self.folder);
        if let Err(error) = ended.and(removed) {
            eprintln!("PostgreSQL in {} is not wholly gone: {error}", self.folder.display());
        }
    }
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
