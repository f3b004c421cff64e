//! A server process of the built program.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// How long a start may take, with a recovery in it.
const START: Duration = Duration::from_secs(60);

/// How servers are started.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    /// More arguments for `ebb serve`.
    pub(crate) args: Vec<String>,
}

/// A running server; dropping it kills it.
pub(crate) struct Server {
    process: Child,
    pub(crate) api: String,
    pub(crate) nbd: String,
}

impl Program {
    /// Starts a server, whatever becomes of it.
    fn spawn(&self, data_dir: &Path, log: &Path) -> Result<Child> {
        let log: File = OpenOptions::new().append(true).create(true).open(log)?;
        Command::new(&self.path)
            .arg("serve")
            .arg("--data-dir")
            .arg(data_dir)
            .args(["--listen", "127.0.0.1:0", "--nbd-listen", "127.0.0.1:0"])
            .args(&self.args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", self.path.display()))
    }

    /// Returns once the server has said that it is ready.
    pub(crate) fn start(&self, data_dir: &Path, log: &Path) -> Result<Server> {
        let process = self.spawn(data_dir, log)?;
        let mut server = Server { process, api: String::new(), nbd: String::new() };
        let stdout = server.process.stdout.take().context("the server has no output")?;
        let (sender, lines) = mpsc::channel();
        // Ends with the server's output.
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        loop {
            let Ok(line) = lines.recv_timeout(START) else {
                bail!("the server did not become ready; it logged:\n{}", tail(log));
            };
            match line.split_once(' ') {
                Some(("api", address)) => address.clone_into(&mut server.api),
                Some(("nbd", address)) => server.nbd = address.replace("nbd://", ""),
                _ if line == "ready" => return Ok(server),
                _ => {}
            }
        }
    }

    /// Starts a server and kills it a moment later: recovery is to be survived as well.
    pub(crate) fn start_and_kill(
        &self,
        data_dir: &Path,
        log: &Path,
        after: Duration,
    ) -> Result<()> {
        let mut process = self.spawn(data_dir, log)?;
        thread::sleep(after);
        process.kill()?;
        process.wait()?;
        Ok(())
    }
}

impl Server {
    /// SIGKILL. Returns once the process is gone.
    pub(crate) fn kill(mut self) -> Result<()> {
        if let Some(status) = self.process.try_wait()? {
            bail!("the server ended by itself: {status}");
        }
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only where it has been waited for already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}
