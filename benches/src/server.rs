//! A server process of the built program.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use ebb_api::client::Client;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::Failure;

/// A running server; it is ended with this.
pub struct Server {
    process: Child,
    client: Client,
    api: String,
    nbd: String,
    socket: PathBuf,
}

impl Server {
    /// Starts one on `folder/data`, and returns once it has said that it is ready.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(program: &str, folder: &Path) -> Result<Self, Failure> {
        Self::start_with(program, folder, &[])
    }

    /// The same, with more words on its command line.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_with(program: &str, folder: &Path, more: &[&str]) -> Result<Self, Failure> {
        let data_dir = folder.join("data");
        let mut process = Command::new(program)
            .arg("serve")
            .arg("--data-dir")
            .arg(&data_dir)
            .args(["--listen", "127.0.0.1:0", "--nbd-listen", "127.0.0.1:0"])
            .args(more)
            .env("EBB_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = process.stdout.take().ok_or("the server has no output")?;
        let (mut api, mut nbd) = (String::new(), String::new());
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            match line.split_once(' ') {
                Some(("api", address)) => address.clone_into(&mut api),
                Some(("nbd", address)) => nbd = address.replace("nbd://", ""),
                _ if line == "ready" => break,
                _ => {}
            }
        }
        let credentials: toml::Table =
            std::fs::read_to_string(data_dir.join("credentials"))?.parse()?;
        let text = |key: &str| credentials[key].as_str().unwrap_or_default().to_owned();
        let api = api.replace("http://", "");
        let client = Client::new(api.as_str(), text("access_key_id"), text("access_key_secret"));
        Ok(Self { process, client, api, nbd, socket: data_dir.join("nbd.sock") })
    }

    /// The socket for clients of the same machine.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// `host:port` of the API.
    #[must_use]
    pub fn api_address(&self) -> &str {
        &self.api
    }

    /// One signed request as it goes over a connection.
    ///
    /// # Errors
    /// The address is none.
    pub fn wire_request(&self, action: &str, params: &[(&str, &str)]) -> Result<Vec<u8>, Failure> {
        Ok(self.client.wire_request(action, params)?)
    }

    /// One signed call.
    ///
    /// # Errors
    /// It is refused, or not answered.
    pub async fn call(&self, action: &str, params: &[(&str, &str)]) -> Result<Value, Failure> {
        Ok(self.client.call(action, params).await?)
    }

    /// A client of a disk's export.
    ///
    /// # Errors
    /// It is not there.
    pub fn export(&self, disk: &str) -> Result<ebb_nbd::client::Client, Failure> {
        Ok(ebb_nbd::client::Client::connect_tcp(&self.nbd, disk)?)
    }

    /// Resident memory.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn resident_kib(&self) -> Result<u64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        Ok(number.ok_or("the kernel does not say VmRSS")?.parse()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended by itself; either way it is waited for.
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.process.wait();
    }
}
