//! Buckets that are folders, and objects that are files in them.
//!
//! Every path is resolved by the kernel beneath the bucket's own folder, with no symbolic link on
//! the way (`openat2` with `RESOLVE_BENEATH` and `RESOLVE_NO_SYMLINKS`), so that not even a folder
//! that is changed meanwhile leads out of it.
//!
//! An object is written into a file of another name beside it, synced, renamed, and the folder
//! synced. What a crash leaves of one that was not finished is not listed and is overwritten by
//! the next of that name.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::name::{UNFINISHED, check, parts};
use crate::{Bucket, Buckets, ObjectError, Upload, is_bucket_name, is_object_name};

/// A folder whose folders are buckets.
#[derive(Debug)]
pub struct FolderBuckets {
    root: OwnedFd,
}

impl FolderBuckets {
    /// The folder, which must be there.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { root: open_root(path)? })
    }
}

impl Buckets for FolderBuckets {
    fn bucket(&self, name: &str) -> Result<Option<Arc<dyn Bucket>>, ObjectError> {
        if !is_bucket_name(name) {
            return Ok(None);
        }
        match open_beneath(&self.root, name, FOLDER) {
            Ok(root) => Ok(Some(Arc::new(FolderBucket { root }))),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(error) => Err(io::Error::from(error).into()),
        }
    }
}

/// A folder whose files are objects.
#[derive(Debug)]
pub struct FolderBucket {
    root: OwnedFd,
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC);
const WRITE: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::TRUNC).union(OFlags::CLOEXEC);

fn open_root(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(CWD, path, FOLDER, Mode::empty())?)
}

fn open_beneath(folder: impl AsFd, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let mode = if flags.contains(OFlags::CREATE) { Mode::RUSR | Mode::WUSR } else { Mode::empty() };
    rustix::fs::openat2(folder, name, flags, mode, resolve)
}

impl FolderBucket {
    /// The folder, which must be there.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { root: open_root(path)? })
    }

    /// The object, opened; `None` where there is none.
    fn find(&self, name: &str) -> Result<Option<File>, ObjectError> {
        check(name)?;
        let found = match open_beneath(&self.root, name, READ) {
            Ok(found) => File::from(found),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            Err(error) => return Err(io::Error::from(error).into()),
        };
        Ok(found.metadata()?.is_file().then_some(found))
    }

    fn get(&self, name: &str) -> Result<File, ObjectError> {
        self.find(name)?.ok_or_else(|| ObjectError::NoSuchObject(name.to_owned()))
    }

    /// The folder that an object of that name is in, made where it is not there.
    fn make_folder(&self, path: &str) -> io::Result<OwnedFd> {
        let mut folder = self.root.try_clone()?;
        for part in path.split('/').filter(|part| *part != ".") {
            match rustix::fs::mkdirat(&folder, part, Mode::RWXU) {
                Ok(()) => rustix::fs::fsync(&folder)?,
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            folder = open_beneath(&folder, part, FOLDER)?;
        }
        Ok(folder)
    }

    fn list_in(&self, folder: &str, found: &mut Vec<String>) -> io::Result<()> {
        let path = if folder.is_empty() { "." } else { folder };
        let entries = Dir::read_from(open_beneath(&self.root, path, FOLDER)?)?;
        for entry in entries {
            let entry = entry?;
            // A name that is not Unicode is none that an object can have.
            let Ok(name) = entry.file_name().to_str() else { continue };
            let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
            if !is_object_name(&path) {
                continue;
            }
            match kind(&self.root, &path, entry.file_type())? {
                FileType::Directory => self.list_in(&path, found)?,
                FileType::RegularFile => found.push(path),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Not every file system tells a folder's entries apart.
fn kind(root: &OwnedFd, path: &str, told: FileType) -> io::Result<FileType> {
    if told != FileType::Unknown {
        return Ok(told);
    }
    let stat = rustix::fs::statat(root, path, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode))
}

impl Bucket for FolderBucket {
    fn size(&self, name: &str) -> Result<Option<u64>, ObjectError> {
        Ok(match self.find(name)? {
            Some(file) => Some(file.metadata()?.len()),
            None => None,
        })
    }

    fn read(&self, name: &str, range: Range<u64>) -> Result<Bytes, ObjectError> {
        let file = self.get(name)?;
        let there = file.metadata()?.len().min(range.end).saturating_sub(range.start);
        let length = usize::try_from(there).map_err(|_| Errno::INVAL).map_err(io::Error::from)?;
        let mut bytes = BytesMut::zeroed(length);
        file.read_exact_at(&mut bytes, range.start)?;
        Ok(bytes.freeze())
    }

    fn file(&self, name: &str) -> Result<File, ObjectError> {
        self.get(name)
    }

    fn create(&self, name: &str, _bytes: u64) -> Result<Box<dyn Upload>, ObjectError> {
        check(name)?;
        let (folder, last) = parts(name);
        let folder = self.make_folder(folder)?;
        let unfinished = format!("{UNFINISHED}{last}");
        let file = File::from(open_beneath(&folder, &unfinished, WRITE).map_err(io::Error::from)?);
        let last = last.to_owned();
        Ok(Box::new(FolderUpload { folder, last, unfinished: Some(unfinished), file }))
    }

    fn delete(&self, name: &str) -> Result<(), ObjectError> {
        check(name)?;
        let (path, last) = parts(name);
        let folder = match open_beneath(&self.root, path, FOLDER) {
            Ok(folder) => folder,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
            Err(error) => return Err(io::Error::from(error).into()),
        };
        match rustix::fs::unlinkat(&folder, last, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(io::Error::from(error).into()),
        }
        rustix::fs::fsync(&folder).map_err(io::Error::from)?;
        self.prune(path);
        Ok(())
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        let mut found = Vec::new();
        self.list_in("", &mut found)?;
        found.retain(|name| name.starts_with(prefix));
        Ok(found)
    }
}

impl FolderBucket {
    /// Removes the folders of a deleted object that are empty now. They are no objects, so it does
    /// not matter if one stays.
    fn prune(&self, path: &str) {
        let mut path = path;
        while path != "." {
            let (above, last) = parts(path);
            let removed = open_beneath(&self.root, above, FOLDER)
                .and_then(|folder| rustix::fs::unlinkat(&folder, last, AtFlags::REMOVEDIR));
            if removed.is_err() {
                break;
            }
            path = above;
        }
    }
}

struct FolderUpload {
    folder: OwnedFd,
    last: String,
    /// `None` once it has its name.
    unfinished: Option<String>,
    file: File,
}

impl Upload for FolderUpload {
    fn write(&mut self, piece: &[u8]) -> Result<(), ObjectError> {
        Ok(self.file.write_all(piece)?)
    }

    /// A hole.
    fn write_zeros(&mut self, bytes: u64) -> Result<(), ObjectError> {
        let end = self.file.stream_position()? + bytes;
        self.file.set_len(end)?;
        self.file.seek(SeekFrom::Start(end))?;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), ObjectError> {
        self.file.sync_all()?;
        let Some(unfinished) = self.unfinished.take() else { return Ok(()) };
        let (from, to) = (OsStr::new(&unfinished), OsStr::new(&self.last));
        rustix::fs::renameat(&self.folder, from, &self.folder, to).map_err(io::Error::from)?;
        rustix::fs::fsync(&self.folder).map_err(io::Error::from)?;
        Ok(())
    }
}

impl Drop for FolderUpload {
    fn drop(&mut self) {
        if let Some(unfinished) = self.unfinished.take() {
            // What stays is overwritten by the next upload of this name.
            let _ = rustix::fs::unlinkat(&self.folder, &unfinished, AtFlags::empty());
        }
    }
}
