//! Folders as buckets, and that nothing leads out of them.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use ebb_objects::{Bucket, Buckets, FolderBucket, FolderBuckets, ObjectError};
use tempfile::TempDir;

use crate::{listed, put};

fn bucket() -> (TempDir, FolderBucket) {
    let folder = TempDir::new().unwrap();
    let bucket = FolderBucket::open(folder.path()).unwrap();
    (folder, bucket)
}

#[test]
fn a_folder_is_no_object() {
    let (folder, bucket) = bucket();
    fs::create_dir(folder.path().join("folder")).unwrap();
    assert_eq!(bucket.size("folder").unwrap(), None);
    let outcome = bucket.read("folder", 0..1);
    assert!(matches!(outcome, Err(ObjectError::NoSuchObject(_))), "{outcome:?}");
    assert!(bucket.delete("folder").is_err());
}

#[test]
fn an_upload_that_is_dropped_leaves_no_file() {
    let (folder, bucket) = bucket();
    put(&bucket, "x", b"before");
    let mut upload = bucket.create("x", 0).unwrap();
    upload.write(b"after").unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    drop(upload);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn zeros_take_no_space() {
    let (folder, bucket) = bucket();
    let mut upload = bucket.create("x", 0).unwrap();
    upload.write_zeros(64 << 20).unwrap();
    upload.write(b"end").unwrap();
    upload.write_zeros(1 << 20).unwrap();
    upload.finish().unwrap();
    assert_eq!(bucket.size("x").unwrap(), Some((65 << 20) + 3));
    assert_eq!(&bucket.read("x", (64 << 20) - 1..(64 << 20) + 4).unwrap()[..], b"\0end\0");
    let stored = fs::metadata(folder.path().join("x")).unwrap().blocks() * 512;
    assert!(stored < 1 << 20, "{stored}");
}

#[test]
fn what_is_deleted_leaves_nothing() {
    let (folder, bucket) = bucket();
    put(&bucket, "a/b/c", b"c");
    put(&bucket, "a/d", b"d");
    bucket.delete("a/b/c").unwrap();
    bucket.delete("a/b/c").unwrap();
    assert_eq!(listed(&bucket, ""), ["a/d"]);
    assert!(!folder.path().join("a/b").exists());
    bucket.delete("a/d").unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// A folder beside the bucket, which links in the bucket lead to.
fn with_links_out(folder: &Path) -> FolderBucket {
    let (inside, outside) = (folder.join("inside"), folder.join("outside"));
    fs::create_dir(&inside).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "secret").unwrap();
    symlink(&outside, inside.join("link")).unwrap();
    symlink("../outside", inside.join("relative")).unwrap();
    symlink(outside.join("secret"), inside.join("file")).unwrap();
    FolderBucket::open(&inside).unwrap()
}

#[test]
fn no_link_leads_out_of_a_bucket() {
    let folder = TempDir::new().unwrap();
    let bucket = with_links_out(folder.path());
    for name in ["link/secret", "relative/secret", "file"] {
        assert_eq!(bucket.size(name).unwrap(), None, "{name}");
        assert!(bucket.read(name, 0..6).is_err(), "{name}");
        assert!(bucket.file(name).is_err(), "{name}");
    }
    for name in ["link/new", "relative/new"] {
        assert!(bucket.create(name, 0).is_err(), "{name}");
        bucket.delete("link/secret").unwrap();
    }
    assert_eq!(listed(&bucket, ""), Vec::<String>::new());
    // In place of a link comes an object; what it led to stays.
    put(&bucket, "file", b"new");
    let outside: Vec<_> = fs::read_dir(folder.path().join("outside")).unwrap().collect();
    assert_eq!(outside.len(), 1);
    assert_eq!(fs::read(folder.path().join("outside/secret")).unwrap(), b"secret");
}

#[test]
fn no_name_leads_out_of_a_bucket() {
    let folder = TempDir::new().unwrap();
    let bucket = with_links_out(folder.path());
    for name in ["../outside/secret", "/etc/passwd", "a/../../outside/secret", "..", "", "."] {
        assert!(matches!(bucket.size(name), Err(ObjectError::BadName(_))), "{name}");
        assert!(matches!(bucket.create(name, 0).err(), Some(ObjectError::BadName(_))), "{name}");
        assert!(matches!(bucket.delete(name), Err(ObjectError::BadName(_))), "{name}");
    }
}

#[test]
fn a_bucket_is_a_folder_that_is_there() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("one")).unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    symlink("/", folder.path().join("root")).unwrap();
    let buckets = FolderBuckets::open(folder.path()).unwrap();
    let one = buckets.bucket("one").unwrap().unwrap();
    put(one.as_ref(), "x", b"x");
    assert_eq!(fs::read(folder.path().join("one/x")).unwrap(), b"x");
    for name in ["two", "file", "root", "..", "one/.", "."] {
        assert!(buckets.bucket(name).unwrap().is_none(), "{name}");
    }
}
