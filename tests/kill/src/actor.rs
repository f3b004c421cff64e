//! One caller of the API while the writers write: snapshots, resets, new and deleted disks.
//!
//! A call is noted before it is made and forgotten once it is answered, so that after a kill it is
//! known which one was under way. A disk is detached gently, after its writers paused, or under
//! them.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cloud::{Answer, Cloud, PREFIX, text};
use crate::counts::Counts;
use crate::disk::{Disk, Gate};
use crate::rng::Rng;
use crate::round::Round;
use crate::world::{Pending, Snapshot, World};

const DISKS: std::ops::RangeInclusive<usize> = 2..=5;
const SNAPSHOTS: usize = 10;

pub(crate) struct Actor {
    pub(crate) world: World,
    pub(crate) cloud: Cloud,
    pub(crate) round: Arc<Round>,
    pub(crate) rng: Rng,
    pub(crate) counts: Counts,
}

impl Actor {
    /// Until the server is killed.
    pub(crate) fn run(&mut self) -> Result<()> {
        while !self.round.is_killing() {
            self.step()?;
            std::thread::sleep(self.rng.millis(0, 20));
        }
        Ok(())
    }

    fn step(&mut self) -> Result<()> {
        let Some(disk) = self.rng.pick(&self.world.disks) else {
            return self.create_disk(None);
        };
        match self.rng.below(100) {
            0..35 if self.world.snapshots.len() < SNAPSHOTS => self.create_snapshot(&disk),
            35..50 => match self.rng.pick(&self.world.snapshots) {
                Some(snapshot) => self.delete_snapshot(&snapshot),
                None => self.create_snapshot(&disk),
            },
            50..80 => self.reset(&disk),
            80..90 if self.world.disks.len() < *DISKS.end() => {
                let snapshot = self.rng.pick(&self.world.snapshots);
                let from = snapshot.filter(|_| self.rng.percent(60));
                self.create_disk(from.as_ref())
            }
            90..100 if self.world.disks.len() > *DISKS.start() => self.delete_disk(&disk),
            _ => Ok(()),
        }
    }

    /// The reply to a call that may be refused only for lack of space. None: refused, or cut.
    fn answered(&mut self, answer: Answer, needs_space: bool) -> Result<Option<Value>> {
        match answer {
            Answer::Done(reply) => {
                self.world.pending = None;
                Ok(Some(reply))
            }
            Answer::Refused(_) if needs_space && self.round.is_small() => {
                self.world.pending = None;
                self.counts.calls_refused += 1;
                Ok(None)
            }
            Answer::Gone(_) if self.round.is_killing() => {
                self.counts.calls_cut += u64::from(self.world.pending.is_some());
                Ok(None)
            }
            Answer::Refused(reason) | Answer::Gone(reason) => bail!("{reason}"),
        }
    }

    pub(crate) fn create_disk(&mut self, from: Option<&Snapshot>) -> Result<()> {
        let number = self.round.numbers.next();
        let name = format!("{PREFIX}d{number}");
        let image = from.map_or_else(|| self.world.shape.empty(), |from| from.image.clone());
        let pending = Pending::CreateDisk { number, name: name.clone(), image: image.clone() };
        self.world.pending = Some(pending);
        let answer = self.cloud.create_disk(&name, from.map(|from| from.id.as_str()));
        let Some(reply) = self.answered(answer, true)? else { return Ok(()) };
        let disk = Disk::new(number, name, text(&reply["DiskId"])?, image);
        self.world.disks.push(Arc::clone(&disk));
        self.counts.disks += 1;
        // Until it is there to be attached; a kill may come first.
        if let Err(error) = self.cloud.await_disk(&disk.name, "Available") {
            return if self.round.is_killing() { Ok(()) } else { Err(error) };
        }
        self.open(&disk)
    }

    pub(crate) fn create_snapshot(&mut self, disk: &Arc<Disk>) -> Result<()> {
        let name = format!("{PREFIX}s{}", self.round.numbers.next());
        let floors = disk.ledger().floors(0..self.world.shape.blocks());
        self.world.pending = Some(Pending::CreateSnapshot {
            name: name.clone(),
            of: Arc::clone(disk),
            floors: floors.clone(),
        });
        let answer = self.cloud.create_snapshot(&disk.id, &name);
        let Some(reply) = self.answered(answer, true)? else { return Ok(()) };
        let image = disk.ledger().since(0, &floors);
        let (id, of) = (text(&reply["SnapshotId"])?, disk.number);
        self.world.snapshots.push(Snapshot { name, id, of, image, checked: false });
        self.counts.snapshots += 1;
        Ok(())
    }

    pub(crate) fn delete_snapshot(&mut self, snapshot: &Snapshot) -> Result<()> {
        self.world.pending = Some(Pending::DeleteSnapshot { name: snapshot.name.clone() });
        let answer = self.cloud.delete_snapshot(&snapshot.id);
        if self.answered(answer, false)?.is_some() {
            self.world.snapshots.retain(|each| each.id != snapshot.id);
            self.counts.snapshots_deleted += 1;
        }
        Ok(())
    }

    fn reset(&mut self, disk: &Arc<Disk>) -> Result<()> {
        let of_disk: Vec<Snapshot> =
            self.world.snapshots.iter().filter(|each| each.of == disk.number).cloned().collect();
        let Some(target) = self.rng.pick(&of_disk) else { return Ok(()) };
        if !self.close(disk)? {
            return Ok(());
        }
        let (number, image) = (disk.number, target.image.clone());
        self.world.pending = Some(Pending::Reset { number, image });
        let wanted = [("DiskId", disk.id.as_str()), ("SnapshotId", target.id.as_str())];
        let answer = self.cloud.ask("ResetDisk", &wanted);
        if self.answered(answer, false)?.is_none() {
            return Ok(());
        }
        *disk.ledger() = crate::ledger::Ledger::new(target.image);
        self.counts.resets += 1;
        if let Err(error) = self.cloud.await_disk(&disk.name, "Available") {
            return if self.round.is_killing() { Ok(()) } else { Err(error) };
        }
        self.open(disk)
    }

    pub(crate) fn delete_disk(&mut self, disk: &Arc<Disk>) -> Result<()> {
        if !self.close(disk)? {
            return Ok(());
        }
        self.world.pending = Some(Pending::DeleteDisk { name: disk.name.clone() });
        let answer = self.cloud.ask("DeleteDisk", &[("DiskId", disk.id.as_str())]);
        if self.answered(answer, false)?.is_some() {
            self.world.disks.retain(|each| each.number != disk.number);
            self.counts.disks_deleted += 1;
        }
        Ok(())
    }

    /// Detaches a disk, and waits until none of its writers uses it. False: the kill came first.
    fn close(&mut self, disk: &Disk) -> Result<bool> {
        let gently = self.rng.percent(50);
        if gently {
            disk.set_gate(Gate::Shut);
            disk.await_parked(&self.round)?;
        }
        if disk.gate() == Gate::Open {
            disk.set_gate(Gate::Closing);
        }
        let wanted = [("DiskId", disk.id.as_str()), ("InstanceId", self.world.instance.as_str())];
        let answer = self.cloud.ask("DetachDisk", &wanted);
        if self.answered(answer, false).context("detaching")?.is_none() {
            return Ok(false);
        }
        if let Err(error) = self.cloud.await_disk(&disk.name, "Available") {
            return if self.round.is_killing() { Ok(false) } else { Err(error) };
        }
        disk.set_gate(Gate::Shut);
        disk.await_parked(&self.round)?;
        Ok(!self.round.is_killing())
    }

    fn open(&mut self, disk: &Disk) -> Result<()> {
        let wanted = [("DiskId", disk.id.as_str()), ("InstanceId", self.world.instance.as_str())];
        let answer = self.cloud.ask("AttachDisk", &wanted);
        if self.answered(answer, false)?.is_some() {
            disk.set_gate(Gate::Open);
        }
        Ok(())
    }
}
