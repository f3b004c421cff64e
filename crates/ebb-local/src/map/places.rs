//! Where in a map the blocks of a volume are: each at its number, or spread out.
//!
//! ```text
//!   plain       0 … 127  128 … 255 | 256 …                  256 blocks in a leaf
//!   encrypted   0 … 127  -    -    | 128 … 255  -    -      128, and as many places that are empty
//! ```
//! An entry of a leaf of an encrypted volume has a tag, so that 128 of them fill a page. With its
//! blocks spread out, all pages have 256 places nevertheless, and whoever walks maps need not know:
//! only who goes in with a block's number or comes out with one asks this. Nothing is ever at one
//! of the places between.

use std::ops::Range;

use super::WAYS;

/// Blocks in a leaf of an encrypted volume.
pub(crate) const SEALED_WAYS: usize = 128;

/// How a map numbers the blocks of its volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Places {
    #[default]
    Dense,
    Spread,
}

impl Places {
    pub(crate) fn of_sealed(is_sealed: bool) -> Self {
        if is_sealed { Self::Spread } else { Self::Dense }
    }

    /// Where a block is.
    pub(crate) fn of(self, lba: u64) -> u64 {
        let (ways, sealed) = (WAYS as u64, SEALED_WAYS as u64);
        match self {
            Self::Dense => lba,
            Self::Spread => lba / sealed * ways + lba % sealed,
        }
    }

    /// The places of a range of blocks, with those between and right behind that are empty.
    pub(crate) fn of_range(self, blocks: &Range<u64>) -> Range<u64> {
        self.of(blocks.start)..self.of(blocks.end)
    }

    /// How many blocks are before a place: the number of the block there, if it has one.
    pub(crate) fn before(self, place: u64) -> u64 {
        let (ways, sealed) = (WAYS as u64, SEALED_WAYS as u64);
        match self {
            Self::Dense => place,
            Self::Spread => place / ways * sealed + (place % ways).min(sealed),
        }
    }

    /// The places of a range of blocks in runs without a gap, each with how many blocks of the
    /// range are before it.
    pub(crate) fn runs(self, blocks: Range<u64>) -> impl Iterator<Item = (usize, Range<u64>)> {
        let (mut next, sealed) = (blocks.start, SEALED_WAYS as u64);
        std::iter::from_fn(move || {
            if next >= blocks.end {
                return None;
            }
            let end = match self {
                Self::Dense => blocks.end,
                Self::Spread => blocks.end.min((next / sealed + 1) * sealed),
            };
            let (before, first) = ((next - blocks.start) as usize, self.of(next));
            let run = first..first + (end - next);
            next = end;
            Some((before, run))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The largest volume has so many.
    const MOST: u64 = ebb_volume::MAX_VOLUME_BYTES / ebb_volume::BLOCK_BYTES;

    fn places() -> impl Strategy<Value = Places> {
        prop_oneof![Just(Places::Dense), Just(Places::Spread)]
    }

    /// Blocks near the borders of leaves, most of all.
    fn lba() -> impl Strategy<Value = u64> {
        let near =
            (0..MOST / 128, 0..4_u64).prop_map(|(leaf, n)| (leaf * 128 + n).saturating_sub(2));
        prop_oneof![near, 0..MOST, 0..600_u64]
    }

    proptest! {
        #[test]
        fn a_block_comes_back_from_its_place(places in places(), lba in lba()) {
            let place = places.of(lba);
            prop_assert_eq!(places.before(place), lba);
            prop_assert!(places == Places::Dense || place % 256 < 128);
            prop_assert!(places.of(lba + 1) > place);
        }

        #[test]
        fn a_range_has_the_places_of_its_blocks_and_of_no_other(
            places in places(), (start, length) in (0..1000_u64, 0..600_u64), other in 0..2000_u64
        ) {
            let blocks = start..start + length;
            let range = places.of_range(&blocks);
            prop_assert_eq!(range.contains(&places.of(other)), blocks.contains(&other));
            prop_assert_eq!(places.before(range.start)..places.before(range.end), blocks);
        }

        #[test]
        fn runs_are_the_blocks_of_a_range_in_order(
            places in places(), (start, length) in (lba(), 0..600_u64)
        ) {
            let blocks = start..start + length;
            let mut told = Vec::new();
            for (before, run) in places.runs(blocks.clone()) {
                prop_assert_eq!(before, told.len());
                let in_one_leaf = run.start / 256 == (run.end - 1) / 256;
                prop_assert!(in_one_leaf || places == Places::Dense);
                told.extend(run);
            }
            let expected: Vec<u64> = blocks.map(|lba| places.of(lba)).collect();
            prop_assert_eq!(told, expected);
        }

        #[test]
        fn what_is_before_grows_with_the_place(places in places(), place in 0..3000_u64) {
            let step = places.before(place + 1) - places.before(place);
            prop_assert_eq!(step == 1, places == Places::Dense || place % 256 < 128);
            prop_assert!(step <= 1);
        }
    }

    #[test]
    fn the_largest_volume_fits_into_a_map_as_high_as_any() {
        assert!(Places::Spread.of(MOST) <= super::super::span(super::super::HEIGHT + 1));
    }
}
