//! Volumes and snapshots made, grown and deleted.
//!
//! What a call makes in Ceph before its commit gets a row for the reaper first, and the commit
//! takes that row away: after a crash there is nothing that no row names.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

use ebb_volume::{EngineError, OpId, SnapshotId, VolumeId};

use crate::engine::{RbdEngine, Shared, check_size};
use crate::ffi::{self, EEXIST, ENOENT, Image};
use crate::owner::Claim;
use crate::records;
use crate::records::{
    Change, ImageRow, OpRow, Reap, ReapRow, SnapshotRow, VolumeRow, image_key, op_hex, op_key,
    reap_key, snapshot_key, volume_key,
};

/// An image that was made for a volume, open, before any row names it.
pub(crate) struct Made {
    image: Image,
    pub(crate) row: ImageRow,
    /// What it hangs on hangs on nothing, so that cannot be flattened before the commit.
    is_shallow: bool,
}

/// Snapshots that are taken of one volume in one call: one of its image.
struct Taking {
    volume: VolumeId,
    /// The client that has it open, if it is another.
    open_at: Option<String>,
    image: Arc<Image>,
    size_bytes: u64,
    snap: String,
    id: u64,
}

impl Made {
    #[cfg(test)]
    pub(crate) fn name(&self) -> &str {
        self.image.name()
    }

    pub(crate) fn size_bytes(&self) -> Result<u64, EngineError> {
        Ok(self.image.size_bytes()?)
    }
}

impl Shared {
    /// Makes an image, under a name that is free. The reaper knows of it.
    pub(crate) fn make_image(
        &self,
        op: OpId,
        volume: VolumeId,
        parent: Option<&SnapshotRow>,
        size_bytes: u64,
    ) -> Result<Made, EngineError> {
        let pool = &self.records().pool;
        // An attempt before a crash may have left one, which others may still have open.
        for attempt in 0.. {
            let name = format!("ebb-{:016x}-{}-{attempt}", volume.0, op_hex(op));
            self.settle(|change| {
                change.set(reap_key(&name, None), &ReapRow::now(Reap::Unfinished))
            })?;
            self.step("named");
            let made = match parent {
                None => ffi::create(pool, &name, size_bytes),
                Some(row) => ffi::clone(pool, &row.image, &row.snap, &name),
            };
            match made {
                Err(error) if error.is(EEXIST) => continue,
                other => other?,
            }
            self.step("made");
            let image = Image::open(pool, &name)?;
            if parent.is_some_and(|row| row.size != size_bytes) {
                image.resize(size_bytes)?;
            }
            let mut is_shallow = true;
            let lineage = match parent {
                None => (None, name.clone()),
                Some(row) => {
                    let above = self.records().image(&row.image)?;
                    let is_flat = self.flatten_the_deep(&image, row)?;
                    is_shallow = is_flat || above.parent.is_none();
                    ((!is_flat).then(|| (row.image.clone(), row.id)), above.root)
                }
            };
            let row = ImageRow {
                id: image.id()?,
                head_of: Some(volume.0),
                parent: lineage.0,
                root: lineage.1,
                since: records::now(),
                clones: 0,
                snaps: BTreeMap::new(),
                rolled: Vec::new(),
            };
            return Ok(Made { image, row, is_shallow });
        }
        Err(EngineError::IdTaken)
    }

    /// Says in a change that the volume's head is this image.
    pub(crate) fn name_head(
        change: &mut Change<'_>,
        volume: VolumeId,
        made: &Made,
        size_bytes: u64,
    ) -> Result<(), EngineError> {
        let image = made.image.name().to_owned();
        Self::take_over(change, reap_key(&image, None))?;
        if let Some((parent, _)) = &made.row.parent {
            let mut above = change.image(parent)?;
            above.clones += 1;
            change.set(image_key(parent), &above)?;
        }
        change.set(image_key(&image), &made.row)?;
        change.set(volume_key(volume), &VolumeRow { image, size: size_bytes, rollback: None })
    }

    /// Takes the row of what is unfinished away, unless the reaper has lost patience.
    fn take_over(change: &mut Change<'_>, key: String) -> Result<(), EngineError> {
        let row: Option<ReapRow> = change.get(key.clone())?;
        if row.is_none_or(|row| row.what != Reap::Unfinished) {
            let what = format!("{key} took longer than an hour and was given up");
            return Err(EngineError::Failed(what));
        }
        change.remove(key);
        Ok(())
    }

    /// Says in a change that an image is no volume's head any more.
    pub(crate) fn leave_head(change: &mut Change<'_>, image: &str) -> Result<(), EngineError> {
        let mut row = change.image(image)?;
        row.head_of = None;
        let what = if row.snaps.is_empty() { Reap::Remove } else { Reap::Shrink };
        change.set(reap_key(image, None), &ReapRow::now(what))?;
        change.set(image_key(image), &row)
    }

    /// Keeps what was made open, now that it is a volume's head. One whose parent's parents may
    /// have changed since it was opened is opened anew when it is used: librbd does not hear of it.
    pub(crate) fn keep_open(&self, volume: VolumeId, made: Made, size_bytes: u64) {
        if made.is_shallow {
            self.add_head(volume, made.image, size_bytes);
        }
    }

    /// Removes an image that was made for nothing.
    pub(crate) fn unmake(&self, made: Option<Made>) {
        let Some(Made { image, .. }) = made else { return };
        let name = image.name().to_owned();
        drop(image);
        let removed = ffi::remove(&self.records().pool, &name).map_err(EngineError::from);
        let removed = removed.and_then(|()| {
            self.settle(|change| {
                change.remove(reap_key(&name, None));
                Ok(())
            })
        });
        if let Err(error) = removed {
            tracing::info!(image = name, "an unfinished image stays for later: {error}");
        }
    }

    /// Whether an operation was done already; it may be another under the same id.
    fn done(&self, op: OpId, asked: &str) -> Result<bool, EngineError> {
        match self.records().row::<OpRow>(&op_key(op))? {
            None => Ok(false),
            Some(done) if done.asked() == asked => Ok(true),
            Some(_) => Err(EngineError::IdTaken),
        }
    }
}

impl Shared {
    /// Grows a volume that no other engine has open.
    pub(crate) fn make_larger_here(
        &self,
        op: OpId,
        volume: VolumeId,
        size_bytes: u64,
    ) -> Result<(), EngineError> {
        let asked = format!("grow {volume:?} {size_bytes}");
        let _busy = self.busy(&[volume]);
        let grown = self.decide(op, &asked, |change| {
            self.settled_row(volume)?;
            let mut row = change.volume(volume)?;
            check_size(size_bytes)?;
            if size_bytes < row.size {
                return Err(EngineError::BadSize(size_bytes));
            }
            let (_, head, image) = self.own(volume)?;
            image.resize(size_bytes)?;
            row.size = size_bytes;
            change.set(volume_key(volume), &row)?;
            Ok(head)
        })?;
        if let Some(head) = grown {
            head.grown(size_bytes);
        }
        Ok(())
    }
}

impl RbdEngine {
    pub(crate) fn make_empty(
        &self,
        op: OpId,
        volume: VolumeId,
        size_bytes: u64,
    ) -> Result<(), EngineError> {
        let asked = format!("create {volume:?} {size_bytes}");
        let _busy = self.shared.busy(&[volume]);
        let mut made = None;
        let outcome = self.shared.decide(op, &asked, |change| {
            if change.get::<VolumeRow>(volume_key(volume))?.is_some() {
                return Err(EngineError::IdTaken);
            }
            if made.is_none() {
                made = Some(self.shared.make_image(op, volume, None, size_bytes)?);
            }
            let image = made.as_ref().ok_or(EngineError::IdTaken)?;
            Shared::name_head(change, volume, image, size_bytes)
        });
        self.made(volume, size_bytes, made, outcome)
    }

    pub(crate) fn make_fork(
        &self,
        op: OpId,
        source: SnapshotId,
        volume: VolumeId,
        size_bytes: u64,
    ) -> Result<(), EngineError> {
        let asked = format!("fork {source:?} {volume:?} {size_bytes}");
        let _busy = self.shared.busy(&[volume]);
        let mut made = None;
        let outcome = self.shared.decide(op, &asked, |change| {
            let row = change.snapshot(source)?;
            check_size(size_bytes)?;
            if size_bytes < row.size {
                return Err(EngineError::BadSize(size_bytes));
            }
            if change.get::<VolumeRow>(volume_key(volume))?.is_some() {
                return Err(EngineError::IdTaken);
            }
            if made.is_none() {
                made = Some(self.shared.make_image(op, volume, Some(&row), size_bytes)?);
            }
            let image = made.as_ref().ok_or(EngineError::IdTaken)?;
            Shared::name_head(change, volume, image, size_bytes)
        });
        self.made(volume, size_bytes, made, outcome)
    }

    /// After the commit: the head is there, or what was made for it goes again.
    fn made(
        &self,
        volume: VolumeId,
        size_bytes: u64,
        made: Option<Made>,
        outcome: Result<Option<()>, EngineError>,
    ) -> Result<(), EngineError> {
        match (outcome, made) {
            (Ok(Some(())), Some(made)) => {
                self.shared.keep_open(volume, made, size_bytes);
                Ok(())
            }
            (outcome, made) => {
                self.shared.unmake(made);
                outcome.map(drop)
            }
        }
    }

    pub(crate) fn drop_volume(&self, op: OpId, volume: VolumeId) -> Result<(), EngineError> {
        let asked = format!("delete {volume:?}");
        let _busy = self.shared.busy(&[volume]);
        let dropped = self.shared.decide(op, &asked, |change| {
            if self.shared.in_use(volume) {
                return Err(EngineError::InUse(volume));
            }
            let Some(row) = change.get::<VolumeRow>(volume_key(volume))? else { return Ok(()) };
            self.shared.own(volume)?;
            change.remove(volume_key(volume));
            Shared::leave_head(change, &row.image)
        })?;
        if dropped.is_some() {
            self.shared.shut(volume);
            self.reap();
        }
        Ok(())
    }

    pub(crate) fn drop_snapshot(&self, op: OpId, snapshot: SnapshotId) -> Result<(), EngineError> {
        let asked = format!("delete {snapshot:?}");
        self.finish_rollback_of(snapshot)?;
        let dropped = self.shared.decide(op, &asked, |change| {
            let Some(row) = change.get::<SnapshotRow>(snapshot_key(snapshot))? else {
                return Ok(());
            };
            let mut image = change.image(&row.image)?;
            change.remove(snapshot_key(snapshot));
            let left = image.snaps.get(&row.id).map_or(0, |count| count.saturating_sub(1));
            if left > 0 {
                image.snaps.insert(row.id, left);
            } else {
                image.snaps.remove(&row.id);
                let remove = ReapRow::now(Reap::Remove);
                change.set(reap_key(&row.image, Some(&row.snap)), &remove)?;
                if image.head_of.is_none() && image.snaps.is_empty() {
                    change.set(reap_key(&row.image, None), &remove)?;
                }
            }
            change.set(image_key(&row.image), &image)
        })?;
        self.shared.looks.views.forget(Some(snapshot));
        if dropped.is_some() {
            self.reap();
            self.flattener.wake();
        }
        Ok(())
    }

    /// A rollback in place that was begun needs its snapshot.
    fn finish_rollback_of(&self, snapshot: SnapshotId) -> Result<(), EngineError> {
        let records = self.shared.records();
        let Some(row) = records.row::<SnapshotRow>(&snapshot_key(snapshot))? else {
            return Ok(());
        };
        let Some(volume) = records.image(&row.image)?.head_of.map(VolumeId) else {
            return Ok(());
        };
        let volume_row: Option<VolumeRow> = records.row(&volume_key(volume))?;
        if volume_row.is_some_and(|row| row.rollback.is_some()) {
            let _busy = self.shared.busy(&[volume]);
            self.shared.settled_row(volume)?;
        }
        Ok(())
    }

    pub(crate) fn take_snapshots(
        &self,
        op: OpId,
        pairs: &[(VolumeId, SnapshotId)],
    ) -> Result<(), EngineError> {
        let named = pairs.iter().map(|(v, s)| format!(" {:x}={:x}", v.0, s.0));
        let asked = format!("snapshots{}", named.collect::<String>());
        let mut volumes: Vec<VolumeId> = pairs.iter().map(|(volume, _)| *volume).collect();
        volumes.sort_unstable();
        volumes.dedup();
        let _busy = self.shared.busy(&volumes);
        if self.shared.done(op, &asked)? {
            return Ok(());
        }
        self.check_pairs(pairs)?;
        let mut taking = self.prepare(op, &volumes)?;
        let taken = self.shared.freeze_and_take(&mut taking);
        self.shared.step("taken");
        let outcome = taken.and_then(|()| self.commit_snapshots(op, &asked, pairs, &taking));
        if outcome.is_err() {
            // The rows for the reaper are there still.
            for Taking { image, snap, .. } in &taking {
                match image.remove_snap(snap) {
                    Err(error) if !error.is(ENOENT) => tracing::info!("{error}"),
                    _ => {}
                }
            }
        }
        outcome
    }

    /// Refuses, before anything is done, what can not be.
    fn check_pairs(&self, pairs: &[(VolumeId, SnapshotId)]) -> Result<(), EngineError> {
        let mut change = self.shared.records().change();
        let volumes = pairs.iter().map(|(volume, _)| volume_key(*volume)).collect();
        let volumes = change.get_all::<VolumeRow>(volumes)?;
        let snapshots = pairs.iter().map(|(_, snapshot)| snapshot_key(*snapshot)).collect();
        let taken = change.get_all::<SnapshotRow>(snapshots)?;
        for (n, (volume, snapshot)) in pairs.iter().enumerate() {
            if volumes.get(n).is_none_or(Option::is_none) {
                return Err(EngineError::NoSuchVolume(*volume));
            }
            let again = pairs[..n].iter().any(|(_, other)| other == snapshot);
            if again || taken.get(n).is_some_and(Option::is_some) {
                return Err(EngineError::IdTaken);
            }
        }
        Ok(())
    }

    /// Opens the heads, and tells the reaper what will be taken.
    fn prepare(&self, op: OpId, volumes: &[VolumeId]) -> Result<Vec<Taking>, EngineError> {
        let mut taking = Vec::new();
        for volume in volumes {
            let (row, image, open_at) = match self.shared.claim(*volume)? {
                Claim::Ours(row, _, image) => (row, image, None),
                Claim::OpenAt(owner, row, image) => (row, image, Some(owner)),
            };
            let (volume, size_bytes) = (*volume, row.size);
            let snap = format!("ebb-{}-{:016x}", op_hex(op), volume.0);
            taking.push(Taking { volume, open_at, image, size_bytes, snap, id: 0 });
        }
        self.shared.settle(|change| {
            let unfinished = ReapRow::now(Reap::Unfinished);
            taking.iter().try_for_each(|Taking { image, snap, .. }| {
                change.set(reap_key(image.name(), Some(snap)), &unfinished)
            })
        })?;
        Ok(taking)
    }

    fn commit_snapshots(
        &self,
        op: OpId,
        asked: &str,
        pairs: &[(VolumeId, SnapshotId)],
        taking: &[Taking],
    ) -> Result<(), EngineError> {
        let outcome = self.shared.decide(op, asked, |change| {
            let keys = pairs.iter().map(|(_, snapshot)| snapshot_key(*snapshot)).collect();
            if change.get_all::<SnapshotRow>(keys)?.iter().any(Option::is_some) {
                return Err(EngineError::IdTaken);
            }
            for Taking { volume, image, size_bytes, snap, id, .. } in taking {
                let name = image.name();
                if change.volume(*volume)?.image != name {
                    return Err(EngineError::Failed(format!("another engine reset {volume:?}")));
                }
                let own = pairs.iter().filter(|(of, _)| of == volume);
                let mut row = change.image(name)?;
                row.snaps.insert(*id, own.clone().count() as u64);
                change.set(image_key(name), &row)?;
                Shared::take_over(change, reap_key(name, Some(snap)))?;
                for (_, snapshot) in own {
                    let (image, snap) = (name.to_owned(), snap.clone());
                    let row = SnapshotRow { image, snap, id: *id, size: *size_bytes };
                    change.set(snapshot_key(*snapshot), &row)?;
                }
            }
            Ok(())
        });
        outcome.map(drop)
    }
}

impl Shared {
    /// Takes the snapshots of all images at one instant.
    fn freeze_and_take(&self, taking: &mut [Taking]) -> Result<(), EngineError> {
        let mut held = self.hold();
        let alone = taking.len() == 1;
        for one in taking.iter_mut() {
            match one.open_at.clone() {
                // librbd holds the writes to one image itself.
                None if alone => {}
                None => held.freeze_here(one.volume),
                Some(owner) => {
                    let stops = self.freeze_at(&mut held, owner.clone(), one.volume)?;
                    if !stops && !alone {
                        return Err(EngineError::Failed(format!(
                            "{:?} is open at {owner}, which is no server of Ebbtide and does not \
                             stop for a snapshot of several volumes",
                            one.volume
                        )));
                    }
                    self.look_again(one)?;
                }
            }
        }
        take_all(taking)?;
        held.go_on()
    }

    /// What the volume is can not change any more where it is frozen, but may have since it was
    /// claimed.
    fn look_again(&self, one: &mut Taking) -> Result<(), EngineError> {
        let row: Option<VolumeRow> = self.records().row(&volume_key(one.volume))?;
        let row = row.ok_or(EngineError::NoSuchVolume(one.volume))?;
        if row.image != one.image.name() || row.rollback.is_some() {
            let what = format!("another engine is resetting {:?}", one.volume);
            return Err(EngineError::Failed(what));
        }
        one.size_bytes = row.size;
        Ok(())
    }
}

/// At the same time, because each takes a while.
fn take_all(taking: &mut [Taking]) -> Result<(), EngineError> {
    match taking {
        [one] => one.take(),
        several => thread::scope(|scope| {
            let threads: Vec<_> =
                several.iter_mut().map(|one| scope.spawn(|| one.take())).collect();
            let panicked = |_| EngineError::Failed("a thread ended in a panic".into());
            let join = |thread: thread::ScopedJoinHandle<'_, _>| {
                thread.join().map_err(panicked).and_then(|outcome| outcome)
            };
            let outcomes: Vec<Result<(), EngineError>> = threads.into_iter().map(join).collect();
            outcomes.into_iter().collect()
        }),
    }
}

impl Taking {
    fn take(&mut self) -> Result<(), EngineError> {
        match self.image.create_snap(&self.snap) {
            Err(error) if error.is(EEXIST) => {
                // Of an attempt that a crash ended: it is of another instant.
                self.image.remove_snap(&self.snap)?;
                self.image.create_snap(&self.snap)?;
            }
            other => other?,
        }
        let snaps = self.image.snaps()?;
        let own = snaps.iter().find(|info| info.name == self.snap);
        let missing = || EngineError::Failed(format!("snapshot {} is not there", self.snap));
        self.id = own.map(|info| info.id).ok_or_else(missing)?;
        Ok(())
    }
}
