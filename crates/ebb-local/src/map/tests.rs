use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn stored(n: u64) -> Stored {
    Stored { address: Address::new(n, (n % 4096) as u32), birth: n as u32, crc: !n as u32 }
}

fn content(map: &Map, range: Range<u64>) -> BTreeMap<u64, Stored> {
    let mut found = BTreeMap::new();
    map.for_each(range, &mut |lba, stored| {
        assert!(found.insert(lba, stored).is_none());
    });
    found
}

/// Blocks near the borders of pages on every level.
fn lba() -> impl Strategy<Value = u64> {
    (0_u32..5, 0_u64..3, 0_u64..4)
        .prop_map(|(level, n, off)| (n * span(level) + off).saturating_sub(2))
}

proptest! {
    #[test]
    fn a_map_is_a_sorted_map_and_a_clone_never_changes(
        changes in prop::collection::vec((lba(), lba(), 0..4_u8), 1..80)
    ) {
        let (mut map, mut model) = (Map::default(), BTreeMap::new());
        let mut clones = Vec::new();
        for (n, (a, b, kind)) in changes.into_iter().enumerate() {
            match kind {
                0 => {
                    let range = a.min(b)..a.max(b);
                    map.remove(range.clone(), &mut Trash::new());
                    model.retain(|lba, _| !range.contains(lba));
                }
                1 => clones.push((map.clone(), model.clone())),
                _ => {
                    map.insert(a, stored(n as u64));
                    model.insert(a, stored(n as u64));
                }
            }
            let part = a.min(b)..a.max(b);
            let expected: BTreeMap<_, _> =
                model.range(part.clone()).map(|(k, v)| (*k, *v)).collect();
            prop_assert_eq!(content(&map, part), expected);
        }
        for (clone, model) in clones {
            prop_assert_eq!(content(&clone, 0..u64::MAX), model);
        }
    }
}

#[test]
fn removing_everything_cuts_off_subtrees_unopened() {
    let mut map = Map::default();
    for n in 0..10_000 {
        map.insert(n, stored(n));
    }
    let mut trash = Trash::new();
    map.remove(0..(64 << 40) / 4096, &mut trash);
    assert_eq!(trash.len(), 1, "all of it lay under one entry of the root");
    assert!(content(&map, 0..u64::MAX).is_empty());
}

/// Bytes that a page and those below it take from the heap, with the allocator's own share.
fn heap_bytes(page: &Page) -> usize {
    let counted = |entries: usize| 2 * 16 + size_of::<Page>() + 2 * size_of::<usize>() + entries;
    match page {
        Page::Leaf(blocks) => counted(blocks.heap_bytes()),
        Page::Inner(children) => {
            let below: usize = children.range(0..256).map(|(_, c)| heap_bytes(c)).sum();
            counted(children.heap_bytes()) + below
        }
    }
}

#[test]
fn blocks_scattered_over_the_largest_volume_cost_some_hundred_bytes_each() {
    let mut map = Map::default();
    let mut lba: u64 = 1;
    for n in 0..262_144 {
        lba = lba.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        map.insert(lba >> 30, stored(n));
    }
    let bytes = heap_bytes(map.root.as_ref().unwrap());
    assert!(bytes < 100 << 20, "{bytes} bytes");
}
