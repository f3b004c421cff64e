//! Which commits are synced, counted at the system call, and what follows a sync that failed.
//!
//! The test runs itself under strace, as a writer that commits and prints how each commit ended.
//! Without strace, or where it may not trace, it says so and leaves the question open.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::{Command, ExitCode};
use std::{env, fs, io};

use ebb_store::{Durability, Store, StoreError};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().collect();
    if let [_, watched, file, commits] = &arguments[..]
        && watched == "watched"
    {
        write(Path::new(file), commits);
        return ExitCode::SUCCESS;
    }
    if let Err(reason) = run(&["", "d"], None) {
        println!("skipped: commits cannot be watched: {reason}");
        return ExitCode::SUCCESS;
    }
    a_durable_commit_is_one_sync();
    a_recoverable_commit_is_none();
    after_a_failed_sync_nothing_is_written();
    after_a_failed_checkpoint_nothing_is_written();
    println!("4 passed");
    ExitCode::SUCCESS
}

/// One write a letter: durable, recoverable, or one large enough for a checkpoint.
fn write(file: &Path, commits: &str) {
    let store = Store::open(file).unwrap();
    for (n, commit) in commits.chars().enumerate() {
        let durability = if commit == 'r' { Durability::Recoverable } else { Durability::Durable };
        let text = "x".repeat(if commit == 'l' { 5 << 20 } else { 1 });
        let result: Result<(), StoreError> =
            store.write(durability, |tx| tx.put_meta(&format!("key {n}"), &text));
        match result {
            Ok(()) => println!("committed"),
            Err(StoreError::Stopped) => println!("stopped"),
            Err(error) => println!("{error}"),
        }
    }
    // What closing syncs is not counted.
    std::process::exit(0);
}

struct Seen {
    /// How each commit ended.
    outcomes: Vec<String>,
    /// The files that were synced, in order.
    synced: Vec<String>,
}

impl Seen {
    fn log_syncs(&self) -> usize {
        self.synced.iter().filter(|line| line.contains("-wal>")).count()
    }
}

/// Runs a writer for each of `commits`, one after the other on the same file; what was seen of the
/// last. `failing` is the number of the sync that fails in it, from 1.
fn run(commits: &[&str], failing: Option<usize>) -> io::Result<Seen> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("metadata.db");
    let trace = folder.path().join("trace");
    let mut outcomes = Vec::new();
    for (n, commits_of_one) in commits.iter().enumerate() {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-y", "-e", "trace=fsync,fdatasync", "-o"]).arg(&trace);
        if let Some(failing) = failing
            && n + 1 == commits.len()
        {
            strace.args(["-e", &format!("inject=fsync,fdatasync:error=EIO:when={failing}")]);
        }
        strace.arg(env::current_exe()?).arg("watched").arg(&file).arg(commits_of_one);
        let output = strace.output()?;
        if !output.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        outcomes = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    }
    let synced = fs::read_to_string(trace)?;
    let synced = synced.lines().filter(|line| line.contains("sync(")).map(str::to_owned).collect();
    Ok(Seen { outcomes, synced })
}

/// The stores here were made by an earlier writer, so that making them is not counted.
fn seen(commits: &str, failing: Option<usize>) -> Seen {
    run(&["", commits], failing).unwrap()
}

fn a_durable_commit_is_one_sync() {
    let (few, many) = (seen(&"d".repeat(5), None), seen(&"d".repeat(25), None));
    assert_eq!(many.outcomes, ["committed"; 25]);
    assert_eq!(many.log_syncs() - few.log_syncs(), 20);
    assert_eq!(many.synced.len(), many.log_syncs() + few.synced.len() - few.log_syncs());
    // Each of them, however the levels alternate.
    assert_eq!(seen(&"dr".repeat(25), None).log_syncs(), many.log_syncs());
}

fn a_recoverable_commit_is_none() {
    let (few, many) = (seen("r", None), seen(&"r".repeat(25), None));
    assert_eq!(many.outcomes, ["committed"; 25]);
    assert_eq!(many.synced.len(), few.synced.len());
}

fn after_a_failed_sync_nothing_is_written() {
    // The sync of the log itself: SQLite passes over a directory that cannot be synced.
    let before = seen("rrd", None).synced;
    let of_the_log = before.iter().rposition(|line| line.contains("-wal>")).unwrap() + 1;
    let failed = seen("rrddr", Some(of_the_log));
    assert_eq!(failed.outcomes[..2], ["committed"; 2]);
    assert!(failed.outcomes[2].contains("disk I/O error"), "{:?}", failed.outcomes);
    assert_eq!(failed.outcomes[3..], ["stopped"; 2]);
}

/// The large commit is synced and so is answered; its checkpoint syncs the log, and that fails.
fn after_a_failed_checkpoint_nothing_is_written() {
    let before = seen("d", None).synced.len();
    let whole = seen("l", None);
    assert!(whole.synced.last().unwrap().contains("metadata.db>"), "{:?}", whole.synced);
    for failing in before + 1..=whole.synced.len() {
        let failed = seen("ld", Some(failing));
        assert_eq!(failed.outcomes, ["committed", "stopped"], "sync {failing}");
    }
}
