//! The catalog as bytes: what a checkpoint writes of it.
//!
//! ```text
//!   counts | versions 56 B | volumes 80 B | snapshots 40 B | operations 24 B
//! ```
//! Of a map only the root is here: the pages below it were written before. Memtables are not: they
//! are merged, or come back by replay.

use ebb_volume::{OpId, SnapshotId, VolumeId};
use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Catalog, SnapshotRecord, Version, VersionId, VolumeRecord};
use crate::layout::Address;
use crate::map::page::PageRef;
use crate::map::{Map, Merged};

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Counts {
    epoch: U32,
    zero: U32,
    last_version: U64,
    versions: U64,
    volumes: U64,
    snapshots: U64,
    operations: U64,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct VersionRow {
    id: U64,
    /// 0: none.
    parent: U64,
    lineage: U64,
    is_frozen: U32,
    epoch: U32,
    /// 0: no page.
    root_address: U64,
    root_birth: U32,
    root_crc: U32,
    is_ghost: U32,
    zero: U32,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct VolumeRow {
    id: U64,
    head: U64,
    size_bytes: U64,
    was_reset: U32,
    was_grown: U32,
    made_by: [u8; 16],
    reset_by: [u8; 16],
    grown_by: [u8; 16],
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct SnapshotRow {
    id: U64,
    version: U64,
    size_bytes: U64,
    made_by: [u8; 16],
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct OperationRow {
    op: [u8; 16],
    fingerprint: U32,
    is_superseded: U32,
}

impl Catalog {
    /// The catalog with the roots that the checkpoint made.
    pub(crate) fn encode(&self, merged: &Merged) -> Vec<u8> {
        let operations = self.made.list();
        let counts = Counts {
            epoch: self.epoch.into(),
            zero: U32::ZERO,
            last_version: self.last_version.into(),
            versions: (self.versions.len() as u64).into(),
            volumes: (self.volumes.len() as u64).into(),
            snapshots: (self.snapshots.len() as u64).into(),
            operations: (operations.len() as u64).into(),
        };
        let mut bytes = counts.as_bytes().to_vec();
        for (id, version) in &self.versions {
            bytes.extend_from_slice(version.row(*id, merged).as_bytes());
        }
        for (id, volume) in &self.volumes {
            bytes.extend_from_slice(volume.row(*id).as_bytes());
        }
        for (id, snapshot) in &self.snapshots {
            let row = SnapshotRow {
                id: id.0.into(),
                version: snapshot.version.0.into(),
                size_bytes: snapshot.size_bytes.into(),
                made_by: snapshot.made_by.0,
            };
            bytes.extend_from_slice(row.as_bytes());
        }
        for (op, fingerprint, superseded) in operations {
            let is_superseded = u32::from(superseded).into();
            let row = OperationRow { op: op.0, fingerprint: fingerprint.into(), is_superseded };
            bytes.extend_from_slice(row.as_bytes());
        }
        bytes
    }

    /// The catalog at the front of `bytes`, and what follows it. None: these are not the bytes of
    /// one.
    pub(crate) fn decode(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (counts, rest) = Counts::ref_from_prefix(bytes).ok()?;
        let mut catalog = Self {
            epoch: counts.epoch.get(),
            last_version: counts.last_version.get(),
            ..Self::default()
        };
        let (versions, rest) = rows::<VersionRow>(rest, counts.versions)?;
        for row in versions {
            catalog.versions.insert(VersionId(row.id.get()), Version::from_row(row));
        }
        let (volumes, rest) = rows::<VolumeRow>(rest, counts.volumes)?;
        for row in volumes {
            catalog.volumes.insert(VolumeId(row.id.get()), VolumeRecord::from_row(row));
        }
        let (snapshots, rest) = rows::<SnapshotRow>(rest, counts.snapshots)?;
        for row in snapshots {
            let record = SnapshotRecord {
                version: VersionId(row.version.get()),
                size_bytes: row.size_bytes.get(),
                made_by: OpId(row.made_by),
            };
            catalog.snapshots.insert(SnapshotId(row.id.get()), record);
        }
        let (operations, rest) = rows::<OperationRow>(rest, counts.operations)?;
        for row in operations {
            catalog.made.insert(OpId(row.op), row.fingerprint.get());
            let superseded = row.is_superseded.get() == 1;
            catalog.made.supersede(superseded.then_some(OpId(row.op)));
        }
        Some((catalog, rest))
    }
}

fn rows<T: FromBytes + Immutable + KnownLayout + Unaligned>(
    bytes: &[u8],
    count: U64,
) -> Option<(&[T], &[u8])> {
    let count = usize::try_from(count.get()).ok()?;
    <[T]>::ref_from_prefix_with_elems(bytes, count).ok()
}

impl Version {
    fn row(&self, id: VersionId, merged: &Merged) -> VersionRow {
        let root = match &self.map.frozen {
            Some(frozen) => merged.get(&frozen.number).copied().flatten(),
            None => self.map.root,
        };
        VersionRow {
            id: id.0.into(),
            parent: self.parent.map_or(0, |parent| parent.0).into(),
            lineage: self.map.lineage.into(),
            is_frozen: u32::from(self.epoch.is_some()).into(),
            epoch: self.epoch.unwrap_or(0).into(),
            root_address: root.map_or(0, |root| root.address.to_u64()).into(),
            root_birth: root.map_or(0, |root| root.birth).into(),
            root_crc: root.map_or(0, |root| root.crc).into(),
            is_ghost: u32::from(self.is_ghost).into(),
            zero: U32::ZERO,
        }
    }

    fn from_row(row: &VersionRow) -> Self {
        let root = Address::from_u64(row.root_address.get()).map(|address| PageRef {
            address,
            birth: row.root_birth.get(),
            crc: row.root_crc.get(),
        });
        let parent = row.parent.get();
        Self {
            parent: (parent != 0).then_some(VersionId(parent)),
            epoch: (row.is_frozen.get() == 1).then_some(row.epoch.get()),
            is_ghost: row.is_ghost.get() == 1,
            map: Map::on_disk(row.lineage.get(), root),
        }
    }
}

impl VolumeRecord {
    fn row(&self, id: VolumeId) -> VolumeRow {
        let bytes = |op: Option<OpId>| op.map_or([0; 16], |op| op.0);
        VolumeRow {
            id: id.0.into(),
            head: self.head.0.into(),
            size_bytes: self.size_bytes.into(),
            was_reset: u32::from(self.reset_by.is_some()).into(),
            was_grown: u32::from(self.grown_by.is_some()).into(),
            made_by: self.made_by.0,
            reset_by: bytes(self.reset_by),
            grown_by: bytes(self.grown_by),
        }
    }

    fn from_row(row: &VolumeRow) -> Self {
        Self {
            head: VersionId(row.head.get()),
            size_bytes: row.size_bytes.get(),
            made_by: OpId(row.made_by),
            reset_by: (row.was_reset.get() == 1).then_some(OpId(row.reset_by)),
            grown_by: (row.was_grown.get() == 1).then_some(OpId(row.grown_by)),
        }
    }
}
