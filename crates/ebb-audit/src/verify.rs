//! Whether a log is as it was written.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use crate::files;
use crate::line::{Line, Link};

/// A log in which every line is as it was written, and none is missing between the first and the
/// newest. What was taken away before the first or after the newest it cannot tell by itself: see
/// [`Verified::first_file`] and `expect` of [`verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// How many files there are.
    pub files: u64,
    /// The oldest. Unless it is 1, the files before it are gone.
    pub first_file: u64,
    /// Up to which file the log says that it deleted its oldest, as it was told to keep no more; 0
    /// where it does not. Others that are gone somebody took away.
    pub deleted_until: u64,
    /// How many lines there are.
    pub lines: u64,
    /// The number of the first line.
    pub first_sequence: u64,
    /// The number of the newest line.
    pub last_sequence: u64,
    /// When the first line was written.
    pub first_time: String,
    /// When the newest line was written.
    pub last_time: String,
    /// The hash of the newest line: to be noted down elsewhere.
    pub newest_hash: String,
    /// Bytes behind the newest line that are no whole line: a running server is writing them, or a
    /// crash cut them short and the next start says so in a line.
    pub torn_bytes: u64,
}

/// A log that was changed, or cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The first place that is not as it was written.
    #[error("the audit log is broken: {} line {line}: {what}", file.display())]
    At {
        /// Which file.
        file: PathBuf,
        /// Which of its lines, from 1.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
    /// All lines are as they were written, and none is the one that was noted down.
    #[error(
        "the audit log is broken: it has no line with the hash {hash}, so lines were taken away \
         since that was noted down, or it was written anew"
    )]
    Missing {
        /// What was noted down.
        hash: String,
    },
    /// It cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// Which file or folder.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
}

/// Reads the whole log in the folder `dir`. It may be written to meanwhile. With `expect`, the hash
/// of a line that was noted down earlier, that line must be in it: then nothing up to it was taken
/// away. Where the oldest files are deleted, what was noted down of them is not found any more.
///
/// # Errors
/// The first place that is not as it was written.
pub fn verify(dir: &Path, expect: Option<&str>) -> Result<Verified, Broken> {
    let unreadable = |error| Broken::Unreadable { path: dir.to_owned(), error };
    let mut walk = Walk { dir, expect, found: false, last: None, verified: None };
    let numbers = files::numbers(dir).map_err(unreadable)?;
    for (at, number) in numbers.iter().enumerate() {
        walk.file(*number, at + 1 == numbers.len())?;
    }
    match walk.verified {
        None => Err(unreadable(io::Error::other("it holds no audit log"))),
        Some(verified) if expect.is_none() || walk.found => Ok(verified),
        Some(_) => Err(Broken::Missing { hash: expect.unwrap_or_default().to_owned() }),
    }
}

struct Walk<'a> {
    dir: &'a Path,
    expect: Option<&'a str>,
    found: bool,
    /// The file before, and where the chain ends in it.
    last: Option<(u64, Link)>,
    verified: Option<Verified>,
}

impl Verified {
    /// The files that are gone, and not by the log's own doing as far as it says.
    #[must_use]
    pub fn taken_away(&self) -> Option<RangeInclusive<u64>> {
        let gone = self.deleted_until + 1..=self.first_file - 1;
        (!gone.is_empty()).then_some(gone)
    }
}

impl Walk<'_> {
    fn file(&mut self, number: u64, newest: bool) -> Result<(), Broken> {
        let path = files::path(self.dir, number);
        let broken = |line, what| Broken::At { file: path.clone(), line, what };
        let unreadable = |error| Broken::Unreadable { path: path.clone(), error };
        if let Some((before, _)) = self.last
            && number != before + 1
        {
            return Err(broken(1, format!("file {before} is followed by file {number}")));
        }
        let file = match File::open(&path) {
            // A running server deletes the oldest files.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.last.is_none() => {
                return Ok(());
            }
            outcome => outcome.map_err(unreadable)?,
        };
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let mut bytes = Vec::new();
        for at in 1.. {
            bytes.clear();
            reader.read_until(b'\n', &mut bytes).map_err(unreadable)?;
            if !bytes.ends_with(b"\n") {
                if !newest && (at == 1 || !bytes.is_empty()) {
                    return Err(broken(at, "it is cut short".to_owned()));
                }
                if let Some(verified) = &mut self.verified {
                    verified.torn_bytes = bytes.len() as u64;
                }
                break;
            }
            self.line(number, at, &bytes).map_err(|what| broken(at, what))?;
        }
        Ok(())
    }

    fn line(&mut self, number: u64, at: u64, bytes: &[u8]) -> Result<(), String> {
        let line = Line::read(bytes)?;
        if line.opens() != (at == 1).then_some(number) {
            return Err(match line.opens() {
                Some(other) => format!("it is the first line of file {other}"),
                None => "it is not the line that a file begins with".to_owned(),
            });
        }
        let before = match self.last {
            Some((_, last)) => Some(last),
            // Nothing was ever before the first file.
            None => (number == 1).then_some(Link::START),
        };
        if let Some(before) = before {
            let due = before.sequence + 1;
            if line.link.sequence != due {
                return Err(format!("number {due} is due, and it is {}", line.link.sequence));
            }
            if line.head.prev != before.hash.as_str() {
                return Err("it does not name the line before it".to_owned());
            }
        }
        let hash = line.link.hash.as_str();
        // Of a line that was deleted with its file, the next one still tells the hash.
        let named_by_first = self.last.is_none() && self.expect == Some(line.head.prev);
        self.found |= self.expect == Some(hash) || named_by_first;
        let verified = self.verified.get_or_insert_with(|| Verified {
            files: 0,
            first_file: number,
            deleted_until: 0,
            lines: 0,
            first_sequence: line.link.sequence,
            last_sequence: 0,
            first_time: line.head.time.to_owned(),
            last_time: String::new(),
            newest_hash: String::new(),
            torn_bytes: 0,
        });
        verified.files = number - verified.first_file + 1;
        verified.lines += 1;
        verified.deleted_until = verified.deleted_until.max(line.deletes().unwrap_or(0));
        verified.last_sequence = line.link.sequence;
        hash.clone_into(&mut verified.newest_hash);
        line.head.time.clone_into(&mut verified.last_time);
        self.last = Some((number, line.link));
        Ok(())
    }
}
