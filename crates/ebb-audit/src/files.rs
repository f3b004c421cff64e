//! The folder: files by their numbers.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

const SUFFIX: &str = ".jsonl";

/// Where file `number` is.
pub(crate) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:08}{SUFFIX}"))
}

/// The numbers there are, in order. Other files are none of ours.
pub(crate) fn numbers(dir: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)?.parse().ok());
        // Of all ways to write a number, only ours.
        numbers.extend(number.filter(|number| path(dir, *number).file_name() == Some(&name)));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Makes the folder, for its owner only.
pub(crate) fn make_folder(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    fs::set_permissions(dir, Permissions::from_mode(0o700))
}

/// A new file, for its owner only. It is there for certain after [`sync_folder`].
pub(crate) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).read(true).create_new(true).mode(0o600).open(path)
}

/// A file that is there, open at its end.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).read(true).open(path)
}

/// Makes durable which files there are.
pub(crate) fn sync_folder(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
