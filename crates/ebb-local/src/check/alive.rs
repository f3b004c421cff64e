//! What counts as alive, against what the pages lead to; and where it all lies.

use std::collections::BTreeMap;

use super::Report;
use super::trees::Reached;
use crate::blocks::Blocks;
use crate::layout::Address;
use crate::recovery::Recovered;
use crate::space::Space;
use crate::superblock::Superblock;

pub(super) fn compare(
    superblock: &Superblock,
    recovered: &Recovered,
    reached: &Reached,
    report: &mut Report,
) {
    let alive = &recovered.space;
    for needed in [&reached.seen, &reached.ghost_pages] {
        for address in addresses(needed) {
            if !alive.is_alive(address) {
                report.found(format!("not alive, but a page leads to it: {}", place(address)));
            }
        }
    }
    // Of what nobody sees a ghost keeps nothing, once all walks are done.
    let walks_left = !recovered.catalog.walks.is_empty();
    for address in addresses(alive) {
        let needed = reached.seen.is_alive(address) || reached.ghost_pages.is_alive(address);
        let left = reached.left.is_alive(address) || reached.ghost_blocks.is_alive(address);
        if !(needed || walks_left && left) {
            report.found(format!("alive, but nothing leads to it: {}", place(address)));
        }
    }
    lie_apart(superblock, recovered, report);
}

/// No two blocks that are alive are in the same place, and none where the host has the space.
fn lie_apart(superblock: &Superblock, recovered: &Recovered, report: &mut Report) {
    let of = superblock.geometry.segment_blocks;
    let mut taken: BTreeMap<u64, Blocks> = BTreeMap::new();
    for (id, row) in recovered.segments.rows().iter() {
        for block in recovered.space.blocks(*id).into_iter().flat_map(Blocks::iter) {
            let Some(spot) = row.place.spot(block) else {
                let address = place(Address::new(*id, block));
                report.found(format!("alive, and left out when it was packed: {address}"));
                continue;
            };
            let blocks = taken.entry(spot.extent).or_insert_with(|| Blocks::none(of));
            if !blocks.insert(spot.block) {
                report.found(format!("two blocks are in one place: {spot:?}"));
            }
        }
        for extent in row.place.extents() {
            if recovered.cold.contains(&extent) && recovered.space.count(*id) > 0 {
                report.found(format!("segment {id} is in extent {extent}, which was given back"));
            }
        }
    }
    for (id, _) in recovered.space.segments() {
        if !recovered.segments.rows().contains_key(&id) {
            report.found(format!("segment {id} is alive and not known"));
        }
    }
}

fn addresses(space: &Space) -> impl Iterator<Item = Address> + '_ {
    let of = |(id, blocks): (u64, &Blocks)| -> Vec<Address> {
        blocks.iter().map(|block| Address::new(id, block)).collect()
    };
    space.segments().flat_map(of)
}

fn place(address: Address) -> String {
    format!("segment {}, block {}", address.segment_id(), address.block())
}
