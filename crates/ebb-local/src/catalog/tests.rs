use proptest::prelude::*;

use super::drops::{Walk, WalkKind};
use super::*;
use crate::map::HEIGHT;
use crate::map::page::PageRef;

/// Changes a catalog as the log would.
#[derive(Default)]
struct Lab {
    catalog: Catalog,
    last_op: u8,
}

impl Lab {
    fn make(&mut self, change: Change) {
        self.last_op += 1;
        assert_eq!(self.catalog.check(&change), Ok(true));
        let entry = Entry::Version(OpId([self.last_op; 16]), change);
        let placed = Placed { segment_id: 1, first_block: 1, epoch: 0, crcs: &[], tags: &[] };
        self.catalog.apply(&entry, &placed, &mut Trash::new());
    }

    /// Of each version: its parent, when it was frozen, whether it is a ghost.
    fn tree(&self) -> Vec<(u64, Option<u64>, Option<u32>, bool)> {
        let row = |(id, v): (&VersionId, &Version)| {
            (id.0, v.parent.map(|parent| parent.0), v.epoch, v.is_ghost)
        };
        self.catalog.versions.iter().map(row).collect()
    }

    /// A checkpoint's beginning takes out what was dropped.
    fn capture(&mut self) {
        self.catalog.capture();
    }

    /// The catalog as a checkpoint keeps it.
    fn reread(&self) -> Catalog {
        let bytes = self.catalog.encode();
        let (catalog, rest) = Catalog::decode(&bytes).unwrap();
        assert!(rest.is_empty());
        catalog
    }
}

#[test]
fn a_dropped_version_stays_while_two_stand_on_it() {
    let mut lab = Lab::default();
    let (volume, size_bytes) = (VolumeId(1), 8192);
    let (source, forks) = (SnapshotId(1), [VolumeId(2), VolumeId(3)]);
    lab.make(Change::CreateVolume { volume, size_bytes, key_check: None });
    lab.make(Change::CreateSnapshots { pairs: vec![(volume, source)] });
    for volume in forks {
        lab.make(Change::Fork { source, volume, size_bytes });
    }
    // Version 1 is the snapshot; 2 the volume's head; 3 and 4 the forks.
    lab.make(Change::DeleteSnapshot { snapshot: source });
    lab.capture();
    let (root, on_root) = ((1, None, Some(0), true), |id| (id, Some(1), None, false));
    assert_eq!(lab.tree(), [root, on_root(2), on_root(3), on_root(4)]);
    let reread = Lab { catalog: lab.reread(), last_op: lab.last_op };
    assert_eq!(reread.tree(), lab.tree());

    lab.make(Change::DeleteVolume { volume });
    lab.capture();
    assert_eq!(lab.tree(), [root, on_root(3), on_root(4)]);
    lab.make(Change::DeleteVolume { volume: forks[0] });
    lab.capture();
    assert_eq!(lab.tree(), [(4, None, None, false)]);
    lab.make(Change::DeleteVolume { volume: forks[1] });
    lab.capture();
    assert_eq!(lab.tree(), []);
}

/// Or many snapshots deleted together would cost their number cubed, under the pool's lock.
#[test]
fn a_chain_that_goes_at_once_is_asked_for_no_ghosts() {
    let mut lab = Lab::default();
    let (volume, size_bytes) = (VolumeId(1), 8192);
    let snapshots = || (1..=60).map(SnapshotId);
    lab.make(Change::CreateVolume { volume, size_bytes, key_check: None });
    snapshots().for_each(|it| lab.make(Change::CreateSnapshots { pairs: vec![(volume, it)] }));
    snapshots().for_each(|snapshot| lab.make(Change::DeleteSnapshot { snapshot }));
    lab.capture();
    assert_eq!(lab.tree(), [(61, None, None, false)], "the head alone");
    let walks = &lab.catalog.walks;
    assert_eq!(walks.len(), 60);
    assert!(walks.iter().all(|walk| matches!(walk.kind, WalkKind::Gone(Some(_)))), "{walks:?}");
}

#[test]
fn a_checkpoint_keeps_all_of_the_catalog() {
    let mut lab = Lab::default();
    let (volume, size_bytes) = (VolumeId(1), 8192);
    lab.make(Change::CreateVolume { volume, size_bytes, key_check: None });
    lab.make(Change::CreateSnapshots { pairs: vec![(volume, SnapshotId(1))] });
    lab.make(Change::Grow { volume, size_bytes: 16384 });
    lab.make(Change::Reset { volume, target: SnapshotId(1) });
    lab.make(Change::Reset { volume, target: SnapshotId(1) });
    let reread = lab.reread();
    assert_eq!(reread.inventory(), lab.catalog.inventory());
    assert_eq!(reread.epoch(), 3);
    assert_eq!(reread.last_version, lab.catalog.last_version);
    assert_eq!(reread.made.list(), lab.catalog.made.list());
    let superseded: Vec<bool> = reread.made.list().iter().map(|(_, _, s)| *s).collect();
    assert_eq!(superseded, [true, false, false, false, false], "the first of two resets");
    assert_eq!(reread.encode(), lab.catalog.encode());
}

fn walk() -> impl Strategy<Value = Walk> {
    let kind = prop_oneof![
        prop::option::of(1..u64::MAX).prop_map(|child| WalkKind::Gone(child.map(VersionId))),
        Just(WalkKind::Ghost),
        Just(WalkKind::Cut),
    ];
    let root = prop::option::of((1..1_u64 << 36, any::<u32>(), any::<u32>()));
    let root = root.prop_map(|root| {
        root.map(|(id, birth, crc)| PageRef { address: Address::new(id, 9), birth, crc })
    });
    let numbers = (any::<u64>(), any::<u64>(), any::<u32>(), any::<u64>());
    (kind, root, 0..=HEIGHT, any::<u64>(), prop::option::of(any::<u32>()), numbers).prop_map(
        |(kind, root, level, index, limit, (of, lineage, epoch, next))| {
            let index = index % (1 << (8 * (HEIGHT - level)));
            let of = VersionId(of);
            Walk { of, kind, lineage, root, level, index, limit, epoch, next }
        },
    )
}

proptest! {
    #[test]
    fn walks_are_read_as_they_were_written(walks in prop::collection::vec(walk(), 0..20)) {
        let catalog = Catalog { walks: walks.into(), ..Catalog::default() };
        let bytes = catalog.encode();
        let (reread, rest) = Catalog::decode(&bytes).unwrap();
        prop_assert!(rest.is_empty());
        prop_assert_eq!(reread.walks, catalog.walks);
    }

    #[test]
    fn walks_of_any_bytes_are_refused_or_make_sense(
        walk in walk(),
        flips in prop::collection::vec((0..88_usize, any::<u8>()), 1..4),
    ) {
        let catalog = Catalog { walks: [walk].into(), ..Catalog::default() };
        let mut bytes = catalog.encode();
        let first = bytes.len() - 88;
        flips.into_iter().for_each(|(at, bits)| bytes[first + at] ^= bits);
        if let Some((reread, _)) = Catalog::decode(&bytes) {
            prop_assert!(reread.walks.iter().all(|walk| walk.level <= HEIGHT));
        }
    }
}
