//! A disk on RBD over NBD, beside fio's own rbd engine and qemu-nbd's rbd driver.
//!
//! All of them work on images of the same size and features, each on its own, filled alike, in one
//! pool. None has a cache of its own: what Ebbtide acknowledges is durable, so what it is compared
//! with runs with `rbd cache = false` too.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ebb_bench::Failure;
use ebb_bench::cloud::Machine;
use ebb_bench::server::Server;
use serde_json::Value;

use crate::volumes::POOL;
use crate::{Args, median};

const ROUNDS: usize = 3;
const SIZE_GIB: u64 = 20;
const WORKING_SET: &str = "--size=1g";
const PATIENCE: Duration = Duration::from_secs(20);

const WORKLOADS: [(&str, &[&str]); 6] = [
    ("random read 4 KiB, depth 1", &["--rw=randread", "--bs=4k", "--iodepth=1"]),
    ("random read 4 KiB, depth 32", &["--rw=randread", "--bs=4k", "--iodepth=32"]),
    ("random write 4 KiB, depth 1", &["--rw=randwrite", "--bs=4k", "--iodepth=1"]),
    ("random write 4 KiB, depth 32", &["--rw=randwrite", "--bs=4k", "--iodepth=32"]),
    ("sequential read 1 MiB, depth 8", &["--rw=read", "--bs=1m", "--iodepth=8"]),
    ("sequential write 1 MiB, depth 8", &["--rw=write", "--bs=1m", "--iodepth=8"]),
];

/// What fio works on.
enum Target {
    Nbd(String),
    Rbd(&'static str),
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) async fn run(args: &Args) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let conf = folder.path().join("ceph.conf");
    let settings = fs::read_to_string(&args.conf)?;
    fs::write(&conf, settings.replace("[client]", "[client]\nrbd cache = false"))?;
    let shown = conf.display().to_string();
    let more = ["--engine", "rbd", "--ceph-conf", &shown, "--rbd-pool", POOL];
    let server = Server::start_with(&args.program, folder.path(), &more)?;
    let machine = Machine::new(&server, SIZE_GIB).await?;
    let uri = format!("nbd+unix:///{}?socket={}", machine.disk, server.socket().display());
    let socket = folder.path().join("qemu.sock");
    for image in ["fio-rbd", "qemu"] {
        create(&conf, image)?;
    }
    let _qemu = qemu_nbd(&conf, &socket)?;
    let targets = [
        ("Ebbtide", Target::Nbd(uri)),
        ("fio rbd", Target::Rbd("fio-rbd")),
        ("qemu-nbd rbd", Target::Nbd(format!("nbd+unix:///?socket={}", socket.display()))),
    ];
    for (_, target) in &targets {
        fio(&conf, target, &["--rw=write", "--bs=1m", "--iodepth=8", "--end_fsync=1"])?;
    }
    let (rounds, runtime) = if args.quick { (1, 1) } else { (ROUNDS, 4) };
    let runtime = format!("--runtime={runtime}");
    println!("\n| | Ebbtide | fio rbd | qemu-nbd rbd | of fio rbd | of qemu-nbd |");
    println!("|---|---|---|---|---|---|");
    for (name, words) in WORKLOADS {
        let mut found = vec![Vec::new(); targets.len()];
        for _ in 0..rounds {
            for ((_, target), found) in targets.iter().zip(&mut found) {
                let words = [words, &["--time_based", "--norandommap", &runtime]].concat();
                found.push(fio(&conf, target, &words)?);
            }
        }
        let rates: Vec<f64> = found.into_iter().map(median).collect();
        let [ours, fio, qemu] = rates[..] else { return Err("three targets have rates".into()) };
        let (of_fio, of_qemu) = (ours / fio, ours / qemu);
        println!(
            "| {name} | {ours:.0}/s | {fio:.0}/s | {qemu:.0}/s | {of_fio:.2} | {of_qemu:.2} |"
        );
    }
    if !Path::new("/dev/nbd0").exists() {
        println!("\nrbd-nbd was not run: this kernel has no network block device.");
    }
    Ok(())
}

fn create(conf: &Path, image: &str) -> Result<(), Failure> {
    let features = "layering,exclusive-lock,object-map,fast-diff,deep-flatten";
    let made = Command::new("rbd")
        .arg("--conf")
        .arg(conf)
        .args(["create", &format!("{POOL}/{image}"), "--size", &format!("{SIZE_GIB}G")])
        .args(["--image-feature", features])
        .status()?;
    if made.success() { Ok(()) } else { Err(format!("rbd create {image}: {made}").into()) }
}

fn qemu_nbd(conf: &Path, socket: &PathBuf) -> Result<Process, Failure> {
    let file = format!("rbd:{POOL}/qemu:id=admin:conf={}", conf.display());
    let process = Command::new("qemu-nbd")
        .args(["-t", "-e", "16", "-f", "raw", "--cache=none", "-k"])
        .arg(socket)
        .arg(file)
        .stdout(Stdio::null())
        .spawn()?;
    let (process, begun) = (Process(process), Instant::now());
    while std::os::unix::net::UnixStream::connect(socket).is_err() {
        if begun.elapsed() > PATIENCE {
            return Err("qemu-nbd does not serve the image: is qemu-block-extra there?".into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(process)
}

/// Requests a second.
fn fio(conf: &Path, target: &Target, words: &[&str]) -> Result<f64, Failure> {
    let mut command = Command::new("fio");
    command.args(["--name=guest", "--output-format=json", "--randrepeat=0", WORKING_SET]);
    match target {
        Target::Nbd(uri) => command.args(["--ioengine=nbd", &format!("--uri={uri}")]),
        Target::Rbd(image) => command
            .env("CEPH_CONF", conf)
            .args(["--ioengine=rbd", "--clientname=admin", &format!("--pool={POOL}")])
            .arg(format!("--rbdname={image}")),
    };
    let output = command.args(words).output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?} ended with {}: {said}", output.status).into());
    }
    // Warnings come before the report.
    let begin = output.stdout.iter().position(|byte| *byte == b'{').unwrap_or(0);
    let report: Value = serde_json::from_slice(&output.stdout[begin..])?;
    let rate = |of: &str| report["jobs"][0][of]["iops"].as_f64().unwrap_or_default();
    Ok(rate("read") + rate("write"))
}
