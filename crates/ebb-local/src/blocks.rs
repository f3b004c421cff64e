//! A set of blocks of one segment: which of them are alive, or which are there.
//!
//! ```text
//!   none of n      |                                 0 bytes
//!   few            | number of a block, 2 B | …      up to 1/32 of the segment
//!   many           | a bit for each block of n       512 B for a segment of 4,096
//! ```
//! The form follows from the count, on disk as in memory: of a segment of which little is left, as
//! of most old ones, a few bytes are kept.

use std::ops::Range;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blocks {
    /// Blocks that the segment has.
    of: u32,
    form: Form,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    /// Ascending.
    Few(Vec<u16>),
    Many {
        bits: Box<[u64]>,
        count: u32,
    },
}

const WORD: u32 = u64::BITS;

impl Blocks {
    /// None of the blocks of a segment of `of`.
    pub(crate) fn none(of: u32) -> Self {
        Self { of, form: Form::Few(Vec::new()) }
    }

    pub(crate) fn len(&self) -> u32 {
        match &self.form {
            Form::Few(list) => list.len() as u32,
            Form::Many { count, .. } => *count,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn contains(&self, block: u32) -> bool {
        match &self.form {
            Form::Few(list) => list.binary_search(&(block as u16)).is_ok(),
            Form::Many { bits, .. } => {
                let word = bits.get((block / WORD) as usize);
                word.is_some_and(|word| word >> (block % WORD) & 1 == 1)
            }
        }
    }

    /// Puts a block in. False if it was.
    pub(crate) fn insert(&mut self, block: u32) -> bool {
        debug_assert!(block < self.of, "a block behind the end of its segment");
        match &mut self.form {
            Form::Few(list) => match list.binary_search(&(block as u16)) {
                Ok(_) => return false,
                Err(at) => list.insert(at, block as u16),
            },
            Form::Many { bits, count } => {
                let (word, bit) = (&mut bits[(block / WORD) as usize], 1 << (block % WORD));
                if *word & bit != 0 {
                    return false;
                }
                *word |= bit;
                *count += 1;
            }
        }
        self.fit();
        true
    }

    /// Takes a block out. False if it was not in.
    pub(crate) fn remove(&mut self, block: u32) -> bool {
        match &mut self.form {
            Form::Few(list) => match list.binary_search(&(block as u16)) {
                Ok(at) => drop(list.remove(at)),
                Err(_) => return false,
            },
            Form::Many { bits, count } => {
                let Some(word) = bits.get_mut((block / WORD) as usize) else {
                    return false;
                };
                if *word >> (block % WORD) & 1 == 0 {
                    return false;
                }
                *word &= !(1 << (block % WORD));
                *count -= 1;
            }
        }
        self.fit();
        true
    }

    /// Members below `block`.
    pub(crate) fn rank(&self, block: u32) -> u32 {
        match &self.form {
            Form::Few(list) => list.partition_point(|member| u32::from(*member) < block) as u32,
            Form::Many { bits, .. } => {
                let (word, bit) = ((block / WORD) as usize, block % WORD);
                let before: u32 = bits.iter().take(word).map(|word| word.count_ones()).sum();
                let mask = (1_u64 << bit) - 1;
                before + bits.get(word).map_or(0, |word| (word & mask).count_ones())
            }
        }
    }

    /// The members, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let (few, many) = match &self.form {
            Form::Few(list) => (&list[..], 0..0),
            Form::Many { .. } => (&[][..], 0..self.of),
        };
        let few = few.iter().map(|block| u32::from(*block));
        few.chain(many.filter(|block| self.contains(*block)))
    }

    /// Whether so many are few: as many as take half of what bits for all would.
    fn are_few(of: u32, count: u32) -> bool {
        count <= of / 32
    }

    /// Goes over to the form that fits the count.
    fn fit(&mut self) {
        let few = Self::are_few(self.of, self.len());
        match &self.form {
            Form::Few(list) if !few => {
                let mut bits = vec![0_u64; self.of.div_ceil(WORD) as usize];
                for block in list {
                    bits[u32::from(*block) as usize / WORD as usize] |=
                        1 << (u32::from(*block) % WORD);
                }
                let count = list.len() as u32;
                self.form = Form::Many { bits: bits.into(), count };
            }
            Form::Many { .. } if few => {
                self.form = Form::Few(self.iter().map(|block| block as u16).collect());
            }
            _ => {}
        }
    }

    /// Bytes that [`Blocks::encode`] appends for `count` blocks of `of`.
    fn encoded_bytes(of: u32, count: u32) -> usize {
        match Self::are_few(of, count) {
            true => 2 * count as usize,
            false => 8 * of.div_ceil(WORD) as usize,
        }
    }

    /// Appends the members, but not how many they are.
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        match &self.form {
            Form::Few(list) => list.iter().for_each(|n| bytes.extend(n.to_le_bytes())),
            Form::Many { bits, .. } => bits.iter().for_each(|n| bytes.extend(n.to_le_bytes())),
        }
    }

    /// The set of `count` blocks at the front of `bytes`, and what follows. None: they are not the
    /// bytes of one.
    pub(crate) fn decode(of: u32, count: u32, bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (bytes, rest) = bytes.split_at_checked(Self::encoded_bytes(of, count))?;
        let form = match Self::are_few(of, count) {
            true => {
                let (pairs, _) = bytes.as_chunks();
                Form::Few(pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect())
            }
            false => {
                let (words, _) = bytes.as_chunks();
                let bits = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
                Form::Many { bits, count }
            }
        };
        let blocks = Self { of, form };
        blocks.makes_sense().then_some((blocks, rest))
    }

    /// Whether its count is right, and all members are blocks of the segment, in order.
    fn makes_sense(&self) -> bool {
        match &self.form {
            Form::Few(list) => {
                let ascending = list.windows(2).all(|two| two[0] < two[1]);
                ascending && list.last().is_none_or(|last| u32::from(*last) < self.of)
            }
            Form::Many { bits, count } => {
                let there: u32 = bits.iter().map(|word| word.count_ones()).sum();
                there == *count && self.rank(self.of) == *count
            }
        }
    }
}

/// Members that follow each other without a gap, as ranges.
pub(crate) fn runs(blocks: impl Iterator<Item = u32>) -> impl Iterator<Item = Range<u32>> {
    let mut blocks = blocks.peekable();
    std::iter::from_fn(move || {
        let first = blocks.next()?;
        let mut end = first + 1;
        while blocks.next_if_eq(&end).is_some() {
            end += 1;
        }
        Some(first..end)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set_whatever_its_form(
            of in 1..5000_u32,
            changes in prop::collection::vec((any::<bool>(), any::<u32>()), 0..600),
        ) {
            let (mut blocks, mut model) = (Blocks::none(of), BTreeSet::new());
            for (put, block) in changes {
                let block = block % of;
                match put {
                    true => prop_assert_eq!(blocks.insert(block), model.insert(block)),
                    false => prop_assert_eq!(blocks.remove(block), model.remove(&block)),
                }
            }
            prop_assert_eq!(blocks.len() as usize, model.len());
            prop_assert!(blocks.iter().eq(model.iter().copied()));
            for block in 0..of {
                prop_assert_eq!(blocks.contains(block), model.contains(&block));
                prop_assert_eq!(blocks.rank(block) as usize, model.range(..block).count());
            }
            let mut bytes = Vec::new();
            blocks.encode(&mut bytes);
            bytes.push(7);
            let decoded = Blocks::decode(of, blocks.len(), &bytes);
            prop_assert_eq!(decoded, Some((blocks, &[7_u8][..])));
        }

        #[test]
        fn bytes_that_are_none_are_refused_or_are_a_set(
            (of, count) in (1..5000_u32, any::<u32>()),
            bytes in prop::collection::vec(any::<u8>(), 0..700),
        ) {
            if let Some((blocks, _)) = Blocks::decode(of, count, &bytes) {
                prop_assert_eq!(blocks.len(), count);
                prop_assert_eq!(blocks.iter().count() as u32, count);
                prop_assert!(blocks.iter().all(|block| block < of));
            }
        }
    }

    #[test]
    fn runs_are_what_follows_each_other() {
        let found: Vec<_> = runs([1, 2, 3, 7, 9, 10].into_iter()).collect();
        assert_eq!(found, [1..4, 7..8, 9..11]);
    }
}
