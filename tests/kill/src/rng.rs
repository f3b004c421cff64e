//! Choices that follow from a seed.

use std::time::Duration;

/// SplitMix64, by Steele, Lea and Flood: small, and good enough to choose by.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    /// Its own choices for each `part`, whatever the others do.
    pub(crate) fn new(seed: u64, part: [u64; 3]) -> Self {
        part.into_iter().fold(Self(seed), |mut rng, n| Self(rng.next() ^ n))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Less than `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// `count` times in a hundred.
    pub(crate) fn percent(&mut self, count: u64) -> bool {
        self.next() % 100 < count
    }

    pub(crate) fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_micros(1000 * from + self.next() % (1000 * (to - from)))
    }

    /// One of them; none of none.
    pub(crate) fn pick<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        (!of.is_empty()).then(|| of[self.below(of.len())].clone())
    }
}
