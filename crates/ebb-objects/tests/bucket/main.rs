//! What holds of every bucket, of each kind that there is.

#![allow(clippy::unwrap_used, reason = "tests")]

mod folder;

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use ebb_objects::{Bucket, FolderBucket, ObjectError, S3Bucket};
use object_store::memory::InMemory;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Runs a check on an empty bucket of each kind. What S3 itself is like is in memory here; that
/// its requests are right is for the tests of the whole server to show.
fn on_each(check: fn(&dyn Bucket)) {
    let folder = TempDir::new().unwrap();
    check(&FolderBucket::open(folder.path()).unwrap());
    let runtime = Runtime::new().unwrap();
    check(&in_memory(&runtime, folder.path()));
}

fn in_memory(runtime: &Runtime, folder: &Path) -> S3Bucket {
    S3Bucket::of(Arc::new(InMemory::new()), runtime.handle().clone(), folder.to_owned())
}

fn put(bucket: &dyn Bucket, name: &str, bytes: &[u8]) {
    let mut upload = bucket.create(name, bytes.len() as u64).unwrap();
    upload.write(bytes).unwrap();
    upload.finish().unwrap();
}

fn listed(bucket: &dyn Bucket, prefix: &str) -> Vec<String> {
    let mut names = bucket.list(prefix).unwrap();
    names.sort();
    names
}

#[test]
fn what_is_put_is_read_again() {
    on_each(|bucket| {
        for name in ["a/b/c", "磁盘 1+2%20?.raw", "a*b/[c]#d"] {
            put(bucket, name, b"some bytes");
            assert_eq!(bucket.size(name).unwrap(), Some(10));
            assert_eq!(&bucket.read(name, 5..9).unwrap()[..], b"byte");
            assert_eq!(&bucket.read(name, 5..900).unwrap()[..], b"bytes");
            assert_eq!(bucket.read(name, 50..900).unwrap().len(), 0);
            assert_eq!(bucket.read(name, 5..5).unwrap().len(), 0);
            put(bucket, name, b"less");
            assert_eq!(&bucket.read(name, 0..100).unwrap()[..], b"less");
            assert_eq!(listed(bucket, ""), [name]);
            bucket.delete(name).unwrap();
        }
    });
}

#[test]
fn an_object_of_many_pieces() {
    on_each(|bucket| {
        let mut upload = bucket.create("x", 70 << 20).unwrap();
        for n in 0..30_u8 {
            upload.write(&vec![n + 1; 1 << 20]).unwrap();
        }
        upload.write_zeros(40 << 20).unwrap();
        upload.write(b"end").unwrap();
        upload.write_zeros(5).unwrap();
        upload.finish().unwrap();
        assert_eq!(bucket.size("x").unwrap(), Some((70 << 20) + 8));
        assert_eq!(&bucket.read("x", (30 << 20) - 2..(30 << 20) + 2).unwrap()[..], [30, 30, 0, 0]);
        let end = bucket.read("x", (70 << 20) - 1..u64::MAX).unwrap();
        assert_eq!(&end[..], b"\0end\0\0\0\0\0");
        let mut file = bucket.file("x").unwrap();
        assert_eq!(file.metadata().unwrap().len(), (70 << 20) + 8);
        file.seek(SeekFrom::Start((70 << 20) - 1)).unwrap();
        let mut read = Vec::new();
        file.read_to_end(&mut read).unwrap();
        assert_eq!(read, end);
    });
}

#[test]
fn an_empty_object() {
    on_each(|bucket| {
        put(bucket, "x", b"");
        assert_eq!(bucket.size("x").unwrap(), Some(0));
        assert_eq!(bucket.read("x", 0..10).unwrap().len(), 0);
        assert_eq!(bucket.file("x").unwrap().metadata().unwrap().len(), 0);
    });
}

#[test]
fn what_is_not_there_is_said_so() {
    on_each(|bucket| {
        put(bucket, "folder/x", b"x");
        for name in ["x", "x/y", "folder", "folder/y"] {
            assert_eq!(bucket.size(name).unwrap(), None, "{name}");
            let outcome = bucket.read(name, 0..1);
            assert!(matches!(outcome, Err(ObjectError::NoSuchObject(_))), "{name}: {outcome:?}");
            let outcome = bucket.file(name);
            assert!(matches!(outcome, Err(ObjectError::NoSuchObject(_))), "{name}: {outcome:?}");
        }
        bucket.delete("x").unwrap();
        bucket.delete("x/y").unwrap();
    });
}

#[test]
fn an_object_that_is_not_finished_is_none() {
    on_each(|bucket| {
        put(bucket, "x", b"before");
        let mut upload = bucket.create("x", 5).unwrap();
        upload.write(b"after").unwrap();
        assert_eq!(&bucket.read("x", 0..10).unwrap()[..], b"before");
        assert_eq!(listed(bucket, ""), ["x"]);
        drop(upload);
        assert_eq!(&bucket.read("x", 0..10).unwrap()[..], b"before");
        assert_eq!(listed(bucket, ""), ["x"]);
    });
}

#[test]
fn what_is_deleted_is_gone() {
    on_each(|bucket| {
        put(bucket, "a/b/c", b"c");
        put(bucket, "a/d", b"d");
        bucket.delete("a/b/c").unwrap();
        bucket.delete("a/b/c").unwrap();
        assert_eq!(listed(bucket, ""), ["a/d"]);
    });
}

#[test]
fn a_prefix_is_what_names_begin_with() {
    on_each(|bucket| {
        for name in ["s-1/a", "s-1/b", "s-10/a", "t"] {
            put(bucket, name, b"x");
        }
        assert_eq!(listed(bucket, "s-1/"), ["s-1/a", "s-1/b"]);
        assert_eq!(listed(bucket, "s-1/b"), ["s-1/b"]);
        assert_eq!(listed(bucket, "s-1").len(), 3);
        assert_eq!(listed(bucket, "").len(), 4);
        assert_eq!(listed(bucket, "none/").len(), 0);
    });
}

#[test]
fn no_name_leads_out_of_a_bucket() {
    on_each(|bucket| {
        let long = "a".repeat(1024);
        for name in ["../x", "/etc/passwd", "a/../../x", "..", "", ".", "a/", "a//b", &long] {
            assert!(matches!(bucket.size(name), Err(ObjectError::BadName(_))), "{name}");
            assert!(matches!(bucket.read(name, 0..1), Err(ObjectError::BadName(_))), "{name}");
            let begun = bucket.create(name, 0).err();
            assert!(matches!(begun, Some(ObjectError::BadName(_))), "{name}");
            assert!(matches!(bucket.delete(name), Err(ObjectError::BadName(_))), "{name}");
        }
    });
}
