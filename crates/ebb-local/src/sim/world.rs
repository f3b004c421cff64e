//! One seed's world: what is asked of the pool, and what happens to its disk.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use ebb_volume::{EngineError, OpId, SnapshotId, Volume, VolumeId};

use super::disk::{Loss, SimDisk};
use super::model::{Model, State, Unit, discard_units, write_units, zero_units};
use super::{BY_HAND, Io, IoError, Random};
use crate::layout::{BLOCK, EXTENTS_START, Geometry, SLOTS};
use crate::planted::{Bug, Planted};
use crate::pool::{CheckpointStep, Pool, Setup, Vitals};
use crate::record::Change;
use crate::storage::Storage;
use crate::volume::Handle;

type SimPool = Pool<SimDisk>;
type Answers = Arc<Mutex<Vec<(usize, Result<Bytes, IoError>)>>>;

/// A request that is not answered yet.
#[derive(Clone, Copy)]
struct Asked {
    first: usize,
    end: usize,
    durable: bool,
    /// It changes nothing itself: what must be durable when it is answered.
    covers: Option<usize>,
}

pub(super) struct World {
    random: Random,
    planted: Planted,
    pub(super) disk: SimDisk,
    geometry: Geometry,
    cache_bytes: u64,
    pool: Option<Arc<SimPool>>,
    handles: BTreeMap<u64, Handle<SimDisk>>,
    stale: Vec<Handle<SimDisk>>,
    model: Model,
    asked: BTreeMap<usize, Asked>,
    answers: Answers,
    last_id: u64,
    last_op: u64,
    last_request: usize,
    /// A change whose answer a crash took.
    unanswered: Option<(OpId, Change)>,
    vitals: Option<Vitals>,
    /// What was done, for whoever reads a failure.
    pub(super) story: Vec<String>,
}

/// Runs a seed. The digest of all that was done to the disk, or what went wrong.
pub(super) fn simulate(seed: u64, steps: usize, planted: Planted) -> Result<u32, String> {
    let mut world = World::new(seed, planted);
    let outcome = world.live(steps);
    outcome.map(|()| world.disk.trace()).map_err(|what| {
        let story = world.story.split_off(world.story.len().saturating_sub(25));
        format!("seed {seed}: {what}\n  {}", story.join("\n  "))
    })
}

impl World {
    pub(super) fn new(seed: u64, planted: Planted) -> Self {
        let mut random = Random::new(seed);
        let disk = SimDisk::default();
        if random.one_in(3) {
            disk.set_short(Random::new(seed + 1));
        }
        let segment_blocks = 12 + random.below(30) as u32;
        // Often so few that every look-up reads pages.
        let cache_bytes = [0, 8, 1000][random.below(3) as usize] * BLOCK as u64;
        Self {
            random,
            planted,
            disk,
            geometry: Geometry { segment_blocks },
            cache_bytes,
            pool: None,
            handles: BTreeMap::new(),
            stale: Vec::new(),
            model: Model::default(),
            asked: BTreeMap::new(),
            answers: Answers::default(),
            last_id: 0,
            last_op: 0,
            last_request: 0,
            unanswered: None,
            vitals: None,
            story: Vec::new(),
        }
    }

    fn live(&mut self, steps: usize) -> Result<(), String> {
        self.reopen()?;
        for _ in 0..steps {
            self.step()?;
            self.take_answers()?;
            // It may fail again while a change is repeated that the crash before took.
            while self.disk.is_dead() || self.pool()?.health().is_err() {
                self.crash_and_reopen()?;
            }
        }
        self.check_live()?;
        self.crash_and_reopen()
    }

    fn tell(&mut self, what: String) {
        self.story.push(what);
    }

    fn pool(&self) -> Result<Arc<SimPool>, String> {
        self.pool.clone().ok_or_else(|| "no pool".into())
    }

    fn step(&mut self) -> Result<(), String> {
        if self.random.one_in(40) {
            let after = self.random.below(12);
            self.tell(format!("the power will fail after {after}"));
            self.disk.set_fuse(after);
        }
        match self.random.below(100) {
            0..30 => self.write(),
            30..38 => self.zero_or_discard(),
            38..44 => self.flush(),
            44..62 => self.take_steps(),
            62..72 => self.check_live()?,
            72..88 => self.change_versions()?,
            88..91 => self.revoke()?,
            91..94 => self.damage()?,
            94..97 => self.fail_something(),
            97..99 => {
                self.checkpoint()?;
                if self.random.one_in(2) {
                    self.crash_and_reopen()?;
                }
            }
            _ => self.crash_and_reopen()?,
        }
        Ok(())
    }

    // Requests.

    /// A volume, opened if it is not.
    fn volume(&mut self) -> Option<u64> {
        let volumes: Vec<u64> = self.model.live.volumes.keys().copied().collect();
        let volume = *self.random.pick(&volumes)?;
        let pool = self.pool().ok()?;
        if let Entry::Vacant(closed) = self.handles.entry(volume) {
            let generation = pool.open_handle(VolumeId(volume)).ok()?;
            closed.insert(Handle::new(&pool, VolumeId(volume), generation));
        }
        Some(volume)
    }

    /// A volume and a range in it, of blocks or of bytes.
    fn range(&mut self) -> Option<(u64, usize, usize)> {
        let volume = self.volume()?;
        let size = self.model.live.volumes[&volume].len();
        let offset = self.random.below(size as u64) as usize;
        let length = 1 + self.random.below((size - offset).min(6 * BLOCK) as u64) as usize;
        if self.random.one_in(3) {
            return Some((volume, offset, length));
        }
        let offset = offset / BLOCK * BLOCK;
        let length = length.next_multiple_of(BLOCK).min(size - offset);
        Some((volume, offset, length))
    }

    fn submit(&mut self, volume: u64, io: Io, units: Vec<Unit>, durable: bool) {
        // A discard of no whole block with FUA is a flush too.
        let covers = units.is_empty().then(|| self.model.completed());
        let first = self.model.len();
        let end = self.model.add(units);
        let asked = Asked { first, end, durable, covers };
        self.last_request += 1;
        let number = self.last_request;
        self.asked.insert(number, asked);
        let answers = Arc::clone(&self.answers);
        if let Some(handle) = self.handles.get(&volume) {
            handle.submit(
                io,
                Box::new(move |outcome| answers.lock().unwrap().push((number, outcome))),
            );
        }
    }

    fn write(&mut self) {
        let Some((volume, offset, length)) = self.range() else {
            return;
        };
        let stamp = self.random.next();
        let byte = |i: usize| (stamp >> (i % 8 * 8)) as u8 ^ (i / BLOCK) as u8 | 1;
        let data: Vec<u8> = (0..length).map(byte).collect();
        let fua = self.random.one_in(6);
        self.tell(format!("write {volume}: {offset}+{length} fua={fua}"));
        let units = write_units(volume, offset, &data);
        let (offset, data) = (offset as u64, data.into());
        self.submit(volume, Io::Write { offset, data, fua }, units, fua);
    }

    fn zero_or_discard(&mut self) {
        let Some((volume, at, many)) = self.range() else {
            return;
        };
        let fua = self.random.one_in(6);
        let (offset, length) = (at as u64, many as u64);
        if self.random.one_in(2) {
            self.tell(format!("zero {volume}: {at}+{many} fua={fua}"));
            let io = Io::Zero { offset, length, fua };
            self.submit(volume, io, zero_units(volume, at, many), fua);
        } else {
            self.tell(format!("discard {volume}: {at}+{many} fua={fua}"));
            let io = Io::Discard { offset, length, fua };
            self.submit(volume, io, discard_units(volume, at, many), fua);
        }
    }

    fn flush(&mut self) {
        if let Some(volume) = self.volume() {
            self.tell("flush".into());
            self.submit(volume, Io::Flush, Vec::new(), true);
        }
    }

    fn take_answers(&mut self) -> Result<(), String> {
        let answers = std::mem::take(&mut *self.answers.lock().unwrap());
        for (number, outcome) in answers {
            let Some(asked) = self.asked.remove(&number) else {
                return Err(format!("request {number} was answered twice"));
            };
            match outcome {
                Ok(_) => {
                    if asked.first < asked.end {
                        self.model.complete(asked.end);
                    }
                    if asked.durable {
                        self.model.make_durable(asked.covers.unwrap_or(asked.end));
                    }
                }
                Err(IoError::NoSpace) => self.model.refuse(asked.first, asked.end),
                // A failed read before it, or a pool that stopped: then all is open.
                Err(IoError::Failed) => {
                    if self.pool()?.health().is_ok() {
                        self.model.refuse(asked.first, asked.end);
                    }
                }
                Err(error) => return Err(format!("a request was answered {error:?}")),
            }
        }
        Ok(())
    }

    fn take_steps(&mut self) {
        let Ok(pool) = self.pool() else {
            return;
        };
        for _ in 0..=self.random.below(3) {
            match self.random.below(6) {
                0 | 1 => drop(pool.write_step()),
                2 => drop(pool.sync_step()),
                3 => drop(pool.stock_step()),
                _ => self.checkpoint_step(&pool),
            }
        }
    }

    fn checkpoint_step(&mut self, pool: &SimPool) {
        let step = pool.checkpoint_step();
        self.tell(format!("checkpoint: {step:?}"));
    }

    /// Goes on with a checkpoint until it is finished, as far as there is space.
    fn checkpoint(&mut self) -> Result<(), String> {
        let pool = self.pool()?;
        let crash = self.random.one_in(2);
        for _ in 0..200 {
            // Often between two of the few writes and syncs of its last step.
            if crash && self.random.one_in(6) {
                self.disk.set_fuse(self.random.below(4));
            }
            match pool.checkpoint_step() {
                CheckpointStep::More => {}
                CheckpointStep::GaveUp => return Err("a checkpoint was given up".into()),
                CheckpointStep::Finished if !self.same_slots() => {
                    return Err("a checkpoint is finished and not in both slots".into());
                }
                step => {
                    self.tell(format!("checkpoint: {step:?}"));
                    break;
                }
            }
        }
        self.take_answers()
    }

    /// Writes all that waits.
    fn settle(&mut self) -> Result<(), String> {
        let pool = self.pool()?;
        for _ in 0..1000 {
            pool.write_all();
            if !pool.stock_step() {
                break;
            }
        }
        pool.write_all();
        self.take_answers()
    }

    fn check_live(&mut self) -> Result<(), String> {
        self.settle()?;
        if self.disk.is_dead() || self.pool()?.health().is_err() {
            return Ok(());
        }
        self.model.compare(&self.image()?)
    }

    /// All volumes and snapshots as the pool has them.
    fn image(&self) -> Result<State, String> {
        let pool = self.pool()?;
        let mut image = State::default();
        let inventory = pool.inventory().map_err(|error| error.to_string())?;
        for info in inventory.volumes {
            let bytes = pool.volume_bytes(info.id);
            let bytes = bytes.map_err(|error| format!("{:?}: {error}", info.id))?;
            image.volumes.insert(info.id.0, bytes);
        }
        for info in inventory.snapshots {
            let bytes = pool.snapshot_bytes(info.id);
            let bytes = bytes.map_err(|error| format!("{:?}: {error}", info.id))?;
            image.snapshots.insert(info.id.0, bytes.into());
        }
        Ok(image)
    }

    // Changes of versions.

    fn change_versions(&mut self) -> Result<(), String> {
        let Some(change) = self.choose_change() else {
            return Ok(());
        };
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
            let size_bytes = (1 + self.random.below(10)) * BLOCK as u64;
            let volume = VolumeId(id);
            return Some(Change::CreateVolume { volume, size_bytes });
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

    fn make(&mut self, op: OpId, change: Change) -> Result<(), String> {
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

    fn revoke(&mut self) -> Result<(), String> {
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

    // The disk.

    fn damage(&mut self) -> Result<(), String> {
        self.settle()?;
        if self.disk.is_dead() || self.pool()?.health().is_err() {
            return Ok(());
        }
        self.model.compare(&self.image()?)?;
        let end = self.disk.len().unwrap_or(0);
        let blocks: Vec<u64> = (EXTENTS_START..end).step_by(BLOCK).collect();
        let (pages, others): (Vec<u64>, Vec<u64>) =
            blocks.into_iter().partition(|at| self.disk.block(*at).starts_with(b"EBBTPAG"));
        for _ in 0..8 {
            let mut any = || {
                let of = if self.random.one_in(2) { &pages } else { &others };
                self.random.pick(of).copied()
            };
            let (Some(offset), Some(other)) = (any(), any()) else {
                continue;
            };
            let before = self.disk.block(offset);
            let bit = self.random.below(8 * BLOCK as u64);
            match self.random.below(4) {
                // A write that was lost, and one that went elsewhere.
                0 => self.disk.replace(offset, &[0; BLOCK]),
                1 => self.disk.replace(offset, &self.disk.block(other)),
                _ => self.disk.flip(offset + bit / 8, (bit % 8) as u32),
            }
            self.check_damaged()?;
            self.disk.replace(offset, &before);
        }
        Ok(())
    }

    /// What was written, or an error: never other bytes.
    fn check_damaged(&self) -> Result<(), String> {
        let pool = self.pool()?;
        for (volume, bytes) in &self.model.live.volumes {
            match pool.volume_bytes(VolumeId(*volume)) {
                Ok(found) if found != *bytes => {
                    return Err(format!("volume {volume}: damaged bytes were returned"));
                }
                Ok(_) | Err(IoError::Corrupt) => {}
                Err(error) => return Err(format!("damage gave {error:?}")),
            }
        }
        Ok(())
    }

    fn fail_something(&mut self) {
        match self.random.below(3) {
            0 => {
                self.tell("the next sync will fail".into());
                self.disk.fail_next_sync();
            }
            1 => {
                self.tell("the next write will fail".into());
                self.disk.fail_next_write();
            }
            _ => {
                let length = self.disk.len().unwrap_or(0);
                let more = self.random.below(4) * self.geometry.segment_bytes();
                self.tell("the disk is full".into());
                self.disk.set_capacity(Some(length + more));
            }
        }
    }

    fn crash_and_reopen(&mut self) -> Result<(), String> {
        let loss = match self.random.below(6) {
            0 => Loss::All,
            1 | 2 => Loss::Some,
            3 | 4 => Loss::One,
            _ => Loss::None,
        };
        self.crash(loss);
        self.reopen()
    }

    fn crash(&mut self, loss: Loss) {
        self.tell(format!("crash, loss {loss:?}"));
        self.handles.clear();
        self.stale.clear();
        self.asked.clear();
        if let (Some(pool), Some(vitals)) = (self.pool.take(), &mut self.vitals) {
            vitals.used(pool.vitals());
        }
        self.answers.lock().unwrap().clear();
        self.disk.crash(&mut self.random, loss);
        self.disk.set_capacity(None);
        if self.random.one_in(3) && self.slots_agree() {
            let slot = SLOTS[self.random.below(2) as usize];
            self.tell(format!("a bit flips in the superblock at {slot}"));
            self.disk.flip(slot + 20, 1);
        }
    }

    /// Whether losing one of the slots must not matter. They differ only after a crash between the
    /// two; a pool that never writes the second one is not excused by that.
    fn slots_agree(&self) -> bool {
        self.planted.bug == Some(Bug::SkipSecondSlot) || self.same_slots()
    }

    fn same_slots(&self) -> bool {
        let mut slots = [[0; BLOCK]; 2];
        for (slot, offset) in slots.iter_mut().zip(SLOTS) {
            if self.disk.read_at(offset, slot).is_err() {
                return false;
            }
        }
        slots[0] == slots[1]
    }

    fn reopen(&mut self) -> Result<(), String> {
        let pool = loop {
            if self.random.one_in(4) {
                self.disk.set_fuse(self.random.below(14));
            }
            match Pool::open(self.disk.clone(), self.setup()) {
                Ok(pool) => break pool,
                Err(_) if self.disk.is_dead() => self.crash(Loss::Some),
                Err(error) => return Err(format!("the pool refused to open: {error}")),
            }
        };
        let vitals = pool.vitals();
        if let Some(before) = self.vitals
            && !vitals.grew_since(before)
        {
            return Err(format!("{vitals:?} after {before:?}"));
        }
        let end = self.geometry.offset(vitals.written_extents, 0);
        if !self.disk.was_written(EXTENTS_START, end) {
            return Err("an extent counts as written and is not".into());
        }
        self.vitals = Some(vitals);
        self.pool = Some(Arc::new(pool));
        self.tell("opened".into());
        let image = self.image();
        if self.disk.is_dead() {
            return Ok(());
        }
        self.model.recover(image?)?;
        match self.unanswered.take() {
            Some((op, change)) => self.repeat(op, change),
            None => Ok(()),
        }
    }

    /// Asks again for a change that may have been made: it is made once.
    fn repeat(&mut self, op: OpId, change: Change) -> Result<(), String> {
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

    fn setup(&self) -> Setup {
        Setup {
            pool_id: [7; 16],
            geometry: self.geometry,
            warm_segments: 1,
            max_bytes: None,
            cache_bytes: self.cache_bytes,
            checkpoint_when: BY_HAND,
            reaper: None,
            planted: self.planted,
        }
    }
}
