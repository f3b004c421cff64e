//! Objects by name: where exported and archived snapshots go, and where images come from.
//!
//! ```text
//!   Buckets ── by name ──► Bucket ── by name ──► bytes
//!   a folder               a folder in it        a file
//!   what speaks S3         a bucket there        an object there
//! ```
//! What holds of every bucket:
//! - An object is there whole or not at all: it is once [`Upload::finish`] has returned, durable,
//!   in place of what had its name before. An upload that is dropped leaves nothing.
//! - No name leads out of its bucket, and no bucket's name out of where the buckets are: see
//!   [`is_object_name`] and [`is_bucket_name`].
//!
//! Calls block. Deliberately not here: what is in an object, and who may have it.

mod folder;
mod name;
mod s3;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

pub use folder::{FolderBucket, FolderBuckets};
pub use name::{is_bucket_name, is_object_name};
pub use s3::{S3Bucket, S3Buckets, S3Options};

/// Why a bucket could not do it.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// There is no object of that name.
    #[error("there is no object {0:?}")]
    NoSuchObject(String),
    /// A name that no object can have.
    #[error("{0:?} is not a name of an object")]
    BadName(String),
    /// What holds the objects failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Where buckets are.
pub trait Buckets: Send + Sync {
    /// The bucket of that name, if there is one.
    ///
    /// # Errors
    /// [`ObjectError::Io`].
    fn bucket(&self, name: &str) -> Result<Option<Arc<dyn Bucket>>, ObjectError>;

    /// Has calls that wait for something far away fail, those under way and all later ones, so
    /// that a server can stop in time.
    fn give_up(&self) {}
}

/// Those of the first that has a bucket of the name.
impl Buckets for Vec<Box<dyn Buckets>> {
    fn bucket(&self, name: &str) -> Result<Option<Arc<dyn Bucket>>, ObjectError> {
        for buckets in self {
            if let Some(found) = buckets.bucket(name)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn give_up(&self) {
        self.iter().for_each(|buckets| buckets.give_up());
    }
}

/// Objects by name.
pub trait Bucket: Send + Sync {
    /// How many bytes an object has; `None` where there is none of that name.
    ///
    /// # Errors
    /// [`ObjectError::BadName`], [`ObjectError::Io`].
    fn size(&self, name: &str) -> Result<Option<u64>, ObjectError>;

    /// Bytes of an object: fewer than asked for where it ends before.
    ///
    /// # Errors
    /// [`ObjectError::NoSuchObject`], [`ObjectError::BadName`], [`ObjectError::Io`].
    fn read(&self, name: &str, range: Range<u64>) -> Result<Bytes, ObjectError>;

    /// An object as a file of this machine, to be read: for programs that know nothing else.
    ///
    /// # Errors
    /// As of [`Bucket::read`].
    fn file(&self, name: &str) -> Result<File, ObjectError>;

    /// Begins an object of about so many bytes.
    ///
    /// # Errors
    /// [`ObjectError::BadName`], [`ObjectError::Io`].
    fn create(&self, name: &str, bytes: u64) -> Result<Box<dyn Upload>, ObjectError>;

    /// Deletes an object. One that is not there is no error.
    ///
    /// # Errors
    /// [`ObjectError::BadName`], [`ObjectError::Io`].
    fn delete(&self, name: &str) -> Result<(), ObjectError>;

    /// The names of all objects that begin so, in no order.
    ///
    /// # Errors
    /// [`ObjectError::Io`].
    fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError>;
}

/// An object that is being written, from its start to its end.
pub trait Upload: Send {
    /// Its next bytes.
    ///
    /// # Errors
    /// [`ObjectError::Io`].
    fn write(&mut self, piece: &[u8]) -> Result<(), ObjectError>;

    /// Its next bytes, so many that are zero.
    ///
    /// # Errors
    /// [`ObjectError::Io`].
    fn write_zeros(&mut self, bytes: u64) -> Result<(), ObjectError>;

    /// Makes it the object of its name, durably.
    ///
    /// # Errors
    /// [`ObjectError::Io`].
    fn finish(self: Box<Self>) -> Result<(), ObjectError>;
}
