//! The tables of a checkpoint: the catalog with its walks, and behind it the segments.

use std::collections::{BTreeMap, BTreeSet};

use ebb_volume::{OpId, SnapshotId, VolumeId};

use crate::blocks::Blocks;
use crate::catalog::Catalog;
use crate::layout::Address;
use crate::map::Trash;
use crate::record::{Change, Entry, Placed};
use crate::segments::table::{self, Table};
use crate::segments::{Class, Packed, Place, Row, Spot};
use crate::space::Space;

/// Blocks of a segment.
const OF: u32 = 4096;

/// What decodes encodes to what decodes to the same; a packed block is within its extent.
///
/// # Panics
/// Where that is not so.
pub fn check(input: &[u8]) {
    let Some((catalog, rest)) = Catalog::decode(input) else { return };
    let bytes = catalog.encode();
    let (again, behind) = Catalog::decode(&bytes).expect("it was encoded");
    assert!(behind.is_empty() && again.encode() == bytes, "the catalog came back as another");
    // What a start asks first.
    let _ = catalog.inventory();

    let Some(found) = table::decode(OF, rest) else { return };
    let bytes = encode(&found);
    let again = table::decode(OF, &bytes).expect("it was encoded");
    assert_eq!(*again.segments.rows(), *found.segments.rows());
    assert_eq!(again.cold, found.cold);
    for row in found.segments.rows().values() {
        let spots = (0..OF).filter_map(|block| row.place.spot(block));
        assert!(spots.into_iter().all(|spot| spot.block < OF), "{row:?}");
    }
}

fn encode(table: &Table) -> Vec<u8> {
    let mut bytes = Vec::new();
    table::encode(&table.segments.rows(), &table.space, &table.cold, &mut bytes);
    bytes
}

/// A catalog with a snapshot, a fork and something dropped, and one without; behind them segments,
/// whole and packed.
pub fn seeds() -> Vec<Vec<u8>> {
    let (volume, fork, snapshot) = (VolumeId(1), VolumeId(2), SnapshotId(3));
    let mut catalog = Catalog::default();
    let changes = [
        Change::CreateVolume { volume, size_bytes: 1 << 30, key_check: None },
        Change::CreateSnapshots { pairs: vec![(volume, snapshot)] },
        Change::Fork { source: snapshot, volume: fork, size_bytes: 1 << 30 },
        Change::DeleteSnapshot { snapshot },
        Change::Reset { volume: fork, target: snapshot },
    ];
    for (n, change) in (0..).zip(changes) {
        let placed = Placed { segment_id: 1, first_block: 1, epoch: 1, crcs: &[], tags: &[] };
        catalog.apply(&Entry::Version(OpId([n; 16]), change), &placed, &mut Trash::new());
    }
    drop(catalog.capture());
    let captured = catalog.encode();
    let mut space = Space::new(OF);
    let spot = |block| Spot { extent: 9, block };
    let packed = Packed::new(OF, [(3, spot(0)), (4, spot(1)), (70, spot(40))].into_iter());
    let rows = BTreeMap::from([
        (1, Row { class: Class::Log, place: Place::Whole(4) }),
        (2, Row { class: Class::Meta, place: Place::Packed(packed) }),
    ]);
    let mut all = Blocks::none(OF);
    (0..OF).step_by(2).for_each(|block| drop(all.insert(block)));
    space.insert(1, all);
    space.mark(Address::new(2, 70));
    let mut segments = Vec::new();
    table::encode(&rows, &space, &BTreeSet::from([5, 6, 8]), &mut segments);
    let empty = Catalog::default().encode();
    vec![[captured, segments.clone()].concat(), [empty, segments].concat()]
}
