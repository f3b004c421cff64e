//! CopySnapshot: the same bytes as a snapshot of another region.

use ebb_domain::{
    CopySource, Denied, Origin, RegionId, Snapshot, SnapshotId, SnapshotStatus, Tag,
    check_copy_snapshot, check_tags, description, retention_days, snapshot_name,
};
use ebb_store::{Durability, Tx};
use ebb_volume::{EngineError, SnapshotId as Version, VolumeId};

use crate::control::account;
use crate::reconcile::op_of;
use crate::snapshot::{accomplish, replayed_snapshot, visible};
use crate::{ClientToken, Control, ControlError, Scope, Step};

/// CopySnapshot.
#[derive(Debug, Clone)]
pub struct CopySnapshot {
    /// SnapshotId
    pub snapshot: SnapshotId,
    /// DestinationRegionId
    pub region: RegionId,
    /// DestinationSnapshotName
    pub name: String,
    /// DestinationSnapshotDescription
    pub description: String,
    /// RetentionDays
    pub retention_days: Option<i64>,
    /// ResourceGroupId
    pub resource_group: String,
    /// Encrypted
    pub encrypted: bool,
    /// KMSKeyId
    pub key: Option<String>,
    /// Tag.N
    pub tags: Vec<Tag>,
    /// ClientToken
    pub token: Option<ClientToken>,
}

/// What is to be copied, and the row of the copy.
struct Intended {
    source: Version,
    size_bytes: u64,
    copy: Snapshot,
}

impl Control {
    /// Copies a snapshot to another region of this server. It is accomplished when this returns,
    /// whatever its size: both regions are one pool, and the two share what they hold.
    ///
    /// Durable as [`Control::create_snapshot`] is.
    ///
    /// # Errors
    /// The first refusal, or a failure, after which there is no copy.
    pub fn copy_snapshot(
        &self,
        scope: &Scope,
        request: &CopySnapshot,
    ) -> Result<SnapshotId, ControlError> {
        snapshot_name(&request.name)?;
        description(&request.description)?;
        check_tags(&request.tags)?;
        self.copy_as(scope, request, Origin::User)
    }

    /// The same for a copy that comes about in that way, whatever it is called.
    pub(crate) fn copy_as(
        &self,
        scope: &Scope,
        request: &CopySnapshot,
        origin: Origin,
    ) -> Result<SnapshotId, ControlError> {
        let intended = self.store.write::<_, ControlError>(Durability::Recoverable, |tx| {
            if let Some(made) = self.replay(tx, &scope.account, request.token.as_ref())? {
                return Ok(Err(replayed_snapshot(tx, &made)?));
            }
            Ok(Ok(self.intend_copy(tx, scope, request, origin)?))
        })?;
        let intended = match intended {
            Ok(intended) => intended,
            Err(replayed) => return Ok(replayed),
        };
        self.pass(Step::SnapshotIntended);
        let copy = &intended.copy;
        if let Err(error) = self.make_copy(&intended) {
            self.undo_create_snapshot(&scope.account, request.token.as_ref(), copy)?;
            return Err(match error {
                // Deleted meanwhile.
                EngineError::NoSuchSnapshot(_) => Denied::SnapshotNotFound.into(),
                error => error.into(),
            });
        }
        self.store.write(Durability::Durable, |tx| accomplish(tx, &copy.id))?;
        Ok(intended.copy.id)
    }

    fn intend_copy(
        &self,
        tx: &Tx<'_>,
        scope: &Scope,
        request: &CopySnapshot,
        origin: Origin,
    ) -> Result<Intended, ControlError> {
        let region = self.given_region(scope)?;
        account(tx, &scope.account)?.check_snapshot_service()?;
        self.region(&request.region).map_err(|_| Denied::DestinationRegionNotFound)?;
        let source = visible(tx, &scope.account, region.as_ref(), &request.snapshot)?;
        check_copy_snapshot(&source, &request.region, request.encrypted, request.key.is_some())?;
        let copy = Snapshot {
            id: SnapshotId::mint(self.random()),
            region: request.region.clone(),
            name: request.name.clone(),
            description: request.description.clone(),
            retention_days: retention_days(request.retention_days)?,
            resource_group: request.resource_group.clone(),
            tags: request.tags.clone(),
            created_at: self.now(),
            modified_at: None,
            lock: None,
            group: None,
            copied_from: Some(CopySource {
                snapshot: source.id.clone(),
                region: source.region.clone(),
            }),
            version: self.new_engine_id(),
            status: SnapshotStatus::Progressing,
            origin,
            ..source.clone()
        };
        tx.insert_snapshot(&copy)?;
        let result = vec![copy.id.to_string()];
        self.remember(tx, &scope.account, request.token.as_ref(), result)?;
        let size_bytes = u64::from(source.source_disk_gib) << 30;
        Ok(Intended { source: Version(source.version), size_bytes, copy })
    }

    /// A volume is made of the source, frozen as the copy, and deleted. After a crash it is one
    /// that no disk has, and so the next start deletes it.
    fn make_copy(&self, intended: &Intended) -> Result<(), EngineError> {
        let Intended { source, size_bytes, copy } = intended;
        let (volume, version) = (VolumeId(self.new_engine_id()), Version(copy.version));
        let op = op_of("snapshot", version.0);
        let outcome = self
            .engine
            .fork(self.new_op(), *source, volume, *size_bytes)
            .and_then(|()| self.engine.create_snapshots(op, &[(volume, version)]));
        self.pass(Step::VersionMade);
        if let Err(error) = self.engine.delete_volume(self.new_op(), volume) {
            tracing::warn!(?volume, %error, "a copy's volume stays until the next start");
        }
        outcome
    }
}
