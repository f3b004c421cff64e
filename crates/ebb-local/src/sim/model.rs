//! What the pool should hold: plain bytes, changed by units in the order of the log.
//!
//! A unit is what a crash leaves whole: a block of a write, a run of a zero, a change of versions.
//! After a crash the image has to be what some number of units makes, at least those that were
//! durable.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::layout::BLOCK;
use crate::record::Change;

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct State {
    pub(super) volumes: BTreeMap<u64, Vec<u8>>,
    pub(super) snapshots: BTreeMap<u64, Rc<[u8]>>,
}

#[derive(Debug, Clone)]
pub(super) enum Unit {
    Bytes {
        volume: u64,
        offset: usize,
        data: Vec<u8>,
    },
    Change(Change),
    /// One that was refused.
    Void,
}

#[derive(Clone, Default)]
pub(super) struct Model {
    base: State,
    units: Vec<Unit>,
    /// After all units.
    pub(super) live: State,
    /// So many units survive any crash.
    durable: usize,
    /// So many units have been answered.
    completed: usize,
}

impl State {
    fn apply(&mut self, unit: &Unit) {
        match unit {
            Unit::Bytes { volume, offset, data } => {
                if let Some(bytes) = self.volumes.get_mut(volume) {
                    bytes[*offset..*offset + data.len()].copy_from_slice(data);
                }
            }
            Unit::Change(change) => self.change(change),
            Unit::Void => {}
        }
    }

    fn change(&mut self, change: &Change) {
        match change {
            Change::CreateVolume { volume, size_bytes, .. } => {
                let bytes = vec![0; *size_bytes as usize];
                self.volumes.insert(volume.0, bytes);
            }
            Change::Fork { source, volume, size_bytes } => {
                let mut bytes = self.snapshots[&source.0].to_vec();
                bytes.resize(*size_bytes as usize, 0);
                self.volumes.insert(volume.0, bytes);
            }
            Change::CreateSnapshots { pairs } => {
                for (volume, snapshot) in pairs {
                    let bytes = self.volumes[&volume.0].clone().into();
                    self.snapshots.insert(snapshot.0, bytes);
                }
            }
            Change::Reset { volume, target } => {
                let mut bytes = self.snapshots[&target.0].to_vec();
                bytes.resize(self.volumes[&volume.0].len(), 0);
                self.volumes.insert(volume.0, bytes);
            }
            Change::Grow { volume, size_bytes } => {
                if let Some(bytes) = self.volumes.get_mut(&volume.0) {
                    bytes.resize(*size_bytes as usize, 0);
                }
            }
            Change::DeleteVolume { volume } => {
                self.volumes.remove(&volume.0);
            }
            Change::DeleteSnapshot { snapshot } => {
                self.snapshots.remove(&snapshot.0);
            }
        }
    }

    /// Where two states first differ.
    fn difference(&self, other: &Self) -> Option<String> {
        if self.volumes.keys().ne(other.volumes.keys()) {
            let (a, b) = (self.volumes.keys(), other.volumes.keys());
            return Some(format!("volumes {a:?} and {b:?}"));
        }
        if self.snapshots.keys().ne(other.snapshots.keys()) {
            let (a, b) = (self.snapshots.keys(), other.snapshots.keys());
            return Some(format!("snapshots {a:?} and {b:?}"));
        }
        let volumes = self.volumes.iter().zip(other.volumes.values());
        let volumes = volumes.map(|((id, a), b)| ("volume", id, &a[..], &b[..]));
        let snapshots = self.snapshots.iter().zip(other.snapshots.values());
        let snapshots = snapshots.map(|((id, a), b)| ("snapshot", id, &a[..], &b[..]));
        volumes.chain(snapshots).find_map(|(kind, id, a, b)| {
            if a == b {
                return None;
            }
            let at = a.iter().zip(b).position(|(a, b)| a != b);
            Some(format!("{kind} {id} at byte {at:?}"))
        })
    }
}

impl Model {
    /// Adds units, and says how many there are then.
    pub(super) fn add(&mut self, units: Vec<Unit>) -> usize {
        for unit in units {
            self.live.apply(&unit);
            self.units.push(unit);
        }
        self.units.len()
    }

    pub(super) fn len(&self) -> usize {
        self.units.len()
    }

    /// Takes units back that were refused: nothing of them was done.
    pub(super) fn refuse(&mut self, first: usize, end: usize) {
        self.units[first..end].fill(Unit::Void);
        self.live = self.base.clone();
        for unit in &self.units {
            self.live.apply(unit);
        }
    }

    pub(super) fn complete(&mut self, end: usize) {
        self.completed = self.completed.max(end);
    }

    pub(super) fn completed(&self) -> usize {
        self.completed
    }

    pub(super) fn make_durable(&mut self, end: usize) {
        self.durable = self.durable.max(end);
    }

    /// Finds what is left after a crash, and goes on from there.
    pub(super) fn recover(&mut self, image: State) -> Result<(), String> {
        let mut state = self.base.clone();
        let mut closest = None;
        for n in 0..=self.units.len() {
            if n >= self.durable {
                match state.difference(&image) {
                    None => {
                        *self = Self { base: image.clone(), live: image, ..Self::default() };
                        return Ok(());
                    }
                    Some(difference) => {
                        closest.get_or_insert(difference);
                    }
                }
            }
            if let Some(unit) = self.units.get(n) {
                state.apply(unit);
            }
        }
        Err(format!(
            "no prefix of {} units, {} of them durable: at the durable one {closest:?} differs",
            self.units.len(),
            self.durable
        ))
    }

    /// Compares the image of a pool that has written everything.
    pub(super) fn compare(&self, image: &State) -> Result<(), String> {
        match self.live.difference(image) {
            None => Ok(()),
            Some(difference) => Err(format!("not what was written: {difference}")),
        }
    }
}

/// The blocks of a write.
pub(super) fn write_units(volume: u64, offset: usize, data: &[u8]) -> Vec<Unit> {
    let mut units = Vec::new();
    let mut at = 0;
    while at < data.len() {
        let piece = (BLOCK - (offset + at) % BLOCK).min(data.len() - at);
        units.push(Unit::Bytes {
            volume,
            offset: offset + at,
            data: data[at..at + piece].to_vec(),
        });
        at += piece;
    }
    units
}

/// The ends of a zero that are blocks in part, then all between them.
pub(super) fn zero_units(volume: u64, offset: usize, length: usize) -> Vec<Unit> {
    let end = offset + length;
    let (first, last) = (offset.next_multiple_of(BLOCK), end / BLOCK * BLOCK);
    let parts = match first > last {
        true => vec![(offset, end)],
        false => vec![(offset, first), (last, end), (first, last)],
    };
    let zero = |(begin, end): (usize, usize)| Unit::Bytes {
        volume,
        offset: begin,
        data: vec![0; end - begin],
    };
    let some = parts.into_iter().filter(|(begin, end)| begin < end);
    some.map(zero).collect()
}

/// The whole blocks of a discard.
pub(super) fn discard_units(volume: u64, offset: usize, length: usize) -> Vec<Unit> {
    let end = (offset + length) / BLOCK * BLOCK;
    let begin = offset.next_multiple_of(BLOCK);
    match begin < end {
        true => zero_units(volume, begin, end - begin),
        false => Vec::new(),
    }
}
