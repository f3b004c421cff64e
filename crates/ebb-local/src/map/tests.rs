use std::collections::BTreeMap;
use std::convert::Infallible;

use proptest::prelude::*;

use super::memtable::{Entries, Page};
use super::merge::{Memo, Merge, Pages};
use super::page::{Block, Identity, child, stored as stored_at};
use super::*;
use crate::cipher::{KeyCheck, Tag};
use crate::planted::Planted;

const POOL_ID: [u8; 16] = [9; 16];

type Model = BTreeMap<u64, Stored>;

fn stored(n: u64) -> Stored {
    let n = n + 1;
    let address = Address::new(n, (n % 4096) as u32);
    Stored { address, birth: n as u32, crc: !n as u32, tag: Tag::NONE }
}

/// Blocks near the borders of pages on every level.
fn lba() -> impl Strategy<Value = u64> {
    (0_u32..5, 0_u64..3, 0_u64..4)
        .prop_map(|(level, n, off)| (n * span(level) + off).saturating_sub(2))
}

/// Pages of a disk: what was put is there, and verified when it is loaded.
#[derive(Default)]
struct Disk {
    pages: HashMap<Address, Arc<Block>>,
}

impl Pages for Disk {
    type Error = Infallible;

    fn load(&mut self, page: PageRef, identity: Identity) -> Result<Arc<Block>, Infallible> {
        let block = Arc::clone(&self.pages[&page.address]);
        identity.verify(&block, page).unwrap();
        Ok(block)
    }

    fn put(&mut self, block: Box<Block>) -> Result<Address, Infallible> {
        let address = Address::new(1 + self.pages.len() as u64, 0);
        self.pages.insert(address, Arc::new(*block));
        Ok(address)
    }

    fn placed(&mut self, _: Stored) {}

    fn lost(&mut self, _: u64, _: Stored) {}

    fn lost_page(&mut self, _: PageRef, _: Identity) {}

    fn cut(&mut self, _: PageRef, _: Identity) {}
}

fn identity(lineage: u64) -> Identity {
    Identity { pool_id: POOL_ID, lineage, level: HEIGHT, index: 0 }
}

impl Disk {
    /// A checkpoint of some maps, parents before children.
    fn checkpoint(&mut self, maps: &mut [Map], epoch: u32) {
        for (number, map) in maps.iter_mut().enumerate() {
            map.freeze(number as u64);
        }
        let (mut memo, mut merged) = (Memo::default(), Merged::new());
        for map in maps.iter() {
            let Some(frozen) = &map.frozen else { continue };
            let mut merge = Merge {
                pages: &mut *self,
                memo: &mut memo,
                pool_id: POOL_ID,
                lineage: map.lineage,
                places: map.places(),
                birth: epoch,
                may_keep: true,
                planted: Planted::default(),
            };
            let root = merge.run(&frozen.changes, map.root).unwrap();
            merged.insert(frozen.number, root);
        }
        for map in maps {
            map.install(&merged, &mut Trash::new());
        }
    }

    fn content(&mut self, page: PageRef, identity: Identity, into: &mut Model) {
        let block = self.load(page, identity).unwrap();
        for i in 0..WAYS {
            if identity.level > 0 {
                if let Some(page) = child(&block, i) {
                    self.content(page, identity.child(i), into);
                }
            } else if let Some(stored) = stored_at(&block, i) {
                into.insert(identity.first() + i as u64, stored);
            }
        }
    }

    /// What is there of some blocks.
    fn read(&mut self, map: &Map, blocks: &[u64]) -> Model {
        let mut below = Model::new();
        if let Some(root) = map.root {
            self.content(root, identity(map.lineage), &mut below);
        }
        let places = map.places();
        let below: Model =
            below.into_iter().map(|(place, stored)| (places.before(place), stored)).collect();
        let found = |lba: u64| match map.look_up(lba..lba + 1)[0] {
            Found::Unknown => below.get(&lba).copied(),
            Found::Nothing => None,
            Found::At(stored) => Some(stored),
        };
        blocks.iter().filter_map(|lba| Some((*lba, found(*lba)?))).collect()
    }
}

/// Every block that [`lba`] can choose.
fn all_blocks() -> Vec<u64> {
    let near = |level: u32, n: u64| (0..4).map(move |o| (n * span(level) + o).saturating_sub(2));
    let mut all: Vec<u64> = (0..5).flat_map(|l| (0..3).flat_map(move |n| near(l, n))).collect();
    all.sort_unstable();
    all.dedup();
    all
}

proptest! {
    #[test]
    fn a_map_is_a_sorted_map_whatever_is_on_disk_and_a_clone_never_changes(
        changes in prop::collection::vec((lba(), lba(), 0..6_u8), 1..80),
        check in 0..2_u64,
    ) {
        let key_check = KeyCheck::from_u64(check);
        let stored = |n| match key_check {
            Some(_) => Stored { tag: Tag([n as u8 + 1; 16]), ..stored(n) },
            None => stored(n),
        };
        let mut disk = Disk::default();
        // The first is changed, the others are its clones.
        let (mut maps, mut models) = (vec![Map::new(1, key_check)], vec![Model::new()]);
        for (n, (a, b, kind)) in changes.into_iter().enumerate() {
            let range = a.min(b)..a.max(b);
            match kind {
                0 => {
                    maps[0].remove(range.clone(), &mut Trash::new());
                    models[0].retain(|lba, _| !range.contains(lba));
                }
                1 => {
                    maps.push(maps[0].clone());
                    models.push(models[0].clone());
                }
                2 => disk.checkpoint(&mut maps, n as u32),
                _ => {
                    maps[0].insert(a, stored(n as u64));
                    models[0].insert(a, stored(n as u64));
                }
            }
            prop_assert_eq!(disk.read(&maps[0], &all_blocks()), models[0].clone());
            let length = range.end - range.start;
            if length < 1000 {
                let looked = maps[0].look_up(range.clone());
                for (lba, found) in range.zip(looked) {
                    prop_assert_eq!(found, maps[0].look_up(lba..lba + 1)[0]);
                }
            }
        }
        disk.checkpoint(&mut maps, 1000);
        for (map, model) in maps.iter().zip(&models) {
            prop_assert!(map.look_up(0..10).iter().all(|f| *f == Found::Unknown));
            prop_assert_eq!(&disk.read(map, &all_blocks()), model);
        }
    }
}

#[test]
fn only_changed_pages_are_written_and_versions_share_the_rest() {
    let mut disk = Disk::default();
    let mut maps = vec![Map::new(1, None)];
    for lba in 0..100 * 256 {
        maps[0].insert(lba, stored(lba));
    }
    disk.checkpoint(&mut maps, 1);
    assert_eq!(disk.pages.len(), 100 + 4, "a leaf for each 256 blocks, and one way down to them");

    maps[0].insert(5 * 256, stored(1));
    let snapshot = maps[0].clone();
    maps.insert(0, snapshot);
    maps[1].insert(7 * 256, stored(2));
    disk.checkpoint(&mut maps, 2);
    // The snapshot: leaf 5 and four above. The volume: leaf 7 and four above; it shares leaf 5.
    assert_eq!(disk.pages.len(), 104 + 5 + 5);

    maps[1].remove(0..1 << 30, &mut Trash::new());
    disk.checkpoint(&mut maps, 3);
    assert_eq!(maps[1].root, None, "nothing is there, so there is no page");
    assert_eq!(disk.pages.len(), 114);
}

#[test]
fn a_map_of_an_encrypted_volume_has_twice_the_leaves_and_no_other_page() {
    let mut disk = Disk::default();
    let mut maps = vec![Map::new(1, KeyCheck::from_u64(1))];
    for lba in 0..100 * 128 {
        maps[0].insert(lba, stored(lba));
    }
    disk.checkpoint(&mut maps, 1);
    assert_eq!(disk.pages.len(), 100 + 4);
    // The last leaf is cut off whole, though half of its places are none.
    maps[0].remove(128..100 * 128, &mut Trash::new());
    disk.checkpoint(&mut maps, 2);
    assert_eq!(disk.read(&maps[0], &(0..13_000).collect::<Vec<_>>()).len(), 128);
    maps[0].remove(0..128, &mut Trash::new());
    disk.checkpoint(&mut maps, 3);
    assert_eq!(maps[0].root, None);
}

#[test]
fn a_page_is_taken_only_where_it_belongs() {
    let mut disk = Disk::default();
    let mut maps = vec![Map::new(1, None)];
    maps[0].insert(300, stored(1));
    disk.checkpoint(&mut maps, 4);
    let root = maps[0].root.unwrap();
    let block = *disk.load(root, identity(1)).unwrap();
    let whole = identity(1);
    assert_eq!(whole.verify(&block, root), Ok(()));
    let others = [
        Identity { lineage: 2, ..whole },
        Identity { index: 1, ..whole },
        Identity { level: 3, ..whole },
        Identity { level: 0, ..whole },
        Identity { pool_id: [8; 16], ..whole },
    ];
    for other in others {
        assert!(other.verify(&block, root).is_err(), "{other:?}");
    }
    assert!(whole.verify(&block, PageRef { birth: 5, ..root }).is_err());
    assert!(whole.verify(&block, PageRef { crc: !root.crc, ..root }).is_err());
    for at in 0..block.len() {
        let mut flipped = block;
        flipped[at] ^= 4;
        assert!(whole.verify(&flipped, root).is_err(), "byte {at}");
    }
}

#[test]
fn removing_everything_cuts_off_subtrees_unopened() {
    let mut map = Map::new(1, None);
    for n in 0..10_000 {
        map.insert(n, stored(n));
    }
    let mut trash = Trash::new();
    map.remove(0..(64 << 40) / 4096, &mut trash);
    assert_eq!(trash.len(), 1, "all of it lay under one entry of the root");
    assert!(map.look_up(0..10_000).iter().all(|found| *found == Found::Nothing));
}

/// Bytes that a page and those below it take from the heap, with the allocator's own share.
fn heap_bytes(page: &Page) -> usize {
    let counted = |entries: usize| 2 * 16 + size_of::<Page>() + 2 * size_of::<usize>() + entries;
    match &page.entries {
        Entries::Leaf(blocks) => counted(blocks.heap_bytes()),
        Entries::Sealed(blocks) => counted(blocks.heap_bytes()),
        Entries::Inner(children) => {
            let below: usize = children.range(0..256).map(|(_, c)| heap_bytes(c)).sum();
            counted(children.heap_bytes()) + below
        }
    }
}

/// A block of an encrypted volume has 16 bytes more, for its tag; of others none has.
#[test]
fn blocks_scattered_over_the_largest_volume_cost_some_hundred_bytes_each() {
    for (places, most) in [(Places::Dense, 110 << 20), (Places::Spread, 114 << 20)] {
        let mut memtable = Memtable::default();
        let mut lba: u64 = 1;
        for n in 0..262_144 {
            lba = lba.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            memtable.insert(places.of(lba >> 30), stored(n), places);
        }
        let bytes = heap_bytes(memtable.root.as_ref().unwrap());
        println!("{places:?}: {bytes} bytes");
        assert!(bytes < most, "{bytes} bytes");
    }
}
