use proptest::prelude::*;

use super::table::{self, Table};
use super::*;
use crate::space::Space;

const OF: u32 = 200;

fn spot() -> impl Strategy<Value = Spot> {
    (0..50_u64, 0..OF / 2).prop_map(|(extent, block)| Spot { extent, block })
}

fn packed() -> impl Strategy<Value = Packed> {
    prop::collection::btree_map(0..OF, spot(), 0..60)
        .prop_map(|spots| Packed::new(OF, spots.into_iter()))
}

fn row() -> impl Strategy<Value = Row> {
    let place = prop_oneof![
        any::<u32>().prop_map(|extent| Place::Whole(extent.into())),
        packed().prop_map(Place::Packed),
    ];
    let class = prop_oneof![Just(Class::Log), Just(Class::Meta)];
    (class, place).prop_map(|(class, place)| Row { class, place })
}

/// Some of the blocks that are there.
fn alive(row: &Row, some: u64) -> Blocks {
    let mut alive = Blocks::none(OF);
    for block in (0..OF).filter(|block| some >> (block % 64) & 1 == 1) {
        if row.place.spot(block).is_some() {
            alive.insert(block);
        }
    }
    alive
}

proptest! {
    #[test]
    fn a_packed_block_is_where_it_was_put(
        spots in prop::collection::btree_map(0..OF, spot(), 0..90),
    ) {
        let place = Place::Packed(Packed::new(OF, spots.clone().into_iter()));
        for block in 0..OF {
            prop_assert_eq!(place.spot(block), spots.get(&block).copied());
        }
        for extent in place.extents() {
            prop_assert!(spots.values().any(|spot| spot.extent == extent));
        }
    }

    #[test]
    fn a_table_is_read_as_it_was_written(
        rows in prop::collection::btree_map(any::<u64>(), (row(), any::<u64>()), 0..20),
        cold in prop::collection::btree_set(0..1000_u64, 0..40),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut space = Space::new(OF);
        for (id, (row, some)) in &rows {
            space.insert(*id, alive(row, *some));
        }
        let rows: BTreeMap<u64, Row> = rows.into_iter().map(|(id, (row, _))| (id, row)).collect();
        let mut bytes = Vec::new();
        table::encode(&rows, &space, &cold, &mut bytes);
        let Table { segments, space: found, cold: found_cold } = table::decode(OF, &bytes).unwrap();
        prop_assert_eq!(&*segments.rows(), &rows);
        prop_assert!(found.segments().eq(space.segments()));
        prop_assert_eq!(found_cold, cold);
        prop_assert!(table::decode(OF, &bytes[..cut.index(bytes.len())]).is_none());
    }

    #[test]
    fn a_table_that_is_none_is_refused_or_makes_sense(
        rows in prop::collection::btree_map(any::<u64>(), row(), 1..4),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = Vec::new();
        table::encode(&rows, &Space::new(OF), &BTreeSet::new(), &mut bytes);
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= byte;
        }
        if let Some(Table { segments, .. }) = table::decode(OF, &bytes) {
            for row in segments.rows().values() {
                let spots = (0..OF).filter_map(|block| row.place.spot(block));
                prop_assert!(spots.map(|spot| spot.block).all(|block| block < OF));
            }
        }
    }
}
