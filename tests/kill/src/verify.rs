//! After a restart: everything that was answered is there, and nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use ebb_nbd::client::Client;

use crate::cloud::{Answer, Cloud, Listed, PREFIX, text};
use crate::counts::Counts;
use crate::disk::{Disk, Numbers};
use crate::ledger::{BLOCK, Candidates, Event, Ledger, exactly, judge};
use crate::rng::Rng;
use crate::world::{Pending, Snapshot, World};

/// Of the snapshots that were read before, so many are read again after each kill.
const AGAIN: usize = 2;

pub(crate) struct Verifier<'a> {
    pub(crate) world: &'a mut World,
    pub(crate) cloud: &'a Cloud,
    pub(crate) nbd: &'a str,
    pub(crate) numbers: &'a Numbers,
    pub(crate) rng: Rng,
    pub(crate) counts: &'a mut Counts,
}

impl Verifier<'_> {
    /// Checks everything. What is found, where it could be one thing or another, is from here on
    /// what must be there: having been seen, it may not go again.
    pub(crate) fn run(&mut self, all_snapshots: bool) -> Result<()> {
        let (mut disks, mut snapshots) = self.cloud.settled()?;
        let pending = self.world.pending.take();
        self.lists(pending.as_ref(), &mut disks, &mut snapshots)?;
        for (name, listed) in &disks {
            if listed.status == "Available" {
                let wanted =
                    [("DiskId", listed.id.as_str()), ("InstanceId", self.world.instance.as_str())];
                self.cloud.call("AttachDisk", &wanted).with_context(|| format!("disk {name}"))?;
            }
        }
        for disk in self.world.disks.clone() {
            self.disk(&disk, pending.as_ref())
                .with_context(|| format!("disk {} ({})", disk.id, disk.name))?;
        }
        let count = self.world.snapshots.len();
        for n in 0..count {
            if !all_snapshots && self.world.snapshots[n].checked && self.rng.below(count) >= AGAIN {
                continue;
            }
            let (id, name) = (&self.world.snapshots[n].id, &self.world.snapshots[n].name);
            let what = format!("snapshot {id} ({name})");
            self.snapshot(n).context(what)?;
        }
        Ok(())
    }

    /// Everything answered is listed, nothing deleted is, and what was pending is decided.
    fn lists(
        &mut self,
        pending: Option<&Pending>,
        disks: &mut BTreeMap<String, Listed>,
        snapshots: &mut BTreeMap<String, Listed>,
    ) -> Result<()> {
        match pending {
            Some(Pending::CreateDisk { number, name, image }) => {
                if let Some(found) = disks.get(name) {
                    let disk = Disk::new(*number, name.clone(), found.id.clone(), image.clone());
                    self.world.disks.push(disk);
                }
            }
            Some(Pending::CreateSnapshot { name, of, floors }) => {
                if let Some(found) = snapshots.get(name).filter(|s| s.status == "accomplished") {
                    let (image, id) = (of.ledger().since(0, floors), found.id.clone());
                    let (name, of) = (name.clone(), of.number);
                    self.world.snapshots.push(Snapshot { name, id, of, image, checked: false });
                } else if let Some(failed) = snapshots.remove(name) {
                    // Allowed: it was not answered. It goes, so that it is not met again.
                    self.delete_snapshot(&failed.id)?;
                }
            }
            Some(Pending::DeleteDisk { name }) if !disks.contains_key(name) => {
                self.world.disks.retain(|disk| disk.name != *name);
            }
            Some(Pending::DeleteSnapshot { name }) if !snapshots.contains_key(name) => {
                self.world.snapshots.retain(|snapshot| snapshot.name != *name);
            }
            _ => {}
        }
        let wanted = self.world.disks.iter().map(|disk| (&disk.name, &disk.id));
        same("disk", wanted, disks)?;
        let wanted = self.world.snapshots.iter().map(|each| (&each.name, &each.id));
        same("snapshot", wanted, snapshots)?;
        for snapshot in &self.world.snapshots {
            let status = &snapshots[&snapshot.name].status;
            ensure!(status == "accomplished", "snapshot {} is {status}", snapshot.id);
        }
        Ok(())
    }

    fn disk(&mut self, disk: &Arc<Disk>, pending: Option<&Pending>) -> Result<()> {
        let data = self.read(&disk.id)?;
        let allowed = disk.ledger().after_crash();
        let found = match (judge(0, &data, &allowed), pending) {
            (Ok(found), _) => {
                self.counts.unflushed_lost += disk.ledger().lost_unflushed(&found) as u64;
                found
            }
            (Err(before), Some(Pending::Reset { number, image })) if *number == disk.number => {
                let after = judge(0, &data, image);
                after.with_context(|| format!("as before the unanswered reset: {before:#}"))?
            }
            (Err(error), _) => return Err(error),
        };
        *disk.ledger() = Ledger::new(exactly(&found));
        Ok(())
    }

    /// Reads a snapshot on a disk made of it.
    fn snapshot(&mut self, n: usize) -> Result<()> {
        let Snapshot { id, image, .. } = self.world.snapshots[n].clone();
        let name = format!("{PREFIX}v{}", self.numbers.next());
        let disk = match self.cloud.create_disk(&name, Some(&id)) {
            Answer::Done(reply) => text(&reply["DiskId"])?,
            Answer::Refused(why) | Answer::Gone(why) => bail!("a disk of it: {why}"),
        };
        self.cloud.await_disk(&name, "Available")?;
        let instance = self.world.instance.clone();
        let both = [("DiskId", disk.as_str()), ("InstanceId", instance.as_str())];
        self.cloud.call("AttachDisk", &both)?;
        let found = self.judged(&disk, &image)?;
        self.cloud.call("DetachDisk", &both)?;
        self.cloud.await_disk(&name, "Available")?;
        self.cloud.call("DeleteDisk", &both[..1])?;
        let snapshot = &mut self.world.snapshots[n];
        (snapshot.image, snapshot.checked) = (exactly(&found), true);
        self.counts.snapshots_checked += 1;
        Ok(())
    }

    fn judged(&mut self, disk: &str, image: &[Candidates]) -> Result<Vec<Event>> {
        judge(0, &self.read(disk)?, image)
    }

    /// Every block that is used.
    fn read(&mut self, disk: &str) -> Result<Vec<u8>> {
        let shape = self.world.shape;
        let mut data = vec![0; shape.blocks() * BLOCK];
        let mut client = Client::connect_tcp(self.nbd, disk)?;
        for (writer, part) in data.chunks_mut(shape.places * BLOCK).enumerate() {
            client.read(shape.offset(writer * shape.places), part)?;
        }
        client.disconnect()?;
        self.counts.blocks_checked += shape.blocks() as u64;
        Ok(data)
    }

    fn delete_snapshot(&self, id: &str) -> Result<()> {
        match self.cloud.delete_snapshot(id) {
            Answer::Done(_) => Ok(()),
            Answer::Refused(why) | Answer::Gone(why) => bail!("{why}"),
        }
    }
}

fn same<'a>(
    kind: &str,
    wanted: impl Iterator<Item = (&'a String, &'a String)>,
    found: &BTreeMap<String, Listed>,
) -> Result<()> {
    let mut more: BTreeMap<&String, &Listed> = found.iter().collect();
    for (name, id) in wanted {
        match more.remove(name) {
            Some(listed) if listed.id == *id => {}
            Some(listed) => bail!("{kind} {name} was {id} and is {}", listed.id),
            None => bail!("{kind} {id} ({name}) is lost"),
        }
    }
    match more.first_key_value() {
        None => Ok(()),
        Some((name, listed)) => bail!("{kind} {} ({name}) was deleted, and is back", listed.id),
    }
}
