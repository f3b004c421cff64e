//! `ebb admin audit`: the audit log of a data directory. Reads its files, and needs no server.

use std::io::Write;
use std::num::NonZeroU64;
use std::path::Path;

use clap::Subcommand;
use ebb_audit::{Broken, Options, Verified, verify};
use serde_json::json;

use crate::Failure;
use crate::size::Size;

/// The log's folder in a data directory.
pub(crate) const FOLDER: &str = "audit";

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Check that every line is as it was written, and that none between the first and the newest
    /// is missing.
    ///
    /// The exit code is 0 if that is so, and 1 with the first place that is not as it was. A log
    /// that was cut off at its end, or written anew, is noticed by --expect alone: note down the
    /// hash that this prints, elsewhere.
    Verify {
        /// The hash of a line, printed earlier: it must still be there.
        #[arg(long, value_name = "HASH")]
        expect: Option<String>,
    },
}

/// How the log is kept: as many of its files as there is room for, the one being written among
/// them.
pub(crate) fn options(keep: Option<Size>) -> Result<Options, Failure> {
    let options = Options::default();
    let Some(Size(bytes)) = keep else { return Ok(options) };
    let files = bytes / options.file_bytes;
    if files < 2 {
        let least = options.file_bytes >> 19;
        return Err(format!(
            "--audit-keep is too small: {least}MiB at least, as whole files are deleted"
        )
        .into());
    }
    Ok(Options { keep: NonZeroU64::new(files), ..options })
}

/// Carries the command out.
pub(crate) fn audit(data_dir: &Path, command: Audit, as_json: bool) -> Result<(), Failure> {
    let Audit::Verify { expect } = command;
    let outcome = verify(&data_dir.join(FOLDER), expect.as_deref());
    let text = match (&outcome, as_json) {
        (Ok(verified), true) => json(verified),
        (Ok(verified), false) => words(verified),
        (Err(broken), true) => json_broken(broken),
        (Err(_), false) => String::new(),
    };
    let printed = std::io::stdout().write_all(text.as_bytes());
    printed.map_err(|error| format!("cannot print: {error}"))?;
    Ok(outcome.map(drop)?)
}

fn words(verified: &Verified) -> String {
    let Verified { files, first_file, lines, first_sequence, last_sequence, .. } = verified;
    let mut text = format!(
        "whole: lines {lines} ({first_sequence} to {last_sequence}), files {files}\n\
         from: {}\nuntil: {}\nhash: {}\n",
        verified.first_time, verified.last_time, verified.newest_hash
    );
    if *first_file > 1 {
        text += &format!("It begins with file {first_file}: ");
        text += &match verified.taken_away() {
            None => format!(
                "the server deleted its oldest, up to {}, as it was told to keep no more.\n",
                verified.deleted_until
            ),
            Some(gone) => format!(
                "{} to {} are gone, and no line says that the server deleted them.\n",
                gone.start(),
                gone.end()
            ),
        };
    }
    if verified.torn_bytes > 0 {
        text += &format!(
            "Behind the newest line are {} bytes of one that is not whole: a server is writing it, \
             or was killed over it and says so in a line when it starts.\n",
            verified.torn_bytes
        );
    }
    text
}

fn json(verified: &Verified) -> String {
    let value = json!({
        "whole": true,
        "lines": verified.lines,
        "files": verified.files,
        "first_file": verified.first_file,
        "deleted_until": verified.deleted_until,
        "first_sequence": verified.first_sequence,
        "last_sequence": verified.last_sequence,
        "first_time": verified.first_time,
        "last_time": verified.last_time,
        "newest_hash": verified.newest_hash,
        "torn_bytes": verified.torn_bytes,
    });
    format!("{value}\n")
}

fn json_broken(broken: &Broken) -> String {
    let mut value = json!({ "whole": false, "message": broken.to_string() });
    if let Broken::At { file, line, what } = broken {
        value["file"] = file.display().to_string().into();
        value["line"] = (*line).into();
        value["what"] = what.as_str().into();
    }
    format!("{value}\n")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use ebb_audit::{Entry, Log};

    use super::*;

    fn verify_with(data_dir: &Path, expect: Option<&str>) -> Result<(), String> {
        let command = Audit::Verify { expect: expect.map(str::to_owned) };
        audit(data_dir, command, true).map_err(|error| error.to_string())
    }

    #[test]
    fn as_many_files_are_kept_as_there_is_room_for() {
        let files = |size: &str| options(Some(size.parse().unwrap())).map(|options| options.keep);
        assert_eq!(options(None).unwrap().keep, None);
        assert_eq!(files("128MiB").unwrap(), NonZeroU64::new(2));
        assert_eq!(files("1GiB").unwrap(), NonZeroU64::new(16));
        for small in ["0", "64MiB", "127MiB"] {
            let why = files(small).unwrap_err().to_string();
            assert!(why.contains("128MiB at least"), "{why}");
        }
    }

    #[test]
    fn it_is_told_who_took_the_oldest_files() {
        let folder = tempfile::tempdir().unwrap();
        let small = |keep| Options { file_bytes: 2000, keep: NonZeroU64::new(keep) };
        let append = |options| {
            let log = Log::open(folder.path(), options, 0).unwrap();
            (0..20).for_each(|_| log.append(0, &Entry::default()).unwrap());
        };
        append(small(0));
        fs::remove_file(folder.path().join("00000001.jsonl")).unwrap();
        let told = words(&verify(folder.path(), None).unwrap());
        assert!(
            told.ends_with("1 to 1 are gone, and no line says that the server deleted them.\n")
        );
        append(small(2));
        let told = words(&verify(folder.path(), None).unwrap());
        assert!(told.contains(": the server deleted its oldest, up to "), "{told}");
    }

    #[test]
    fn a_log_is_whole_until_a_byte_of_it_is_changed() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join(FOLDER);
        assert!(verify_with(folder.path(), None).unwrap_err().starts_with("cannot read "));
        let log = Log::open(&dir, Options::default(), 0).unwrap();
        log.append(0, &Entry { action: "ResetDisk", ..Entry::default() }).unwrap();
        let hash = log.newest_hash();
        assert_eq!(verify_with(folder.path(), Some(&hash)), Ok(()));
        let verified = verify(&dir, None).unwrap();
        assert!(words(&verified).starts_with("whole: lines 2 (1 to 2), files 1\nfrom: 1970-"));
        assert!(words(&verified).ends_with(&format!("hash: {hash}\n")));
        assert!(json(&verified).contains(&hash));
        let missing = verify_with(folder.path(), Some("0f")).unwrap_err();
        assert!(missing.contains("0f"), "{missing}");
        let path = dir.join("00000001.jsonl");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("ResetDisk", "ResetDish")).unwrap();
        let broken = verify_with(folder.path(), None).unwrap_err();
        assert!(broken.contains("00000001.jsonl line 2: its text"), "{broken}");
        let value = json_broken(&verify(&dir, None).unwrap_err());
        assert!(value.starts_with(r#"{"whole":false,"#) && value.contains(r#""line":2"#));
    }
}
