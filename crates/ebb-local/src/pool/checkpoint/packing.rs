//! Packing: copying what is alive out of extents that are mostly dead, so that they are free.
//!
//! ```text
//!   extent 3   a . . b . .  ┐
//!   extent 4   . c . . . .  ┼─► packed extent 9   a b c d     3, 4 and 7 are free behind the
//!   extent 7   . . . d . .  ┘                                 checkpoint
//! ```
//! Only the table of segments learns of it: addresses stay, so no map, page or snapshot changes.
//! The checkpoint that packs names the new places, and until it is durable the old ones are as
//! good. So packing needs no record in the log, and a crash leaves it done or undone.
//!
//! What was packed before and is alive still will mostly stay so for long: it goes to another
//! extent than what is packed for the first time.
//!
//! Deliberately not here: checking what is copied. Its checksum is in a page, not beside it; a
//! reader compares it as ever, and scrubbing does before anybody reads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering::Relaxed;

use super::job::Job;
use super::{Halt, Pool};
use crate::blocks::Blocks;
use crate::layout::BLOCK;
use crate::meta::Meta;
use crate::planted::Bug;
use crate::segments::{Class, Packed, Place, Spot};
use crate::space::Space;
use crate::storage::Storage;

/// Extents that one checkpoint packs at most.
const MOST_VICTIMS: usize = 32;
/// An extent that is fuller than this is not worth the copying, in percent.
const FULL_PERCENT: u64 = 90;
/// So much of what is allocated may be dead, in percent.
const GARBAGE_PERCENT: u64 = 25;
/// So many extents packing is to gain where space is short.
const SHORT_EXTENTS: u64 = 8;
/// Below so many extents of garbage nothing is packed.
const LEAST_EXTENTS: u64 = 4;
/// The stream of what was packed before, among the two.
const PACKED_BEFORE: usize = 1;

/// What packing came to in one checkpoint.
#[derive(Default)]
pub(super) struct Packing {
    /// Extents to be packed, the best last. None: not chosen yet.
    victims: Option<Vec<Victim>>,
    /// Places that are new with this checkpoint.
    pub(super) places: BTreeMap<u64, Place>,
    /// Extents that nothing more is copied to: they are full, or not needed.
    pub(super) closed: BTreeSet<u64>,
    /// Extents that it took to fill.
    taken: usize,
    /// There is more worth packing.
    pub(super) left: bool,
}

struct Victim {
    extent: u64,
    alive: u64,
    /// Segments in it.
    ids: Vec<u64>,
    was_packed: bool,
}

/// Extents being filled: with what is packed for the first time, and with what was before.
#[derive(Default)]
pub(super) struct Packer {
    open: [Option<Spot>; 2],
    /// Extents that could not be read: not tried again.
    bad: BTreeSet<u64>,
}

/// What of an extent is alive.
#[derive(Default)]
struct Use {
    alive: u64,
    ids: Vec<u64>,
    is_packed: bool,
    newest: u64,
    /// Something in it is written still.
    is_open: bool,
}

impl Packer {
    pub(super) fn open_extents(&self) -> impl Iterator<Item = u64> + '_ {
        self.open.iter().flatten().map(|spot| spot.extent)
    }

    /// Takes the extents away that need not be filled: those with nothing alive in them, and the
    /// second one where space is short. What was copied to that can be packed then like any other.
    fn close(&mut self, uses: &mut BTreeMap<u64, Use>, is_short: bool) -> BTreeSet<u64> {
        let mut closed = BTreeSet::new();
        for (stream, open) in self.open.iter_mut().enumerate() {
            let Some(Spot { extent, .. }) = *open else { continue };
            let used = uses.entry(extent).or_default();
            let is_needed = used.alive > 0 && !(is_short && stream == PACKED_BEFORE);
            match is_needed {
                true => used.is_open = true,
                false => {
                    closed.insert(extent);
                    *open = None;
                }
            }
        }
        closed
    }
}

impl<S: Storage> Pool<S> {
    /// Packs one extent. True: none is left that is worth it, or there is no room for more.
    pub(super) fn pack_next(
        &self,
        job: &mut Job,
        meta: &mut Meta,
        space: &Space,
        packer: &mut Packer,
    ) -> Result<bool, Halt> {
        let mut victims = match job.packing.victims.take() {
            Some(victims) => victims,
            None => self.choose_victims(job, meta, space, packer),
        };
        let Some(victim) = victims.pop() else {
            return Ok(true);
        };
        job.packing.victims = Some(victims);
        let is_whole = self.pack_extent(&victim, job, meta, space, packer)?;
        if !is_whole {
            // What was packed so far makes room for the rest.
            job.packing.left = !job.packing.places.is_empty();
        }
        Ok(!is_whole)
    }

    /// The extents worth packing, the best last.
    fn choose_victims(
        &self,
        job: &mut Job,
        meta: &Meta,
        space: &Space,
        packer: &mut Packer,
    ) -> Vec<Victim> {
        let is_short = self.lock().stock.is_short();
        let mut uses = self.uses(job, meta, space);
        job.packing.closed = packer.close(&mut uses, is_short);
        let extent_blocks = u64::from(self.geometry.segment_blocks);
        let closed = || uses.iter().filter(|(_, used)| !used.is_open);
        let allocated = closed().count() as u64 * extent_blocks;
        let alive: u64 = closed().map(|(_, used)| used.alive).sum();
        // What goes by itself needs no packing. A segment that is packed, dead here and alive in
        // another extent, has to forget this one.
        let goes = |used: &Use| used.alive == 0 && !used.is_packed;
        let empty = closed().filter(|(_, used)| goes(used)).count() as u64 * extent_blocks;
        let allocated = allocated - empty;
        let gain_wanted = self.gain_wanted(is_short, allocated, allocated - alive, empty);
        if gain_wanted == 0 {
            return Vec::new();
        }
        let newest = uses.values().map(|used| used.newest).max().unwrap_or(0);
        let worth = |used: &Use| {
            let (free, age) = (extent_blocks - used.alive, newest - used.newest + 1);
            let age = if is_short { 1 } else { age };
            u128::from(free) * u128::from(age) * 1000 / u128::from(extent_blocks + used.alive)
        };
        let not_full = |used: &Use| used.alive * 100 < extent_blocks * FULL_PERCENT;
        let mut victims: Vec<(u64, Use)> = uses
            .into_iter()
            .filter(|(extent, used)| {
                let is_bad = packer.bad.contains(extent);
                !used.is_open && !goes(used) && not_full(used) && !is_bad
            })
            .collect();
        victims.sort_by_cached_key(|(extent, used)| (std::cmp::Reverse(worth(used)), *extent));
        let (mut chosen, mut gain) = (Vec::new(), 0);
        for (extent, used) in victims {
            if gain >= gain_wanted || chosen.len() >= MOST_VICTIMS {
                break;
            }
            gain += extent_blocks - used.alive;
            let Use { alive, ids, is_packed: was_packed, .. } = used;
            chosen.push(Victim { extent, alive, ids, was_packed });
        }
        job.packing.left = !is_short && gain < gain_wanted && !chosen.is_empty();
        chosen.reverse();
        chosen
    }

    /// What packing is to gain, in blocks: down to the garbage that a pool may have; or, where
    /// space is short, some extents, from those that take the least copying. What goes by itself
    /// counts for that.
    fn gain_wanted(&self, is_short: bool, allocated: u64, garbage: u64, empty: u64) -> u64 {
        let extent_blocks = u64::from(self.geometry.segment_blocks);
        let most = allocated * GARBAGE_PERCENT / 100;
        match is_short {
            true if garbage < extent_blocks => 0,
            true => (SHORT_EXTENTS * extent_blocks).saturating_sub(empty),
            false if garbage < LEAST_EXTENTS * extent_blocks => 0,
            false => garbage.saturating_sub(most),
        }
    }

    /// What of each extent is used, by the log, by pages and by what was packed.
    fn uses(&self, job: &Job, meta: &Meta, space: &Space) -> BTreeMap<u64, Use> {
        let mut uses: BTreeMap<u64, Use> = BTreeMap::new();
        for (id, row) in self.segments.rows().iter() {
            let is_open = match row.class {
                Class::Log => *id >= job.at.segment.id && !self.planted.has(Bug::TailPacked),
                Class::Meta => meta.has(*id) || job.wrote.contains(id),
            };
            let mut extents: Vec<u64> = row.place.extents().collect();
            extents.sort_unstable();
            extents.dedup();
            for extent in &extents {
                let used = uses.entry(*extent).or_default();
                used.ids.push(*id);
                used.is_packed |= row.place.present().is_some();
                used.newest = used.newest.max(*id);
                used.is_open |= is_open;
            }
            let alive = space.blocks(*id);
            match &extents[..] {
                [extent] => {
                    let count = alive.map_or(0, Blocks::len);
                    uses.entry(*extent).or_default().alive += u64::from(count);
                }
                _ => {
                    let spots = alive.into_iter().flat_map(Blocks::iter);
                    for spot in spots.filter_map(|block| row.place.spot(block)) {
                        uses.entry(spot.extent).or_default().alive += 1;
                    }
                }
            }
        }
        uses
    }

    /// Copies what of an extent is alive, as far as there is room. False: there was not enough.
    ///
    /// What fits is moved all the same. Each extent that is taken for copies is filled to its end,
    /// so packing makes fewer extents that are not full, and comes to an end also where no two of
    /// them fit into one.
    fn pack_extent(
        &self,
        victim: &Victim,
        job: &mut Job,
        meta: &mut Meta,
        space: &Space,
        packer: &mut Packer,
    ) -> Result<bool, Halt> {
        let Some(bytes) = self.read_extent(victim, packer) else {
            return Ok(true);
        };
        // Where space is short there is none for two that are half full.
        let is_short = self.lock().stock.is_short();
        let stream = if victim.was_packed && !is_short { PACKED_BEFORE } else { 0 };
        let mut to = Targets {
            pool: self,
            open: packer.open[stream],
            filled: Vec::new(),
            taken: job.packing.taken,
            is_out: false,
        };
        let planned = self.plan_copies(victim, &job.packing, space, &mut to);
        packer.open[stream] = to.open;
        job.packing.taken = to.taken;
        job.packing.closed.extend(to.filled);
        let (copies, places) = planned?;
        self.write_copies(&bytes, &copies, meta)?;
        job.packing.places.extend(places);
        Ok(!to.is_out)
    }

    fn plan_copies(
        &self,
        victim: &Victim,
        packing: &Packing,
        space: &Space,
        to: &mut Targets<'_, S>,
    ) -> Result<(Copies, BTreeMap<u64, Place>), Halt> {
        let mut copies = Copies { new: Vec::new(), blocks: Vec::new() };
        let mut places = BTreeMap::new();
        for id in &victim.ids {
            let place = match packing.places.get(id) {
                Some(place) => Some(place.clone()),
                None => self.segments.rows().get(id).map(|row| row.place.clone()),
            };
            let Some(place) = place else { continue };
            let copied = copies.new.len();
            let moved = self.moved(&place, victim.extent, space.blocks(*id), to, &mut copies)?;
            if !to.is_out || copies.new.len() > copied {
                places.insert(*id, moved);
            }
        }
        Ok((copies, places))
    }

    /// None: it can not be read.
    fn read_extent(&self, victim: &Victim, packer: &mut Packer) -> Option<Vec<u8>> {
        if victim.alive == 0 {
            return Some(Vec::new());
        }
        let mut bytes = vec![0; self.geometry.segment_bytes() as usize];
        match self.storage.read_at(self.geometry.offset(victim.extent, 0), &mut bytes) {
            Ok(()) => Some(bytes),
            Err(error) => {
                tracing::error!("extent {} can not be packed: {error}", victim.extent);
                packer.bad.insert(victim.extent);
                None
            }
        }
    }

    /// Where the blocks of a segment are when those that are alive in the victim were copied.
    fn moved(
        &self,
        place: &Place,
        victim: u64,
        alive: Option<&Blocks>,
        to: &mut Targets<'_, S>,
        copies: &mut Copies,
    ) -> Result<Place, Halt> {
        let of = self.geometry.segment_blocks;
        let none = Blocks::none(of);
        let alive = alive.unwrap_or(&none);
        let is_alive = |block: &u32| {
            let is = alive.contains(*block);
            if self.planted.has(Bug::DeadForAlive) { !is } else { is }
        };
        // Of a whole segment nothing is elsewhere.
        let there: Vec<u32> = place.present().unwrap_or(alive).iter().collect();
        let mut spots = Vec::with_capacity(there.len());
        for block in there {
            let Some(spot) = place.spot(block) else { continue };
            if spot.extent != victim {
                spots.push((block, spot));
            } else if is_alive(&block) {
                let new = to.next()?;
                if let Some(new) = new {
                    copies.blocks.push(spot.block);
                    copies.new.push(new);
                }
                spots.push((block, new.unwrap_or(spot)));
            }
        }
        Ok(Place::Packed(Packed::new(of, spots.into_iter())))
    }

    fn write_copies(&self, bytes: &[u8], copies: &Copies, meta: &mut Meta) -> Result<(), Halt> {
        let follows = |a: &Spot, b: &Spot| a.extent == b.extent && a.block + 1 == b.block;
        let mut from = copies.blocks.iter();
        for run in copies.new.chunk_by(follows) {
            let parts: Vec<&[u8]> = from
                .by_ref()
                .take(run.len())
                .map(|block| &bytes[*block as usize * BLOCK..][..BLOCK])
                .collect();
            let offset = self.geometry.offset(run[0].extent, run[0].block);
            self.storage
                .write_at(offset, &parts)
                .map_err(|error| self.stop_failed(&format!("packing: {error}")))?;
            self.counters.blocks_packed.fetch_add(run.len() as u64, Relaxed);
            meta.unsynced_bytes += (run.len() * BLOCK) as u64;
        }
        self.sync_after(meta)
    }
}

/// Blocks of the victim, and where each goes.
struct Copies {
    blocks: Vec<u32>,
    new: Vec<Spot>,
}

/// Where the next block goes.
struct Targets<'a, S> {
    pool: &'a Pool<S>,
    open: Option<Spot>,
    filled: Vec<u64>,
    taken: usize,
    /// There was no room for some.
    is_out: bool,
}

impl<S: Storage> Targets<'_, S> {
    /// None: there is no room for it.
    fn next(&mut self) -> Result<Option<Spot>, Halt> {
        let open = match self.open {
            None if !self.is_out => self.take()?,
            open => open,
        };
        let Some(spot) = open else {
            self.is_out = true;
            return Ok(None);
        };
        let behind = spot.block + 1;
        self.open = (behind < self.pool.geometry.segment_blocks)
            .then_some(Spot { extent: spot.extent, block: behind });
        if self.open.is_none() {
            self.filled.push(spot.extent);
        }
        Ok(Some(spot))
    }

    fn take(&mut self) -> Result<Option<Spot>, Halt> {
        // Without one nothing is ever free again; more are worth what is left.
        let segment = match self.taken {
            0 => self.pool.spare_segment(),
            _ => self.pool.surplus_segment(),
        };
        match segment {
            Ok(segment) => {
                self.taken += 1;
                // Its id is given to nobody.
                Ok(Some(Spot { extent: segment.extent, block: 0 }))
            }
            Err(Halt::NoSpace) => Ok(None),
            Err(halt) => Err(halt),
        }
    }
}
