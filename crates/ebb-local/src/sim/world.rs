//! One seed's world: what is asked of the pool, and what happens to its disk.
//!
//! ```text
//!   live ─► step ─► requests | versions | steps | checks | disk_faults ─► pool, and the model too
//! ```
//! What is asked is told to the model in the order in which the log will hold it. Each kind of
//! thing that happens is in a file of its own.

mod checks;
mod disk_faults;
mod ending;
mod requests;
mod small;
mod steps;
mod versions;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use ebb_volume::{DataKey, IoError, OpId};

use self::requests::Asked;
pub(super) use self::small::Small;
use super::Random;
use super::disk::SimDisk;
use super::failure::{Failure, catching};
use super::model::Model;
use crate::cipher::{Cipher, used};
use crate::layout::{BLOCK, Geometry};
use crate::planted::Planted;
use crate::pool::{Pool, Setup, Vitals};
use crate::record::Change;
use crate::volume::Handle;

type SimPool = Pool<SimDisk>;
type Answers = Arc<Mutex<Vec<(usize, Result<Bytes, IoError>)>>>;

pub(super) struct World {
    random: Random,
    planted: Planted,
    pub(super) disk: SimDisk,
    geometry: Geometry,
    cache_bytes: u64,
    reserve_segments: usize,
    walk_pages: u64,
    /// Blocks of a large volume. Most worlds have small ones only.
    wide_blocks: u64,
    /// Those of its encrypted volumes. Half of the worlds have none.
    keys: Vec<Arc<Cipher>>,
    pool: Option<Arc<SimPool>>,
    handles: BTreeMap<u64, Handle<SimDisk>>,
    stale: Vec<Handle<SimDisk>>,
    pub(super) model: Model,
    asked: BTreeMap<usize, Asked>,
    answers: Answers,
    last_id: u64,
    last_op: u64,
    last_request: usize,
    /// A change whose answer a crash took.
    unanswered: Option<(OpId, Change)>,
    pub(super) vitals: Option<Vitals>,
    /// What was done, for whoever reads a failure.
    pub(super) story: Vec<String>,
}

/// Runs a seed. The digest of all that was done to the disk, or what went wrong.
pub(super) fn simulate(seed: u64, steps: u64, planted: Planted) -> Result<u32, Failure> {
    // Of all that happens to a world, crashes and all, no nonce is used twice.
    used::mind();
    let mut world = World::new(seed, planted);
    match catching(|| world.live(steps)) {
        Ok(()) => Ok(world.disk.trace()),
        Err(what) => Err(Failure { seed, what, story: world.story }),
    }
}

impl World {
    pub(super) fn new(seed: u64, planted: Planted) -> Self {
        let mut random = Random::new(seed);
        let disk = SimDisk::default();
        if random.one_in(3) {
            disk.set_short(Random::new(seed.wrapping_add(1)));
        }
        let segment_blocks = 12 + random.below(30) as u32;
        // Often so few that every look-up reads pages.
        let cache_bytes = [0, 8, 1000][random.below(3) as usize] * BLOCK as u64;
        // Several leaves of a map, and whole ones that a discard cuts off.
        let wide_blocks = if random.one_in(8) { 300 + random.below(500) } else { 0 };
        let walk_pages = if random.one_in(2) { 10 } else { 1000 };
        // Of its own, so that a world without keys is what it was before there were any. The number
        // is one with which the seeds of planted bugs find them still.
        let has_keys = Random::new(seed.wrapping_add(0x82e5)).one_in(2);
        let keys: &[u8] = if has_keys { &[1, 2] } else { &[] };
        let cipher = |byte: &u8| Arc::new(Cipher::new(&DataKey::new([*byte; 32])));
        Self {
            random,
            keys: keys.iter().map(cipher).collect(),
            cache_bytes,
            walk_pages,
            wide_blocks,
            ..Self::on(disk, segment_blocks, planted)
        }
    }

    /// With no pool yet and nothing left to chance.
    pub(super) fn on(disk: SimDisk, segment_blocks: u32, planted: Planted) -> Self {
        Self {
            random: Random::new(0),
            planted,
            disk,
            geometry: Geometry { segment_blocks },
            cache_bytes: 0,
            reserve_segments: 2,
            walk_pages: 1000,
            wide_blocks: 0,
            keys: Vec::new(),
            pool: None,
            handles: BTreeMap::new(),
            stale: Vec::new(),
            model: Model::default(),
            asked: BTreeMap::new(),
            answers: Answers::default(),
            last_id: 0,
            last_op: 0,
            last_request: 0,
            unanswered: None,
            vitals: None,
            story: Vec::new(),
        }
    }

    fn live(&mut self, steps: u64) -> Result<(), String> {
        self.reopen()?;
        // What needs many versions needs long lives.
        let steps = if self.random.one_in(16) { 8 * steps } else { steps };
        for _ in 0..steps {
            self.step()?;
            self.take_answers()?;
            // It may fail again while a change is repeated that the crash before took.
            while self.disk.is_dead() || self.pool()?.health().is_err() {
                self.crash_and_reopen()?;
            }
        }
        self.check_live()?;
        self.crash_and_reopen()?;
        self.delete_everything()
    }

    pub(super) fn tell(&mut self, what: String) {
        self.story.push(what);
    }

    pub(super) fn pool(&self) -> Result<Arc<SimPool>, String> {
        self.pool.clone().ok_or_else(|| "no pool".into())
    }

    fn step(&mut self) -> Result<(), String> {
        if self.random.one_in(40) {
            let after = self.random.below(12);
            self.tell(format!("the power will fail after {after}"));
            self.disk.set_fuse(after);
        }
        match self.random.below(100) {
            0..30 => self.write(),
            30..38 => self.zero_or_discard(),
            38..44 => self.flush(),
            44..62 => self.take_steps(),
            62..72 => self.check_live()?,
            72..88 => self.change_versions()?,
            88..91 => self.revoke()?,
            91..94 => self.damage()?,
            94..97 => self.fail_something()?,
            97 if self.random.one_in(4) => self.close_and_reopen()?,
            97..99 => {
                self.checkpoint()?;
                if self.random.one_in(2) {
                    self.crash_and_reopen()?;
                }
            }
            _ => self.crash_and_reopen()?,
        }
        Ok(())
    }

    fn setup(&self) -> Setup {
        Setup {
            pool_id: [7; 16],
            warm_segments: 1 + self.reserve_segments,
            reserve_segments: self.reserve_segments,
            cache_bytes: self.cache_bytes,
            walk_pages: self.walk_pages,
            planted: self.planted,
            ..Setup::by_hand(self.geometry.segment_blocks)
        }
    }
}
