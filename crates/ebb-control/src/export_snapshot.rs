//! ExportSnapshot: what a snapshot holds becomes an object, `<snapshot id>.raw`, as long as the
//! disk was. ImportImage reads it again, and so does anything that reads a raw disk image.

use std::sync::Arc;

use ebb_domain::{
    Denied, Field, ImageFormat, SnapshotId, SnapshotStatus, Task, TaskAction, TaskId, TaskObject,
};
use ebb_objects::is_bucket_name;
use ebb_store::Durability;

use crate::content::Content;
use crate::snapshot::visible;
use crate::task::Progress;
use crate::task_end::TaskEnd;
use crate::work::Job;
use crate::{Control, ControlError, Scope};

impl Control {
    /// Begins to export a snapshot into a bucket. The object is there once the task is Finished.
    ///
    /// The task is durable by this commit, the object by its own sync before the task's outcome.
    ///
    /// # Errors
    /// The first refusal, or a failure.
    pub fn export_snapshot(
        &self,
        scope: &Scope,
        id: &SnapshotId,
        bucket: &str,
    ) -> Result<TaskId, ControlError> {
        self.find_bucket(bucket)?;
        let task = self.store.write::<_, ControlError>(Durability::Durable, |tx| {
            let region = self.given_region(scope)?;
            let snapshot = visible(tx, &scope.account, region.as_ref(), id)?;
            if snapshot.status != SnapshotStatus::Accomplished {
                return Err(Denied::SnapshotNotReady.into());
            }
            if snapshot.encryption.is_some() {
                return Err(Denied::EncryptedStays.into());
            }
            if tx.has_task_under_way(id.as_str())? {
                return Err(Denied::SnapshotExporting.into());
            }
            let object = TaskObject {
                bucket: bucket.to_owned(),
                object: format!("{id}.raw"),
                format: ImageFormat::Raw,
                device: String::new(),
                size_gib: None,
            };
            let task = Task {
                objects: vec![object],
                ..self.new_task(
                    TaskAction::ExportSnapshot,
                    &snapshot.account,
                    &snapshot.region,
                    id.as_str(),
                )
            };
            self.add_task(tx, &task)?;
            Ok(task.id)
        })?;
        self.work.add(Job::Task(task.clone()));
        Ok(task)
    }

    /// Refuses a bucket that is not there.
    pub(crate) fn find_bucket(
        &self,
        name: &str,
    ) -> Result<Arc<dyn ebb_objects::Bucket>, ControlError> {
        if !is_bucket_name(name) {
            return Err(Denied::Malformed(Field::Bucket).into());
        }
        Ok(self.buckets.bucket(name)?.ok_or(Denied::BucketNotFound)?)
    }

    pub(crate) fn carry_export(self: &Arc<Self>, task: &Task) -> Result<(), TaskEnd> {
        let id = SnapshotId::new(task.resource.as_str());
        let snapshot = self.store.read(|tx| tx.snapshot(&id))?.ok_or(TaskEnd::Cancelled)?;
        let [to] = task.objects.as_slice() else { return Err(TaskEnd::Cancelled) };
        let no_bucket = || TaskEnd::Failed(format!("there is no bucket {}", to.bucket));
        let bucket = self.buckets.bucket(&to.bucket)?.ok_or_else(no_bucket)?;
        let size_bytes = snapshot.size_bytes();
        let mut content = Content::of(self, &snapshot)?;
        let mut upload = bucket.create(&to.object, size_bytes)?;
        let mut progress = Progress::new(self, &task.id, size_bytes);
        let mut written = 0;
        while let Some(piece) = content.next()? {
            if piece.offset > written {
                upload.write_zeros(piece.offset - written)?;
            }
            upload.write(&piece.bytes)?;
            written = piece.offset + piece.bytes.len() as u64;
            progress.reach(written)?;
        }
        if size_bytes > written {
            upload.write_zeros(size_bytes - written)?;
        }
        upload.finish()?;
        drop(content);
        self.finish_task(&task.id, |_| Ok(()))
    }
}
