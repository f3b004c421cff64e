//! LockSnapshot, UnlockSnapshot, DescribeLockedSnapshots.
//!
//! What a lock allows is the domain's ([`ebb_domain::SnapshotLock`]); that nobody deletes a locked
//! snapshot is in [`ebb_domain::check_delete_snapshot`], which every deletion asks.

use ebb_domain::{AccountId, Denied, LockStatus, RegionId, Snapshot, SnapshotId, SnapshotLock};
use ebb_store::{Durability, LockQuery, Page, PageRequest, SnapshotQuery, Tx};

use crate::snapshot::visible;
use crate::{ClientToken, Control, ControlError, Scope};

/// LockSnapshot.
#[derive(Debug, Clone)]
pub struct LockSnapshot {
    /// SnapshotId
    pub snapshot: SnapshotId,
    /// LockDuration
    pub days: u32,
    /// CoolOffPeriod
    pub cool_off_hours: u32,
    /// DryRun
    pub dry_run: bool,
    /// ClientToken
    pub token: Option<ClientToken>,
}

/// UnlockSnapshot.
#[derive(Debug, Clone)]
pub struct UnlockSnapshot {
    /// SnapshotId
    pub snapshot: SnapshotId,
    /// DryRun
    pub dry_run: bool,
    /// ClientToken
    pub token: Option<ClientToken>,
}

/// A snapshot that is locked, or was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedSnapshot {
    /// Which.
    pub id: SnapshotId,
    /// Its lock.
    pub lock: SnapshotLock,
    /// What that does at the time of the call.
    pub status: LockStatus,
}

impl Control {
    /// Locks a snapshot, or changes its lock.
    ///
    /// Durable by the commit: a lock that was answered holds after a power loss.
    ///
    /// # Errors
    /// The first refusal, or a failure; then the lock is as it was.
    pub fn lock_snapshot(
        &self,
        scope: &Scope,
        request: &LockSnapshot,
    ) -> Result<LockedSnapshot, ControlError> {
        let snapshot = self.store.write::<_, ControlError>(Durability::Durable, |tx| {
            let (mut snapshot, replayed) =
                self.to_be_locked(tx, scope, &request.snapshot, request.token.as_ref())?;
            if replayed {
                return Ok(snapshot);
            }
            snapshot.lock(request.days, request.cool_off_hours, self.now())?;
            self.save_lock(tx, scope, &snapshot, request.dry_run, request.token.as_ref())?;
            Ok(snapshot)
        })?;
        // One that is replayed after it was unlocked has none.
        self.locked(&snapshot).ok_or_else(|| Denied::SnapshotNotLocked.into())
    }

    /// Takes a snapshot's lock back.
    ///
    /// Durable by the commit.
    ///
    /// # Errors
    /// The first refusal, or a failure; then the lock is as it was.
    pub fn unlock_snapshot(
        &self,
        scope: &Scope,
        request: &UnlockSnapshot,
    ) -> Result<(), ControlError> {
        self.store.write(Durability::Durable, |tx| {
            let (mut snapshot, replayed) =
                self.to_be_locked(tx, scope, &request.snapshot, request.token.as_ref())?;
            if replayed {
                return Ok(());
            }
            snapshot.unlock(self.now())?;
            self.save_lock(tx, scope, &snapshot, request.dry_run, request.token.as_ref())
        })
    }

    /// The snapshot, and whether a call with this token has done what is asked.
    fn to_be_locked(
        &self,
        tx: &Tx<'_>,
        scope: &Scope,
        id: &SnapshotId,
        token: Option<&ClientToken>,
    ) -> Result<(Snapshot, bool), ControlError> {
        let region = self.given_region(scope)?;
        let snapshot = visible(tx, &scope.account, region.as_ref(), id)?;
        let replayed = self.replay(tx, &scope.account, token)?.is_some();
        Ok((snapshot, replayed))
    }

    fn save_lock(
        &self,
        tx: &Tx<'_>,
        scope: &Scope,
        snapshot: &Snapshot,
        dry_run: bool,
        token: Option<&ClientToken>,
    ) -> Result<(), ControlError> {
        if dry_run {
            return Err(Denied::DryRun.into());
        }
        tx.save_snapshot(snapshot)?;
        self.remember(tx, &scope.account, token, vec![snapshot.id.to_string()])
    }

    /// Snapshots that are or were locked, with that status or any, and of these or any.
    ///
    /// # Errors
    /// [`Denied::NextToken`], or a failure.
    pub fn locked_snapshots(
        &self,
        account: &AccountId,
        region: &RegionId,
        ids: Option<Vec<SnapshotId>>,
        status: Option<LockStatus>,
        page: PageRequest,
    ) -> Result<Page<LockedSnapshot>, ControlError> {
        let query = SnapshotQuery {
            ids,
            locks: Some(LockQuery { status, now: self.now() }),
            ..SnapshotQuery::all(account.clone(), region.clone(), page)
        };
        let page = self.snapshots(&query)?;
        let items = page.items.iter().filter_map(|snapshot| self.locked(snapshot)).collect();
        Ok(Page { items, total: page.total, next: page.next })
    }

    fn locked(&self, snapshot: &Snapshot) -> Option<LockedSnapshot> {
        let lock = snapshot.lock?;
        Some(LockedSnapshot { id: snapshot.id.clone(), lock, status: lock.status(self.now()) })
    }
}
