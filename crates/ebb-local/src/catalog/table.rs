//! The catalog as bytes: what a checkpoint writes of it.
//!
//! ```text
//!   counts | versions 56 B | volumes 80 B | snapshots 40 B | operations 24 B | walks 88 B
//!          | encrypted lineages 16 B
//! ```
//! Of a map only the root is here: the pages below it were written before. Memtables are not: they
//! are merged, or come back by replay.

use ebb_volume::{OpId, SnapshotId, VolumeId};
use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use std::collections::BTreeMap;

use super::drops::{Walk, WalkKind};
use super::{Catalog, SnapshotRecord, Version, VersionId, VolumeRecord};
use crate::cipher::KeyCheck;
use crate::layout::Address;
use crate::map::page::PageRef;
use crate::map::{HEIGHT, Map};

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Counts {
    epoch: U32,
    /// Encrypted lineages; 0 in a pool from before there were any.
    sealed: U32,
    last_version: U64,
    versions: U64,
    volumes: U64,
    snapshots: U64,
    operations: U64,
    walks: U64,
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
    is_dropped: U32,
    is_ghost: U32,
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

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct WalkRow {
    of: U64,
    kind: U32,
    level: U32,
    /// Who stood on it; 0: nobody.
    child: U64,
    lineage: U64,
    /// 0: no page.
    root_address: U64,
    root_birth: U32,
    root_crc: U32,
    index: U64,
    has_limit: U32,
    limit: U32,
    next: U64,
    epoch: U32,
    zero: U32,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct SealedRow {
    lineage: U64,
    key_check: U64,
}

impl Catalog {
    /// The catalog. All its maps are wholly on disk.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let operations = self.made.list();
        let sealed = self.sealed_lineages();
        let counts = Counts {
            epoch: self.epoch.into(),
            sealed: (sealed.len() as u32).into(),
            last_version: self.last_version.into(),
            versions: (self.versions.len() as u64).into(),
            volumes: (self.volumes.len() as u64).into(),
            snapshots: (self.snapshots.len() as u64).into(),
            operations: (operations.len() as u64).into(),
            walks: (self.walks.len() as u64).into(),
        };
        let mut bytes = counts.as_bytes().to_vec();
        for (id, version) in &self.versions {
            bytes.extend_from_slice(version.row(*id).as_bytes());
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
        for walk in &self.walks {
            bytes.extend_from_slice(walk.row().as_bytes());
        }
        for (lineage, key_check) in sealed {
            let key_check = KeyCheck::to_u64(Some(key_check)).into();
            let row = SealedRow { lineage: lineage.into(), key_check };
            bytes.extend_from_slice(row.as_bytes());
        }
        bytes
    }

    /// The lineages whose blocks are encrypted.
    fn sealed_lineages(&self) -> BTreeMap<u64, KeyCheck> {
        let maps = self.versions.values().map(|version| &version.map);
        maps.filter_map(|map| Some((map.lineage, map.key_check?))).collect()
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
        let (walks, rest) = rows::<WalkRow>(rest, counts.walks)?;
        for row in walks {
            catalog.walks.push_back(Walk::from_row(row)?);
        }
        let (sealed, rest) = rows::<SealedRow>(rest, u64::from(counts.sealed.get()).into())?;
        let check =
            |row: &SealedRow| Some((row.lineage.get(), KeyCheck::from_u64(row.key_check.get())?));
        let sealed: BTreeMap<u64, KeyCheck> = sealed.iter().map(check).collect::<Option<_>>()?;
        for version in catalog.versions.values_mut() {
            version.map.key_check = sealed.get(&version.map.lineage).copied();
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
    fn row(&self, id: VersionId) -> VersionRow {
        debug_assert!(self.map.frozen.is_none(), "what is frozen was merged before");
        let root = self.map.root;
        VersionRow {
            id: id.0.into(),
            parent: self.parent.map_or(0, |parent| parent.0).into(),
            lineage: self.map.lineage.into(),
            is_frozen: u32::from(self.epoch.is_some()).into(),
            epoch: self.epoch.unwrap_or(0).into(),
            root_address: root.map_or(0, |root| root.address.to_u64()).into(),
            root_birth: root.map_or(0, |root| root.birth).into(),
            root_crc: root.map_or(0, |root| root.crc).into(),
            is_dropped: u32::from(self.is_dropped).into(),
            is_ghost: u32::from(self.is_ghost).into(),
        }
    }

    fn from_row(row: &VersionRow) -> Self {
        let root = root(row.root_address, row.root_birth, row.root_crc);
        let parent = row.parent.get();
        Self {
            parent: (parent != 0).then_some(VersionId(parent)),
            epoch: (row.is_frozen.get() == 1).then_some(row.epoch.get()),
            is_dropped: row.is_dropped.get() == 1,
            is_ghost: row.is_ghost.get() == 1,
            map: Map::on_disk(row.lineage.get(), root),
        }
    }
}

fn root(address: U64, birth: U32, crc: U32) -> Option<PageRef> {
    let address = Address::from_u64(address.get())?;
    Some(PageRef { address, birth: birth.get(), crc: crc.get() })
}

const GONE: u32 = 1;
const GHOST: u32 = 2;
const CUT: u32 = 3;

impl Walk {
    fn row(&self) -> WalkRow {
        let (kind, child) = match self.kind {
            WalkKind::Gone(child) => (GONE, child.map_or(0, |child| child.0)),
            WalkKind::Ghost => (GHOST, 0),
            WalkKind::Cut => (CUT, 0),
        };
        WalkRow {
            of: self.of.0.into(),
            kind: kind.into(),
            level: self.level.into(),
            child: child.into(),
            lineage: self.lineage.into(),
            root_address: self.root.map_or(0, |root| root.address.to_u64()).into(),
            root_birth: self.root.map_or(0, |root| root.birth).into(),
            root_crc: self.root.map_or(0, |root| root.crc).into(),
            index: self.index.into(),
            has_limit: u32::from(self.limit.is_some()).into(),
            limit: self.limit.unwrap_or(0).into(),
            next: self.next.into(),
            epoch: self.epoch.into(),
            zero: U32::ZERO,
        }
    }

    /// None: no walk has such a row.
    fn from_row(row: &WalkRow) -> Option<Self> {
        let child = row.child.get();
        let kind = match row.kind.get() {
            GONE => WalkKind::Gone((child != 0).then_some(VersionId(child))),
            GHOST => WalkKind::Ghost,
            CUT => WalkKind::Cut,
            _ => return None,
        };
        let (level, index) = (row.level.get(), row.index.get());
        let is_in_map = level <= HEIGHT && index < 1 << (8 * (HEIGHT - level));
        is_in_map.then_some(Self {
            of: VersionId(row.of.get()),
            kind,
            lineage: row.lineage.get(),
            root: root(row.root_address, row.root_birth, row.root_crc),
            level,
            index,
            limit: (row.has_limit.get() == 1).then_some(row.limit.get()),
            epoch: row.epoch.get(),
            next: row.next.get(),
        })
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
