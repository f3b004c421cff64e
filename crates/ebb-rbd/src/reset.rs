//! Reset: a rollback in place, or a clone that takes the head's place.
//!
//! ```text
//!   in place   volume row: + rollback ──► librbd rolls back ──► volume row: - rollback
//!              the commit                 again from the start if it is interrupted
//!   clone      new image, a clone ──► volume row: its image is the new one ──► the old one reaped
//!                                     the commit
//! ```
//! In place costs an operation for each object of the head or the snapshot, and then nothing. A
//! clone takes the same time whatever the size, but what is written next is copied up, four
//! megabytes for a block, so in place is taken where it is a matter of seconds.
//!
//! A clone that has lost some of its overlap with its parent, by a rollback to a snapshot that was
//! smaller, does not get it back from librbd with a larger snapshot. So a clone is rolled back in
//! place only between snapshots of the volume's own size.

use ebb_volume::{EngineError, OpId, SnapshotId, VolumeId};

use crate::ResetMode;
use crate::engine::{RbdEngine, Shared};
use crate::ffi::Image;
use crate::map::{OBJECT_BYTES, ObjectMap};
use crate::owner::Claim;
use crate::records::{ImageRow, SnapshotRow, VolumeRow, image_key, volume_key};
use crate::versions::Made;

/// Objects a second: rolled back, and passed over because they are not there.
const ROLLED_BACK_A_SECOND: u64 = 2500;
const PASSED_A_SECOND: u64 = 1_000_000;

/// What a rollback in place may take, in milliseconds.
const IN_PLACE_MS: u64 = 5000;

impl Shared {
    /// Does a rollback that stands in the volume's row. The caller has made the volume busy.
    pub(crate) fn finish_rollback(&self, volume: VolumeId) -> Result<VolumeRow, EngineError> {
        let Claim::Ours(mut row, _, image) = self.lock(volume)? else {
            return Err(EngineError::InUse(volume));
        };
        let Some(snap) = row.rollback.take() else { return Ok(row) };
        image.roll_back(&snap)?;
        self.step("rolled back");
        if image.size_bytes()? != row.size {
            image.resize(row.size)?;
        }
        self.settle(|change| {
            let mut now = change.volume(volume)?;
            if now.rollback.as_ref() == Some(&snap) {
                now.rollback = None;
                change.set(volume_key(volume), &now)?;
            }
            Ok(())
        })?;
        Ok(row)
    }

    /// Whether a rollback in place is quick, and right.
    fn goes_in_place(
        &self,
        row: &VolumeRow,
        image: &ImageRow,
        target: &SnapshotRow,
    ) -> Result<bool, EngineError> {
        let resized = image.parent.is_some() && target.size != row.size;
        if self.reset == ResetMode::Clone || target.image != row.image || resized {
            return Ok(false);
        }
        let passed_ms = row.size / OBJECT_BYTES * 1000 / PASSED_A_SECOND;
        if passed_ms > IN_PLACE_MS {
            return Ok(false);
        }
        let pool = &self.records().pool;
        let head = ObjectMap::load(pool, &image.id, None)?;
        let then = ObjectMap::load(pool, &image.id, Some(target.id))?;
        let rolled_ms = (head.count() + then.count()) * 1000 / ROLLED_BACK_A_SECOND;
        Ok(passed_ms + rolled_ms <= IN_PLACE_MS)
    }
}

/// What a reset has decided on.
enum Way {
    InPlace,
    Clone,
}

impl RbdEngine {
    pub(crate) fn go_back(
        &self,
        op: OpId,
        volume: VolumeId,
        target: SnapshotId,
    ) -> Result<(), EngineError> {
        let asked = format!("reset {volume:?} {target:?}");
        let shared = &self.shared;
        let _busy = shared.busy(&[volume]);
        let mut made: Option<Made> = None;
        let outcome = shared.decide(op, &asked, |change| {
            let row = shared.settled_row(volume)?;
            let row = VolumeRow { rollback: None, ..change.volume(volume).map(|_| row)? };
            let snapshot = change.snapshot(target)?;
            if shared.in_use(volume) {
                return Err(EngineError::InUse(volume));
            }
            if snapshot.size > row.size {
                return Err(EngineError::BadSize(snapshot.size));
            }
            let (_, _, head) = shared.own(volume)?;
            let mut image = change.image(&row.image)?;
            if made.is_none() && shared.goes_in_place(&row, &image, &snapshot)? {
                image.rolled.extend(newest_snap(&head)?);
                image.rolled.dedup();
                change.set(image_key(&row.image), &image)?;
                let rollback = Some(snapshot.snap);
                change.set(volume_key(volume), &VolumeRow { rollback, ..row })?;
                return Ok(Way::InPlace);
            }
            if made.is_none() {
                made = Some(shared.make_image(op, volume, Some(&snapshot), row.size)?);
            }
            let new = made.as_ref().ok_or(EngineError::IdTaken)?;
            Shared::name_head(change, volume, new, row.size)?;
            Shared::leave_head(change, &row.image)?;
            Ok(Way::Clone)
        });
        match (outcome, made) {
            (Ok(Some(Way::Clone)), Some(made)) => {
                let size_bytes = made.image.size_bytes()?;
                shared.shut(volume);
                shared.add_head(volume, made.image, size_bytes);
                self.reap();
                Ok(())
            }
            (Ok(way), made) => {
                shared.unmake(made);
                if let (Some(_), Some(head)) = (way, shared.open_head(volume)) {
                    // Handles that were dropped may have left something under way.
                    head.revoke();
                }
                shared.finish_rollback(volume).map(drop).or_else(after_the_commit)
            }
            (Err(error), made) => {
                shared.unmake(made);
                Err(error)
            }
        }
    }
}

/// The reset is committed: it is not for the caller to take back, whatever else happens. One that
/// is repeated after its volume was deleted has been done.
fn after_the_commit(error: EngineError) -> Result<(), EngineError> {
    match error {
        EngineError::NoSuchVolume(_) => Ok(()),
        stopped @ EngineError::Stopped(_) => Err(stopped),
        other => Err(EngineError::OutcomeUnknown(format!("the reset is not done yet: {other}"))),
    }
}

fn newest_snap(image: &Image) -> Result<Option<u64>, EngineError> {
    Ok(image.snaps()?.last().map(|snap| snap.id))
}
