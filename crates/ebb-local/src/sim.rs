//! The simulator: the engine's own code on a disk that crashes and lies, from one seed.
//!
//! ```text
//!   seed ─► world: random requests, changes, steps ─► pool ─► SimDisk: loses, tears,
//!              │                                                           reorders, fails
//!              └── model: every change in the order of the log; a right image is a prefix
//! ```
//! A world has neither threads nor a clock: the same seed makes the same trace. `cargo xtask sim`
//! runs many worlds, or one again; docs/internals/testing.md says more.
//!
//! The planted bugs at the end are the check of the simulator itself.

mod costs;
mod disk;
mod exhaustive;
mod failure;
mod faults;
mod model;
mod planted;
mod punching;
mod run;
mod together;
mod world;

/// A small generator of numbers, the same on every machine: SplitMix64.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x9e37_79b9_7f4a_7c15)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, which is not 0.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// True once in `n` times.
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        match from.len() {
            0 => None,
            n => from.get(self.below(n as u64) as usize),
        }
    }
}
