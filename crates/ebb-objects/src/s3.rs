//! Buckets of whatever speaks S3.
//!
//! ```text
//!   a task's thread ── waits for ──► the server's runtime ──► object_store ──► S3
//! ```
//! An object is uploaded in parts and is there once S3 has answered that it has put them together:
//! then it is as durable as S3 makes it. An upload that is dropped is aborted. What a crash leaves
//! of one are parts that no list shows and that are paid for, until a rule of the bucket removes
//! them (`AbortIncompleteMultipartUpload`).
//!
//! S3 has no holes: what is zero is sent.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, WriteMultipart};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use crate::name::{check, parts};
use crate::{Bucket, Buckets, ObjectError, Upload, is_bucket_name};

/// S3 takes no more parts of one object (Amazon S3 multipart upload limits).
const MOST_PARTS: u64 = 10_000;

/// What is sent and asked for at once.
const PART_BYTES: u64 = 16 << 20;

/// Parts that are under way at once.
const PARTS_AT_ONCE: usize = 2;

/// How long it may take to tell the size of an object: an API call waits for it.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// Which buckets may be used, and where they are. What is not said here, keys above all, is taken
/// from the environment by the names that other programs know too: `AWS_ACCESS_KEY_ID`,
/// `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` and so on; and without keys there from the machine
/// that the server runs on, if it is one of AWS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct S3Options {
    /// The names of the buckets.
    pub buckets: Vec<String>,
    /// The address, if it is not AWS: `https://…`, or `http://…`.
    pub endpoint: Option<String>,
    /// The region.
    pub region: Option<String>,
}

/// The buckets that [`S3Options`] names.
pub struct S3Buckets {
    buckets: HashMap<String, Arc<S3Bucket>>,
    given_up: watch::Sender<bool>,
}

/// A bucket of something that holds objects.
pub struct S3Bucket {
    store: Arc<dyn ObjectStore>,
    calls: Calls,
    /// Where objects that must be files are put meanwhile.
    folder: PathBuf,
}

/// Waits for what goes on elsewhere.
#[derive(Clone)]
struct Calls {
    runtime: Handle,
    given_up: watch::Receiver<bool>,
}

impl S3Buckets {
    /// Nothing is asked yet: a bucket that is not there is found when it is used.
    ///
    /// # Errors
    /// What is wrong with the options or the environment, in words.
    pub fn open(options: &S3Options, runtime: &Handle, folder: PathBuf) -> Result<Self, String> {
        // There may be one already, and then it is this one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (given_up, told) = watch::channel(false);
        let calls = Calls { runtime: runtime.clone(), given_up: told };
        let mut buckets = HashMap::new();
        for name in &options.buckets {
            let store = connect(name, options)?;
            let bucket = S3Bucket { store, calls: calls.clone(), folder: folder.clone() };
            buckets.insert(name.clone(), Arc::new(bucket));
        }
        Ok(Self { buckets, given_up })
    }
}

fn connect(name: &str, options: &S3Options) -> Result<Arc<dyn ObjectStore>, String> {
    if !is_bucket_name(name) {
        return Err(format!(
            "{name:?} is not a name that OssBucket can have: 3 to 63 lower-case letters, digits \
             and hyphens"
        ));
    }
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(name);
    if let Some(endpoint) = &options.endpoint {
        if !["https://", "http://"].iter().any(|scheme| endpoint.starts_with(scheme)) {
            return Err(format!("S3 is at https://… or http://…, not at {endpoint:?}"));
        }
        builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http:"));
    }
    if let Some(region) = &options.region {
        builder = builder.with_region(region);
    }
    // What is not AWS has no regions, but the signature names one.
    if builder.get_config_value(&AmazonS3ConfigKey::Region).is_none() {
        builder = builder.with_region("us-east-1");
    }
    let store = builder.build().map_err(|error| format!("S3 bucket {name}: {error}"))?;
    Ok(Arc::new(store))
}

impl Buckets for S3Buckets {
    fn bucket(&self, name: &str) -> Result<Option<Arc<dyn Bucket>>, ObjectError> {
        Ok(self.buckets.get(name).map(|found| Arc::clone(found) as Arc<dyn Bucket>))
    }

    fn give_up(&self) {
        self.given_up.send_replace(true);
    }
}

impl Calls {
    /// Blocks; never to be called by what runs in the runtime.
    fn wait<T>(
        &self,
        call: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, ObjectError> {
        let mut given_up = self.given_up.clone();
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                Ok(_) = given_up.wait_for(|told| *told) => {
                    Err(io::Error::from(io::ErrorKind::Interrupted).into())
                }
                done = call => done.map_err(failed),
            }
        })
    }
}

fn failed(error: object_store::Error) -> ObjectError {
    match error {
        object_store::Error::NotFound { path, .. } => ObjectError::NoSuchObject(path),
        other => io::Error::other(without_document(&other.to_string())).into(),
    }
}

/// What an error says, with the code of the document that S3 sent and not the document: that names
/// the operator's key, and whoever exports a snapshot need not be the operator.
fn without_document(said: &str) -> String {
    let Some((words, document)) = said.split_once('<') else { return said.to_owned() };
    let code = document.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    let code = code.map_or("", |(code, _)| code);
    format!("{words}{code}")
}

fn too_late<T>(_: Elapsed) -> object_store::Result<T> {
    let source = "it does not answer".into();
    Err(object_store::Error::Generic { store: "S3", source })
}

/// The name as a place in a bucket.
fn place(name: &str) -> Result<Path, ObjectError> {
    check(name)?;
    Path::parse(name).map_err(|_| ObjectError::BadName(name.to_owned()))
}

impl S3Bucket {
    /// A bucket of any store.
    #[must_use]
    pub fn of(store: Arc<dyn ObjectStore>, runtime: Handle, folder: PathBuf) -> Self {
        let (_, given_up) = watch::channel(false);
        Self { store, calls: Calls { runtime, given_up }, folder }
    }
}

impl Bucket for S3Bucket {
    fn size(&self, name: &str) -> Result<Option<u64>, ObjectError> {
        let place = place(name)?;
        let asked = self.store.head(&place);
        let asked = async { timeout(ANSWER_TIME, asked).await.unwrap_or_else(too_late) };
        match self.calls.wait(asked) {
            Ok(found) => Ok(Some(found.size)),
            Err(ObjectError::NoSuchObject(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn read(&self, name: &str, range: Range<u64>) -> Result<Bytes, ObjectError> {
        let place = place(name)?;
        if range.is_empty() {
            self.calls.wait(self.store.head(&place))?;
            return Ok(Bytes::new());
        }
        match self.calls.wait(self.store.get_range(&place, range.clone())) {
            Ok(bytes) => Ok(bytes),
            Err(error @ ObjectError::NoSuchObject(_)) => Err(error),
            // A range that begins behind the end is one, in S3.
            Err(error) => match self.size(name)? {
                Some(size) if size <= range.start => Ok(Bytes::new()),
                _ => Err(error),
            },
        }
    }

    fn file(&self, name: &str) -> Result<File, ObjectError> {
        let size = self.size(name)?.ok_or_else(|| ObjectError::NoSuchObject(name.to_owned()))?;
        let mut file = tempfile::tempfile_in(&self.folder)?;
        let mut offset = 0;
        while offset < size {
            let piece = self.read(name, offset..offset + PART_BYTES)?;
            if piece.is_empty() {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            file.write_all(&piece)?;
            offset += piece.len() as u64;
        }
        file.rewind()?;
        Ok(file)
    }

    fn create(&self, name: &str, bytes: u64) -> Result<Box<dyn Upload>, ObjectError> {
        let upload = self.calls.wait(self.store.put_multipart(&place(name)?))?;
        let part = PART_BYTES.max(bytes.div_ceil(MOST_PARTS));
        let part = usize::try_from(part).map_err(io::Error::other)?;
        let parts = WriteMultipart::new_with_chunk_size(upload, part);
        Ok(Box::new(S3Upload { calls: self.calls.clone(), parts: Some(parts) }))
    }

    fn delete(&self, name: &str) -> Result<(), ObjectError> {
        match self.calls.wait(self.store.delete(&place(name)?)) {
            Ok(()) | Err(ObjectError::NoSuchObject(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        // The store's own prefixes end where a part of a name does.
        let (folder, _) = parts(prefix);
        let folder = if folder == "." { None } else { Some(place(folder)?) };
        let all = self.store.list(folder.as_ref()).map_ok(|found| found.location.to_string());
        let mut names: Vec<String> = self.calls.wait(all.try_collect())?;
        names.retain(|name| name.starts_with(prefix));
        Ok(names)
    }
}

struct S3Upload {
    calls: Calls,
    /// `None` once it is over.
    parts: Option<WriteMultipart>,
}

impl Upload for S3Upload {
    fn write(&mut self, piece: &[u8]) -> Result<(), ObjectError> {
        let parts = self.parts.as_mut().expect("an upload is over once it is finished");
        for piece in piece.chunks(PART_BYTES as usize) {
            self.calls.wait(async {
                parts.wait_for_capacity(PARTS_AT_ONCE).await?;
                parts.write(piece);
                Ok(())
            })?;
        }
        Ok(())
    }

    fn write_zeros(&mut self, bytes: u64) -> Result<(), ObjectError> {
        const ZEROS: &[u8] = &[0; 1 << 20];
        let mut left = bytes;
        while left > 0 {
            let now = left.min(ZEROS.len() as u64);
            self.write(&ZEROS[..now as usize])?;
            left -= now;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), ObjectError> {
        let parts = self.parts.take().expect("an upload is over once it is finished");
        self.calls.wait(parts.finish())?;
        Ok(())
    }
}

impl Drop for S3Upload {
    fn drop(&mut self) {
        if let Some(parts) = self.parts.take() {
            // Where this fails, the parts stay until the bucket's own rule removes them.
            drop(self.calls.runtime.spawn(parts.abort()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_the_code_and_no_key() {
        let said = "PUT http://x/y: 403 Forbidden: <?xml version=\"1.0\"?><Error>\
                    <Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>AKIA</AWSAccessKeyId>";
        let told = without_document(said);
        assert_eq!(told, "PUT http://x/y: 403 Forbidden: SignatureDoesNotMatch");
        assert_eq!(without_document("it does not answer"), "it does not answer");
        assert_eq!(without_document("502: <html>"), "502: ");
    }
}
