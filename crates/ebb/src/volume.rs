//! `ebb volume`: the bytes of disks: whether a stopped server's are whole, and where a running
//! server's are.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use ebb_local::Report;
use ebb_volume::EngineError;
use serde_json::json;

use crate::Failure;
use crate::data_dir::lock_existing;
use crate::locate::{LocateArgs, locate};

/// Nothing was found.
const WHOLE: u8 = 0;
/// Something was found.
const DAMAGED: u8 = 1;
/// There is no telling.
const NOT_CHECKED: u8 = 2;

/// The command.
#[derive(Debug, Args)]
pub(crate) struct VolumeArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read all that a stopped server stored and compare it with its checksums. Changes nothing.
    ///
    /// The exit code is 0 if all is whole, 1 if something was found, 2 if it could not be checked.
    Check(CheckArgs),
    /// Tell where a disk's bytes are, and how to use them without a server. A running server says
    /// it.
    Locate(LocateArgs),
}

#[derive(Debug, Args)]
struct CheckArgs {
    /// Whose bytes are meant.
    #[arg(long, env = "EBB_DATA_DIR", value_name = "DIR")]
    data_dir: PathBuf,
    /// Print what there is as JSON.
    #[arg(long)]
    json: bool,
}

/// Carries the command out. What it came to is its exit code, as scripts ask for it.
pub(crate) fn volume(args: VolumeArgs) -> ExitCode {
    let args = match args.command {
        Command::Check(args) => args,
        Command::Locate(args) => return crate::ended(crate::run(locate(args))),
    };
    let code = check(&args.data_dir).and_then(|report| {
        print(&report, args.json)?;
        Ok(if report.findings.is_empty() { WHOLE } else { DAMAGED })
    });
    match code {
        Ok(code) => code.into(),
        Err(error) => {
            eprintln!("ebb: {error}");
            NOT_CHECKED.into()
        }
    }
}

fn check(data_dir: &Path) -> Result<Report, Failure> {
    let pool = data_dir.join("pool.dat");
    if !pool.try_exists().map_err(|error| format!("cannot use {}: {error}", pool.display()))? {
        return Err(format!("{} holds no pool: there is no pool.dat", data_dir.display()).into());
    }
    let _lock = lock_existing(data_dir)?;
    match ebb_local::check(data_dir) {
        Err(EngineError::Stopped(why)) => Err(format!("cannot check: {why}").into()),
        outcome => Ok(outcome?),
    }
}

fn print(report: &Report, as_json: bool) -> Result<(), Failure> {
    let text = if as_json { format!("{}\n", json(report)) } else { words(report) };
    let printed = std::io::stdout().write_all(text.as_bytes());
    Ok(printed.map_err(|error| format!("cannot print: {error}"))?)
}

fn json(report: &Report) -> serde_json::Value {
    json!({
        "findings": report.findings,
        "volumes": report.volumes,
        "snapshots": report.snapshots,
        "versions": report.versions,
        "pages": report.pages,
        "blocks": report.blocks,
        "segments": report.segments,
        "unfinished_walks": report.unfinished_walks,
    })
}

/// The findings, a line each, and one line on all.
fn words(report: &Report) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        text += finding;
        text.push('\n');
    }
    let state = if report.findings.is_empty() { "whole" } else { "damaged" };
    let Report { volumes, snapshots, versions, pages, blocks, segments, .. } = report;
    let walks = report.unfinished_walks;
    text += &format!(
        "{state}: volumes {volumes}, snapshots {snapshots}, versions {versions}, pages {pages}, \
         blocks {blocks}, segments {segments}, unfinished walks {walks}\n"
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_finding_has_a_line_and_all_have_one() {
        let mut report = Report { volumes: 2, pages: 3, unfinished_walks: 1, ..Report::default() };
        let summary = ": volumes 2, snapshots 0, versions 0, pages 3, blocks 0, segments 0, \
                       unfinished walks 1\n";
        assert_eq!(words(&report), format!("whole{summary}"));
        report.findings = vec!["one".into(), "two".into()];
        assert_eq!(words(&report), format!("one\ntwo\ndamaged{summary}"));
        assert_eq!(json(&report)["findings"], json!(["one", "two"]));
        assert_eq!(json(&report)["unfinished_walks"], 1);
    }

    #[test]
    fn a_folder_without_a_pool_is_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let said = check(folder.path()).unwrap_err().to_string();
        assert!(said.contains("pool.dat"), "{said}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(check(&folder.path().join("not-there")).is_err());
    }
}
