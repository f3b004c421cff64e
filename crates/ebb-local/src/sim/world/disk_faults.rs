//! A disk that fails and crashes, and what is left of the pool after it.

use std::sync::Arc;

use super::World;
use crate::layout::{BLOCK, EXTENTS_START, SLOTS};
use crate::pool::{Pool, Scrub, WriteStep};
use crate::sim::disk::{Loss, SimDisk};
use crate::storage::Storage;

impl World {
    pub(super) fn damage(&mut self) -> Result<(), String> {
        self.settle()?;
        if self.disk.is_dead() || self.pool()?.health().is_err() {
            return Ok(());
        }
        self.model.compare(&self.image()?)?;
        let end = self.disk.len().unwrap_or(0);
        let blocks: Vec<u64> = (EXTENTS_START..end).step_by(BLOCK).collect();
        let (pages, others): (Vec<u64>, Vec<u64>) =
            blocks.into_iter().partition(|at| self.disk.block(*at).starts_with(b"EBBTPAG"));
        for _ in 0..8 {
            let mut any = || {
                let of = if self.random.one_in(2) { &pages } else { &others };
                self.random.pick(of).copied()
            };
            let (Some(offset), Some(other)) = (any(), any()) else {
                continue;
            };
            let before = self.disk.block(offset);
            let bit = self.random.below(8 * BLOCK as u64);
            match self.random.below(4) {
                // A write that was lost, and one that went elsewhere.
                0 => self.disk.replace(offset, &[0; BLOCK]),
                1 => self.disk.replace(offset, &self.disk.block(other)),
                _ => self.disk.flip(offset + bit / 8, (bit % 8) as u32),
            }
            self.check_damaged()?;
            self.disk.replace(offset, &before);
        }
        Ok(())
    }

    pub(super) fn fail_something(&mut self) -> Result<(), String> {
        match self.random.below(6) {
            0 => {
                self.tell("the next sync will fail".into());
                self.disk.fail_next_sync();
            }
            1 => {
                self.tell("the next write will fail".into());
                self.disk.fail_next_write();
            }
            2 => self.fail_a_read()?,
            3 => self.lose_a_write()?,
            _ => {
                let length = self.disk.len().unwrap_or(0);
                let more = self.random.below(4) * self.geometry.segment_bytes();
                self.tell("the disk is full".into());
                self.disk.set_capacity(Some(length + more));
            }
        }
        Ok(())
    }

    /// Whatever reads next finds a bad sector: a write in part, a checkpoint, a scrub.
    fn fail_a_read(&mut self) -> Result<(), String> {
        self.settle()?;
        self.tell("the next read will fail".into());
        let pool = self.pool()?;
        self.disk.fail_next_read(true);
        match self.random.below(3) {
            0 => self.write(),
            1 => self.checkpoint_step(&pool),
            _ => drop(pool.scrub_step(&mut Scrub::default())),
        }
        self.disk.fail_next_read(false);
        self.take_answers()
    }

    /// The disk says of a write that it was done, and it was not, or elsewhere. Whoever reads it
    /// finds out. Then it is as if nothing had been wrong: of what a start would find nothing can
    /// be promised, where the write was the last.
    fn lose_a_write(&mut self) -> Result<(), String> {
        self.settle()?;
        let pool = self.pool()?;
        if self.disk.is_dead() || pool.health().is_err() {
            return Ok(());
        }
        match self.random.below(4) as i64 {
            0 => self.disk.lose_next_write(),
            by => self.disk.misdirect_next_write(-by * BLOCK as i64),
        }
        self.tell("the next write is lost".into());
        self.write();
        let written = pool.write_step() == WriteStep::Done;
        self.take_answers()?;
        if written && !self.disk.is_dead() && pool.health().is_ok() {
            self.check_damaged()?;
        }
        self.disk.mend();
        self.check_live()
    }

    pub(super) fn crash_and_reopen(&mut self) -> Result<(), String> {
        let loss = match self.random.below(7) {
            0 => Loss::All,
            1 | 2 => Loss::Some,
            3 | 4 => Loss::One,
            _ => Loss::None,
        };
        self.crash(loss);
        self.reopen()
    }

    /// The end of a process that was asked to stop, often in the middle of a checkpoint.
    pub(super) fn close_and_reopen(&mut self) -> Result<(), String> {
        self.settle()?;
        let pool = self.pool()?;
        for _ in 0..self.random.below(6) {
            self.checkpoint_step(&pool);
        }
        self.settle()?;
        self.tell("close".into());
        if pool.close().is_ok() {
            self.model.make_durable(self.model.completed());
        }
        self.take_answers()?;
        drop(pool);
        self.crash(Loss::All);
        self.reopen()
    }

    fn crash(&mut self, loss: Loss) {
        self.tell(format!("crash, loss {loss:?}"));
        self.end_process();
        self.disk.crash(&mut self.random, loss);
        self.disk.set_capacity(None);
        if self.random.one_in(3) && self.slots_agree() {
            let slot = SLOTS[self.random.below(2) as usize];
            self.tell(format!("a bit flips in the superblock at {slot}"));
            self.disk.flip(slot + 20, 1);
        }
    }

    /// The pool and all that was asked of it are gone.
    pub(in crate::sim) fn end_process(&mut self) {
        self.handles.clear();
        self.stale.clear();
        self.asked.clear();
        if let (Some(pool), Some(vitals)) = (self.pool.take(), &mut self.vitals) {
            vitals.used(pool.vitals());
        }
        self.answers.lock().unwrap().clear();
    }

    pub(super) fn reopen(&mut self) -> Result<(), String> {
        loop {
            if self.random.one_in(3) {
                let after = self.random.below(10);
                self.disk.set_fuse(after);
            }
            match Pool::open(self.disk.clone(), self.setup()) {
                Ok(pool) => return self.go_on_with(pool),
                Err(_) if self.disk.is_dead() => self.crash(Loss::Some),
                Err(error) => return Err(format!("the pool refused to open: {error}")),
            }
        }
    }

    /// Opens the pool, which nothing keeps from it.
    pub(in crate::sim) fn open(&mut self) -> Result<(), String> {
        match Pool::open(self.disk.clone(), self.setup()) {
            Ok(pool) => self.go_on_with(pool),
            Err(error) => Err(format!("the pool refused to open: {error}")),
        }
    }

    /// Compares what was recovered with the model, and goes on from there.
    fn go_on_with(&mut self, pool: Pool<SimDisk>) -> Result<(), String> {
        let vitals = pool.vitals();
        if let Some(before) = self.vitals
            && !vitals.grew_since(before)
        {
            return Err(format!("{vitals:?} after {before:?}"));
        }
        let counts_as_written = |extent: &u64| !pool.is_cold(*extent);
        for extent in (0..vitals.written_extents).filter(counts_as_written) {
            let begin = self.geometry.offset(extent, 0);
            if !self.disk.has_space(begin, begin + self.geometry.segment_bytes()) {
                return Err(format!("extent {extent} counts as there and has no space"));
            }
        }
        self.vitals = Some(vitals);
        self.pool = Some(Arc::new(pool));
        self.tell("opened".into());
        let image = self.image();
        if self.disk.is_dead() {
            return Ok(());
        }
        self.model.recover(image?)?;
        self.check_pool()?;
        match self.unanswered.take() {
            Some((op, change)) => self.repeat(op, change),
            None => Ok(()),
        }
    }
}
