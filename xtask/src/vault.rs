//! `cargo xtask vault`: the key service with its keys in a real Vault.
//!
//! `tests/vault` is a small Go program that carries the server's own code; it is built here from
//! the Go module proxy. The suite of key stores runs on it, and so do the Python tests of keys and
//! of encrypted disks, each server of which has it as its key store.
//!
//! Not a stage of `cargo xtask test`: building it takes minutes. There a server of ours answers as
//! the documentation says.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::command::{cargo, run};
use crate::workspace::Workspace;
use crate::{install, pytest};

const PYTHON_TESTS: &[&str] = &["conformance/test_kms.py", "conformance/test_encrypted_disks.py"];

/// Builds it and runs the tests.
pub(crate) fn tests(workspace: &Workspace) -> Result<()> {
    install::run_all(workspace)?;
    pytest::build(workspace)?;
    let vault = Vault::start(workspace)?;
    run(cargo()
        .current_dir(&workspace.root)
        .args(["test", "--package=ebb-kms", "--all-features", "--quiet"])
        .env("EBB_TEST_VAULT_ADDR", &vault.address)
        .env("EBB_TEST_VAULT_TOKEN", &vault.token))?;
    let (address, token) = (&vault.address, &vault.token);
    let servers = format!("EBB_KMS=vault VAULT_ADDR={address} VAULT_TOKEN={token}");
    run(pytest::command(workspace, PYTHON_TESTS).env("EBB_TEST_SERVERS", servers))
}

/// A running Vault, which ends when it is dropped.
struct Vault {
    process: Child,
    address: String,
    token: String,
}

impl Vault {
    fn start(workspace: &Workspace) -> Result<Self> {
        install::compilers()?;
        let program = workspace.tools().join("vault");
        run(Command::new("go")
            .args(["build", "-mod=readonly", "-o"])
            .arg(&program)
            .arg(".")
            .current_dir(workspace.root.join("tests/vault")))?;
        // It runs until its input ends, so it ends with this program, however that ends.
        let mut process = Command::new(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let output = process.stdout.take().expect("it was piped");
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let Some((address, token)) = line.trim_end().split_once(' ') else {
            bail!("Vault did not start: it said why above");
        };
        Ok(Self { address: address.to_owned(), token: token.to_owned(), process })
    }
}

impl Drop for Vault {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // Nothing is left to be done for one that cannot be waited for.
        let _ = self.process.wait();
    }
}
