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

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use ebb_volume::{EngineError, OpId, SnapshotId, VolumeId};

use crate::ResetMode;
use crate::engine::{RbdEngine, Shared};
use crate::ffi::Image;
use crate::flatten::MAX_DEPTH;
use crate::map::{OBJECT_BYTES, ObjectMap};
use crate::owner::Claim;
use crate::records::{ImageRow, SnapshotRow, VolumeRow, image_key, volume_key};
use crate::versions::Made;

/// Objects a second that are passed over because they are not there. How many are rolled back is
/// learned (rate.rs).
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
        let objects = self.to_roll_back(&image, &snap)?;
        let begun = Instant::now();
        image.roll_back(&snap)?;
        self.learn_rate(objects, begun.elapsed());
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

    /// How many objects a rollback has to look at: those of the head, and those of the snapshot.
    fn to_roll_back(&self, image: &Image, snap: &str) -> Result<u64, EngineError> {
        let (pool, id) = (&self.records().pool, image.id()?);
        let at = image.snaps()?.into_iter().find(|info| info.name == snap).map(|info| info.id);
        let then = match at {
            // The rollback says that it is not there.
            None => 0,
            Some(at) => ObjectMap::load(pool, &id, Some(at))?.count(),
        };
        Ok(ObjectMap::load(pool, &id, None)?.count() + then)
    }

    /// Whether a rollback in place is quick, and right; with the reason, for who runs the server.
    fn goes_in_place(
        &self,
        row: &VolumeRow,
        image: &ImageRow,
        target: &SnapshotRow,
    ) -> Result<(bool, String), EngineError> {
        if target.image != row.image {
            return Ok((false, "the snapshot is not of the image that the volume is now".into()));
        }
        if image.parent.is_some() && target.size != row.size {
            return Ok((false, "the volume is a clone and has grown since".into()));
        }
        if self.depth(&row.image)? >= MAX_DEPTH {
            return Ok((true, format!("a clone would have more than {MAX_DEPTH} parents")));
        }
        if self.reset == ResetMode::Clone {
            return Ok((false, "the server was told to reset by clones".into()));
        }
        let passed_ms = row.size / OBJECT_BYTES * 1000 / PASSED_A_SECOND;
        let pool = &self.records().pool;
        let head = ObjectMap::load(pool, &image.id, None)?;
        let then = ObjectMap::load(pool, &image.id, Some(target.id))?;
        let (objects, rate) = (head.count() + then.count(), self.rollback_rate()?);
        let ms = passed_ms + objects * 1000 / rate;
        let why = format!("{objects} objects at {rate} a second take some {ms} ms in place");
        Ok((ms <= IN_PLACE_MS, why))
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
        let mut reason = String::new();
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
            let (in_place, why) = match made {
                None => shared.goes_in_place(&row, &image, &snapshot)?,
                Some(_) => (false, std::mem::take(&mut reason)),
            };
            reason = why;
            if in_place {
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
                tracing::info!(?volume, "is reset by a clone: {reason}");
                shared.counters.resets_by_clone.fetch_add(1, Relaxed);
                let size_bytes = made.size_bytes()?;
                shared.shut(volume);
                shared.keep_open(volume, made, size_bytes);
                self.reap();
                self.flattener.wake();
                Ok(())
            }
            (Ok(way), made) => {
                shared.unmake(made);
                if way.is_some() {
                    tracing::info!(?volume, "is reset in place: {reason}");
                    shared.counters.resets_in_place.fetch_add(1, Relaxed);
                }
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
