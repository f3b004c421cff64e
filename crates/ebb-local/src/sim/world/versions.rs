//! What the control plane asks: changes of versions, and handles revoked.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use ebb_volume::{EngineError, Io, IoError, OpId, SnapshotId, Volume, VolumeId};

use super::World;
use crate::cipher::KeyCheck;
use crate::layout::BLOCK;
use crate::record::Change;
use crate::sim::model::{State, Unit};

impl World {
    pub(super) fn change_versions(&mut self) -> Result<(), String> {
        let Some(change) = self.choose_change() else {
            return Ok(());
        };
        self.ask_for(change)
    }

    /// Makes a change that was never asked for before.
    pub(super) fn ask_for(&mut self, change: Change) -> Result<(), String> {
        if let Change::Reset { volume, .. } | Change::DeleteVolume { volume } = &change {
            self.handles.remove(&volume.0);
        }
        self.last_op += 1;
        let mut op = [0; 16];
        op[..8].copy_from_slice(&self.last_op.to_le_bytes());
        self.make(OpId(op), change)
    }

    fn choose_change(&mut self) -> Option<Change> {
        let volumes: Vec<u64> = self.model.live.volumes.keys().copied().collect();
        let snapshots: Vec<u64> = self.model.live.snapshots.keys().copied().collect();
        self.last_id += 1;
        let id = self.last_id;
        let volume = self.random.pick(&volumes).copied().map(VolumeId);
        let snapshot = self.random.pick(&snapshots).copied().map(SnapshotId);
        let size = |state: &State, v: VolumeId| state.volumes[&v.0].len() as u64;
        let kind = self.random.below(12);
        if volumes.is_empty() || (kind == 0 && volumes.len() < 4) {
            let small = 1 + self.random.below(10);
            let is_first = volumes.is_empty() && self.wide_blocks > 0;
            let blocks = if is_first { self.wide_blocks } else { small };
            let size_bytes = blocks * BLOCK as u64;
            let volume = VolumeId(id);
            let key_check = self.key_check(volume);
            return Some(Change::CreateVolume { volume, size_bytes, key_check });
        }
        match kind {
            1..=4 if snapshots.len() < 8 => {
                let mut pairs = vec![(volume?, SnapshotId(id))];
                if self.random.one_in(3) {
                    self.last_id += 1;
                    let other = self.random.pick(&volumes).copied().map(VolumeId)?;
                    pairs.push((other, SnapshotId(self.last_id)));
                }
                Some(Change::CreateSnapshots { pairs })
            }
            5..=7 => {
                let (volume, target) = (volume?, snapshot?);
                let fits = self.model.live.snapshots[&target.0].len() as u64
                    <= size(&self.model.live, volume);
                fits.then_some(Change::Reset { volume, target })
            }
            8 if volumes.len() < 5 => {
                let source = snapshot?;
                let least = self.model.live.snapshots[&source.0].len() as u64;
                Some(Change::Fork {
                    source,
                    volume: VolumeId(id),
                    size_bytes: least + self.random.below(3) * BLOCK as u64,
                })
            }
            9 => {
                let volume = volume?;
                let size_bytes = size(&self.model.live, volume) + BLOCK as u64;
                (size_bytes < 40 * BLOCK as u64).then_some(Change::Grow { volume, size_bytes })
            }
            10 if volumes.len() > 1 => Some(Change::DeleteVolume { volume: volume? }),
            _ => Some(Change::DeleteSnapshot { snapshot: snapshot? }),
        }
    }

    /// Of some volumes of a world with keys: none, or one of those.
    fn key_check(&self, volume: VolumeId) -> Option<KeyCheck> {
        let which = volume.0 as usize % (self.keys.len() + 1);
        Some(self.keys.get(which.checked_sub(1)?)?.check())
    }

    pub(super) fn make(&mut self, op: OpId, change: Change) -> Result<(), String> {
        // It would overtake what waits; the model has it behind that.
        self.settle()?;
        self.tell(format!("{change:?}"));
        let first = self.model.len();
        let end = self.model.add(vec![Unit::Change(change.clone())]);
        let outcome = self.pool()?.change(op, change.clone());
        match outcome {
            Ok(()) => {
                self.model.complete(end);
                self.model.make_durable(end);
            }
            Err(EngineError::NoSpace) => self.model.refuse(first, end),
            Err(EngineError::Stopped(_)) if self.pool()?.health().is_err() => {
                self.unanswered = Some((op, change));
            }
            Err(error) => return Err(format!("{change:?} was answered {error:?}")),
        }
        self.take_answers()
    }

    pub(super) fn revoke(&mut self) -> Result<(), String> {
        let Some(volume) = self.volume() else {
            return Ok(());
        };
        self.tell(format!("revoke {volume}"));
        let pool = self.pool()?;
        if pool.revoke(VolumeId(volume)).is_err() {
            return Ok(());
        }
        self.stale.extend(self.handles.remove(&volume));
        for handle in &self.stale {
            let (offset, data, fua) = (0, Bytes::from_static(&[0xbb; BLOCK]), false);
            let answered = Arc::new(Mutex::new(None));
            let answer = Arc::clone(&answered);
            handle.submit(
                Io::Write { offset, data, fua },
                Box::new(move |outcome| *answer.lock().unwrap() = Some(outcome)),
            );
            let answer = answered.lock().unwrap().take();
            let stopped = self.disk.is_dead() || pool.health().is_err();
            if !stopped && answer != Some(Err(IoError::Stale)) {
                return Err(format!("a stale handle was answered {answer:?}"));
            }
        }
        self.take_answers()
    }

    /// Asks again for a change that may have been made: it is made once.
    pub(super) fn repeat(&mut self, op: OpId, change: Change) -> Result<(), String> {
        let live = &self.model.live;
        let there = |id: &VolumeId| live.volumes.contains_key(&id.0);
        let made = match &change {
            Change::CreateVolume { volume, .. } | Change::Fork { volume, .. } => there(volume),
            Change::CreateSnapshots { pairs } => live.snapshots.contains_key(&pairs[0].1.0),
            Change::DeleteVolume { volume } => !there(volume),
            Change::DeleteSnapshot { snapshot } => !live.snapshots.contains_key(&snapshot.0),
            // Made again they change nothing, as nothing was written since.
            Change::Reset { .. } | Change::Grow { .. } => false,
        };
        if !made {
            return self.make(op, change);
        }
        let outcome = self.pool()?.change(op, change.clone());
        match outcome {
            Ok(()) => Ok(()),
            Err(_) if self.disk.is_dead() => Ok(()),
            Err(error) => Err(format!("{change:?} again was answered {error:?}")),
        }
    }
}
