//! fio, run against a URI, and what it says.

use std::fmt;
use std::process::Command;
use std::time::Duration;

use ebb_bench::Failure;
use serde_json::Value;

use crate::workloads::Workload;

pub(crate) struct Fio {
    /// Bytes from the disk's beginning that are read and written.
    pub(crate) working_set: u64,
    /// How long a run lasts.
    pub(crate) window: Duration,
}

/// In which order the working set is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FillOrder {
    /// From its beginning to its end.
    Sequential,
    /// Each block once.
    Random,
    /// Some of the blocks, a sixteenth.
    RandomPart,
}

/// One run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    /// Requests a second, flushes not counted.
    pub(crate) per_second: f64,
    /// Bytes a second.
    pub(crate) bytes_per_second: f64,
    /// Of a request; with a flush behind each, of the flush.
    pub(crate) p50: Duration,
    /// The same, of the slowest in a hundred.
    pub(crate) p99: Duration,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { per_second, p50, p99, .. } = self;
        write!(f, "{per_second:.0}/s, p50 {p50:.0?}, p99 {p99:.0?}")
    }
}

impl Fio {
    /// Writes the working set, and flushes.
    pub(crate) fn fill(&self, uri: &str, order: FillOrder) -> Result<(), Failure> {
        let part = format!("--io_size={}", self.working_set / 16);
        let words: &[&str] = match order {
            FillOrder::Sequential => &["--rw=write", "--bs=1m", "--iodepth=8"],
            FillOrder::Random => &["--rw=randwrite", "--bs=4k", "--iodepth=32"],
            FillOrder::RandomPart => &["--rw=randwrite", "--bs=4k", "--iodepth=32", &part],
        };
        self.fio(uri, words, &["--end_fsync=1"]).map(drop)
    }

    /// One workload, for the time of a window.
    pub(crate) fn run(&self, uri: &str, workload: &Workload) -> Result<Outcome, Failure> {
        let runtime = format!("--runtime={}ms", self.window.as_millis());
        let timed = ["--bs=4k", "--norandommap", "--time_based", &runtime];
        let report = self.fio(uri, &timed, workload.words)?;
        let job = &report["jobs"][0];
        let sum = |what: &str| {
            Ok::<f64, Failure>(number(job, "read", what)? + number(job, "write", what)?)
        };
        let flushes = job["sync"]["lat_ns"]["N"].as_u64().unwrap_or(0);
        let every_one = workload.words.contains(&"--fsync=1") && flushes > 0;
        let (of, latency) = match every_one {
            true => ("sync", "lat_ns"),
            false if number(job, "read", "iops")? > 0.0 => ("read", "clat_ns"),
            false => ("write", "clat_ns"),
        };
        let percentile =
            |name: &str| job[of][latency]["percentile"][name].as_u64().map(Duration::from_nanos);
        let missing = || format!("fio tells no latency of {}", workload.name);
        Ok(Outcome {
            per_second: sum("iops")?,
            bytes_per_second: sum("bw_bytes")?,
            p50: percentile("50.000000").ok_or_else(missing)?,
            p99: percentile("99.000000").ok_or_else(missing)?,
        })
    }

    fn fio(&self, uri: &str, words: &[&str], more: &[&str]) -> Result<Value, Failure> {
        let size = format!("--size={}", self.working_set);
        let uri = format!("--uri={uri}");
        let mut command = Command::new("fio");
        command
            .args(["--name=guest", "--ioengine=nbd", "--output-format=json"])
            .args([&uri, &size]);
        // Blocks that differ, as a guest's do, and others in each run.
        command.args(["--randrepeat=0", "--refill_buffers=0", "--group_reporting"]);
        let output = command.args(words).args(more).output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{command:?} ended with {}: {said}", output.status).into());
        }
        // Warnings come before the report.
        let begin = output.stdout.iter().position(|byte| *byte == b'{').unwrap_or(0);
        Ok(serde_json::from_slice(&output.stdout[begin..])?)
    }
}

fn number(job: &Value, of: &str, what: &str) -> Result<f64, Failure> {
    job[of][what].as_f64().ok_or_else(|| format!("fio does not tell {of}.{what}").into())
}
