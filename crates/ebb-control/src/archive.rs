//! ModifySnapshotCategory: what a snapshot holds moves from the pool to the archive.
//!
//! ```text
//!   <snapshot id>/00000000.zst   the first 64 MiB of the disk, compressed by Zstandard
//!   <snapshot id>/00000002.zst   the third; of the second nothing is stored, so it is not there
//!   <snapshot id>/contents       what there is: see below
//! ```
//! `contents` is text: a line `ebbtide archive 1`, then a line for each chunk, `<number> <bytes>
//! <SHA-256>` of the compressed object, then `sha256 <SHA-256>` of all lines before. It is written
//! last, so that what has it is whole.
//!
//! ```text
//!   objects, each synced ─► one commit: category, size, task Finished ─► the version goes
//! ```
//! After a crash the task is begun again and writes the same objects, or the record says that the
//! snapshot is in the archive and the start removes the version that no record has.
//!
//! Deliberately not here: a way back. It leaves the archive by ExportSnapshot.

use std::collections::VecDeque;
use std::fmt::Write;
use std::io::Read;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use ebb_domain::{
    Denied, Field, Snapshot, SnapshotCategory, SnapshotChange, SnapshotId, Task, TaskAction,
    TaskId, check_archive_snapshot,
};
use ebb_objects::{Bucket, ObjectError};
use ebb_store::Durability;
use ebb_volume::SnapshotId as Version;
use sha2::{Digest, Sha256};

use crate::content::{Content, Piece};
use crate::snapshot::{is_held, visible};
use crate::task::Progress;
use crate::task_end::TaskEnd;
use crate::work::Job;
use crate::{Control, ControlError, Scope, Step};

const CHUNK_BYTES: u64 = 64 << 20;

const FIRST_LINE: &str = "ebbtide archive 1";

/// Zstandard's own default.
const LEVEL: i32 = 3;

/// The fewest RetentionDays that an archived snapshot can have (api.md §3.4).
const RETENTION_DAYS_MIN: i64 = 61;

impl Control {
    /// Begins to move a snapshot to the archive. It is of category Archive once the task is
    /// Finished, and until then is what it was.
    ///
    /// The task is durable by this commit.
    ///
    /// # Errors
    /// The first refusal, or a failure.
    pub fn archive_snapshot(
        &self,
        scope: &Scope,
        id: &SnapshotId,
        category: Option<&str>,
        retention_days: Option<i64>,
    ) -> Result<TaskId, ControlError> {
        if category
            .is_some_and(|name| SnapshotCategory::parse(name) != Some(SnapshotCategory::Archive))
        {
            return Err(Denied::Malformed(Field::SnapshotCategory).into());
        }
        if retention_days.is_some_and(|days| days < RETENTION_DAYS_MIN) {
            return Err(Denied::Malformed(Field::RetentionDays).into());
        }
        let task = self.store.write::<_, ControlError>(Durability::Durable, |tx| {
            let region = self.given_region(scope)?;
            let mut snapshot = visible(tx, &scope.account, region.as_ref(), id)?;
            check_archive_snapshot(&snapshot, tx.has_images(id)?, is_held(tx, id)?, self.now())?;
            if retention_days.is_some() {
                let change = SnapshotChange { retention_days, ..SnapshotChange::default() };
                change.apply(&mut snapshot, self.now())?;
                tx.save_snapshot(&snapshot)?;
            }
            let action = TaskAction::ModifySnapshotCategory;
            let task = self.new_task(action, &snapshot.account, &snapshot.region, id.as_str());
            self.add_task(tx, &task)?;
            Ok(task.id)
        })?;
        self.work.add(Job::Task(task.clone()));
        Ok(task)
    }

    pub(crate) fn carry_archive(self: &Arc<Self>, task: &Task) -> Result<(), TaskEnd> {
        let id = SnapshotId::new(task.resource.as_str());
        let snapshot = self.store.read(|tx| tx.snapshot(&id))?.ok_or(TaskEnd::Cancelled)?;
        let outcome = self.write_objects(task, &snapshot).and_then(|bytes| {
            self.pass(Step::ObjectsWritten);
            self.finish_archive(task, &snapshot, bytes)
        });
        match outcome {
            Ok(()) => {
                self.pass(Step::SnapshotArchived);
                self.engine.delete_snapshot(self.new_op(), Version(snapshot.version))?;
                Ok(())
            }
            Err(TaskEnd::Stopping) => Err(TaskEnd::Stopping),
            Err(end) => {
                self.delete_archived(&id)?;
                Err(end)
            }
        }
    }

    fn write_objects(self: &Arc<Self>, task: &Task, snapshot: &Snapshot) -> Result<u64, TaskEnd> {
        let mut content = Content::of(self, snapshot)?;
        let mut writer = Writer::new(self.archive.as_ref(), &snapshot.id);
        let size_bytes = snapshot.size_bytes();
        let mut progress = Progress::new(self, &task.id, size_bytes);
        while let Some(piece) = content.next()? {
            progress.reach(piece.offset)?;
            writer.add(&piece)?;
        }
        writer.finish()
    }

    fn finish_archive(&self, task: &Task, snapshot: &Snapshot, bytes: u64) -> Result<(), TaskEnd> {
        self.finish_task(&task.id, |tx| {
            // Nothing new can need it: the task that is under way holds it.
            if let Some(found) = tx.snapshot(&snapshot.id)? {
                tx.save_snapshot(&Snapshot {
                    category: SnapshotCategory::Archive,
                    archived_bytes: Some(bytes),
                    ..found
                })?;
            }
            Ok(())
        })
    }

    /// Removes what the archive has of a snapshot, if anything.
    pub(crate) fn delete_archived(&self, id: &SnapshotId) -> Result<(), ControlError> {
        // What the rest is goes first, so that no crash leaves less than it says.
        self.archive.delete(&contents_of(id))?;
        for name in self.archive.list(&format!("{id}/"))? {
            self.archive.delete(&name)?;
        }
        Ok(())
    }
}

fn contents_of(id: &SnapshotId) -> String {
    format!("{id}/contents")
}

fn name_of(id: &SnapshotId, number: u64) -> String {
    format!("{id}/{number:08}.zst")
}

fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Gathers pieces into chunks.
struct Writer<'a> {
    bucket: &'a dyn Bucket,
    id: &'a SnapshotId,
    /// The chunk that is being gathered.
    number: u64,
    chunk: BytesMut,
    lines: String,
    bytes: u64,
}

impl<'a> Writer<'a> {
    fn new(bucket: &'a dyn Bucket, id: &'a SnapshotId) -> Self {
        let lines = format!("{FIRST_LINE}\n");
        Self { bucket, id, number: 0, chunk: BytesMut::new(), lines, bytes: 0 }
    }

    fn add(&mut self, piece: &Piece) -> Result<(), TaskEnd> {
        let (mut offset, mut bytes) = (piece.offset, &piece.bytes[..]);
        while !bytes.is_empty() {
            if offset / CHUNK_BYTES != self.number {
                self.put_chunk()?;
                self.number = offset / CHUNK_BYTES;
            }
            let at = usize::try_from(offset % CHUNK_BYTES).expect("a chunk is short");
            let room = CHUNK_BYTES as usize - at;
            let (now, later) = bytes.split_at(bytes.len().min(room));
            self.chunk.resize(at, 0);
            self.chunk.extend_from_slice(now);
            (offset, bytes) = (offset + now.len() as u64, later);
        }
        Ok(())
    }

    fn put_chunk(&mut self) -> Result<(), TaskEnd> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let packed = zstd::bulk::compress(&self.chunk, LEVEL).map_err(ObjectError::from)?;
        self.chunk.clear();
        self.put(&name_of(self.id, self.number), &packed)?;
        let _ = writeln!(self.lines, "{} {} {}", self.number, packed.len(), sha256(&packed));
        Ok(())
    }

    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), ObjectError> {
        let mut upload = self.bucket.create(name, bytes.len() as u64)?;
        upload.write(bytes)?;
        self.bytes += bytes.len() as u64;
        upload.finish()
    }

    /// How many bytes all objects have.
    fn finish(mut self) -> Result<u64, TaskEnd> {
        self.put_chunk()?;
        let digest = sha256(self.lines.as_bytes());
        let _ = writeln!(self.lines, "sha256 {digest}");
        let lines = std::mem::take(&mut self.lines);
        self.put(&contents_of(self.id), lines.as_bytes())?;
        Ok(self.bytes)
    }
}

/// A line of `contents`.
struct Line {
    number: u64,
    bytes: u64,
    digest: String,
}

/// What the archive has of a snapshot, read from its start.
pub(crate) struct Archived {
    bucket: Arc<dyn Bucket>,
    id: SnapshotId,
    lines: VecDeque<Line>,
}

impl Archived {
    pub(crate) fn open(control: &Control, id: &SnapshotId) -> Result<Self, TaskEnd> {
        let bucket = Arc::clone(&control.archive);
        let contents = bucket.read(&contents_of(id), 0..u64::MAX)?;
        let lines = parse(&contents).ok_or_else(|| corrupt(&contents_of(id)))?;
        Ok(Self { bucket, id: id.clone(), lines })
    }

    /// A chunk, which is a long piece.
    pub(crate) fn next(&mut self) -> Result<Option<Piece>, TaskEnd> {
        let Some(line) = self.lines.pop_front() else { return Ok(None) };
        let name = name_of(&self.id, line.number);
        let packed = self.bucket.read(&name, 0..line.bytes)?;
        if sha256(&packed) != line.digest {
            return Err(corrupt(&name));
        }
        let bytes = unpack(&packed).ok_or_else(|| corrupt(&name))?;
        Ok(Some(Piece { offset: line.number * CHUNK_BYTES, bytes }))
    }
}

fn unpack(packed: &[u8]) -> Option<Bytes> {
    let mut bytes = Vec::new();
    let decoder = zstd::stream::read::Decoder::with_buffer(packed).ok()?;
    decoder.take(CHUNK_BYTES + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= CHUNK_BYTES).then(|| bytes.into())
}

fn parse(contents: &[u8]) -> Option<VecDeque<Line>> {
    let text = std::str::from_utf8(contents).ok()?;
    let (lines, digest) = text.rsplit_once("sha256 ")?;
    if digest.trim_end() != sha256(lines.as_bytes()) {
        return None;
    }
    let chunks = lines.strip_prefix(FIRST_LINE)?.trim().lines();
    chunks
        .map(|line| {
            let mut words = line.split(' ');
            let mut word = || words.next();
            let (number, bytes) = (word()?.parse().ok()?, word()?.parse().ok()?);
            Some(Line { number, bytes, digest: word()?.to_owned() })
        })
        .collect()
}

fn corrupt(name: &str) -> TaskEnd {
    tracing::error!(name, "an object in the archive is not what was written there");
    TaskEnd::Failed(format!("{name} in the archive is not what was written there"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn contents(lines: &str) -> Vec<u8> {
        format!("{lines}sha256 {}\n", sha256(lines.as_bytes())).into_bytes()
    }

    #[test]
    fn contents_are_read_as_they_were_written_and_else_not_at_all() {
        let good = contents("ebbtide archive 1\n0 10 ab\n7 20 cd\n");
        let read = parse(&good).unwrap();
        assert_eq!((read.len(), read[1].number, read[1].bytes), (2, 7, 20));
        assert_eq!(read[1].digest, "cd");
        assert!(parse(&contents("ebbtide archive 1\n")).unwrap().is_empty());
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            // The last line's own end says nothing.
            assert!(parse(&bad).is_none() || at == good.len() - 1, "{at}");
            assert!(at == good.len() - 1 || parse(&good[..at]).is_none(), "{at}");
        }
        assert!(parse(&contents("ebbtide archive 2\n0 10 ab\n")).is_none());
        assert!(parse(&contents("ebbtide archive 1\n0 x ab\n")).is_none());
    }
}
