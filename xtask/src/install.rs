//! Installs what the tests use and the machine lacks, by package name, with each registry's own
//! client: Debian packages, then a Python environment and Node packages below `target/test-tools`.
//!
//! The Python environment is made by Debian's interpreter and sees the machine's own packages,
//! because the binding to libnbd is a Debian package and no other registry has it. Versions are
//! pinned in `tests/requirements.txt` and `tests/package-lock.json`; what was installed is
//! remembered as a copy of that file, so that a second run installs nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::command::{exists, is_root, run};
use crate::workspace::Workspace;

/// Debian packages, and what the tests use of each.
const DEBIAN: &[&str] = &[
    "busybox-static", // a guest's shell
    "cpio",
    "e2fsprogs", // mke2fs, e2fsck, debugfs
    "fio",
    "fuse3",      // nbdfuse mounts with it
    "libnbd-bin", // nbdinfo, nbdcopy, nbdfuse
    "nbd-client",
    "nbdkit",
    "openssl", // certificates
    "postgresql",
    "python3-libnbd", // import nbd, nbdsh
    "python3-venv",
    "qemu-system-x86", // a guest with the Linux kernel's client
    "qemu-utils",      // qemu-io, qemu-img
    "strace",
    "xfsprogs", // mkfs.xfs, xfs_repair
];

/// Debian packages of a Ceph cluster, and of its client.
pub(crate) const CEPH: &[&str] = &["ceph-common", "ceph-mgr", "ceph-mon", "ceph-osd", "librbd1"];

/// Debian packages for programs that many machines have from elsewhere.
const DEBIAN_FOR_PROGRAMS: &[(&str, &str)] = &[("node", "nodejs"), ("npm", "npm")];

/// What builds the clients in other languages.
const COMPILERS: &[(&str, &str)] =
    &[("go", "golang-go"), ("javac", "default-jdk-headless"), ("mvn", "maven")];

/// Installs everything that is missing.
pub(crate) fn run_all(workspace: &Workspace) -> Result<()> {
    debian()?;
    ceph()?;
    python(workspace)?;
    moto(workspace)?;
    node(workspace)
}

/// The interpreter of the tests' environment.
pub(crate) fn python_path(workspace: &Workspace) -> PathBuf {
    workspace.tools().join("venv/bin/python")
}

/// The interpreter that has moto's server, installed where it is not there.
pub(crate) fn moto_path(workspace: &Workspace) -> Result<PathBuf> {
    moto(workspace)?;
    Ok(workspace.tools().join("moto/bin/python"))
}

/// Where the Node packages are.
pub(crate) fn node_path(workspace: &Workspace) -> PathBuf {
    workspace.tools().join("node/node_modules")
}

/// Installs the Debian packages among them.
pub(crate) fn debian() -> Result<()> {
    let mut missing: Vec<&str> = DEBIAN.iter().copied().filter(|name| !installed(name)).collect();
    missing.extend(packages_of_missing(DEBIAN_FOR_PROGRAMS));
    debian_packages(&missing)
}

/// Installs Ceph.
pub(crate) fn ceph() -> Result<()> {
    debian_packages(&CEPH.iter().copied().filter(|name| !installed(name)).collect::<Vec<_>>())
}

/// Installs what QEMU opens RBD images with.
pub(crate) fn ceph_for_qemu() -> Result<()> {
    const QEMU: &str = "qemu-block-extra";
    if installed(QEMU) { Ok(()) } else { debian_packages(&[QEMU]) }
}

/// Installs the compilers that the machine has from nowhere.
pub(crate) fn compilers() -> Result<()> {
    debian_packages(&packages_of_missing(COMPILERS).collect::<Vec<_>>())
}

fn packages_of_missing(programs: &[(&str, &'static str)]) -> impl Iterator<Item = &'static str> {
    programs.iter().filter(|(program, _)| !exists(program)).map(|(_, package)| *package)
}

fn debian_packages(missing: &[&str]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let wanted = missing.join(" ");
    if !exists("apt-get") {
        bail!("the tests need these Debian packages, or their like here: {wanted}");
    }
    if !is_root()? {
        bail!("the tests need these Debian packages, and only root can install them: {wanted}");
    }
    run(apt_get().arg("update"))?;
    run(apt_get().args(["install", "--yes", "--no-install-recommends"]).args(missing))
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.arg("--quiet").env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    command
}

fn installed(package: &str) -> bool {
    Command::new("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Status}", package])
        .stderr(Stdio::null())
        .output()
        .is_ok_and(|output| output.stdout == b"installed")
}

/// The tests' own packages, beside those of Debian (`nbd` is one).
fn python(workspace: &Workspace) -> Result<()> {
    environment(workspace, "venv", "tests/requirements.txt", &["--system-site-packages"])
}

/// moto's server, apart from all that.
fn moto(workspace: &Workspace) -> Result<()> {
    environment(workspace, "moto", "tests/requirements-moto.txt", &[])
}

fn environment(workspace: &Workspace, name: &str, packages: &str, options: &[&str]) -> Result<()> {
    let wanted = workspace.root.join(packages);
    let venv = workspace.tools().join(name);
    let remembered = venv.join("requirements.txt");
    if same_content(&wanted, &remembered) {
        return Ok(());
    }
    let debian = Path::new("/usr/bin/python3");
    let interpreter = if debian.exists() { debian } else { Path::new("python3") };
    run(Command::new(interpreter).args(["-m", "venv", "--clear"]).args(options).arg(&venv))?;
    run(Command::new(venv.join("bin/python"))
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"])
        .arg(&wanted))?;
    remember(&wanted, &remembered)
}

fn node(workspace: &Workspace) -> Result<()> {
    let tests = workspace.root.join("tests");
    let wanted = tests.join("package-lock.json");
    let folder = workspace.tools().join("node");
    let remembered = folder.join("installed-package-lock.json");
    if same_content(&wanted, &remembered) {
        return Ok(());
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for name in ["package.json", "package-lock.json"] {
        remember(&tests.join(name), &folder.join(name))?;
    }
    run(Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
        .current_dir(&folder)
        .stdin(Stdio::null()))?;
    remember(&wanted, &remembered)
}

fn same_content(wanted: &Path, remembered: &Path) -> bool {
    match (fs::read(wanted), fs::read(remembered)) {
        (Ok(wanted), Ok(remembered)) => wanted == remembered,
        _ => false,
    }
}

fn remember(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to)
        .map(drop)
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}
