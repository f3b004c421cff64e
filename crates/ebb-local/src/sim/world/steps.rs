//! What the engine's threads would do, one step at a time.

use super::{SimPool, World};
use crate::pool::{CheckpointStep, WriteStep};

impl World {
    pub(super) fn take_steps(&mut self) {
        let Ok(pool) = self.pool() else {
            return;
        };
        for _ in 0..=self.random.below(3) {
            match self.random.below(6) {
                0 | 1 => drop(pool.write_step()),
                2 => drop(pool.sync_step()),
                3 => drop(pool.stock_step()),
                _ => self.checkpoint_step(&pool),
            }
        }
    }

    pub(super) fn checkpoint_step(&mut self, pool: &SimPool) {
        let step = pool.checkpoint_step();
        self.tell(format!("checkpoint: {step:?}"));
    }

    /// Goes on with a checkpoint until it is finished, as far as there is space.
    pub(super) fn checkpoint(&mut self) -> Result<(), String> {
        let pool = self.pool()?;
        let crash = self.random.one_in(2);
        for _ in 0..200 {
            // Often between two of the few writes and syncs of its last step.
            if crash && self.random.one_in(6) {
                self.disk.set_fuse(self.random.below(4));
            }
            match pool.checkpoint_step() {
                CheckpointStep::More => {}
                CheckpointStep::Finished if self.same_slots() => {
                    self.tell("checkpoint: Finished".into());
                    self.check_pool()?;
                    break;
                }
                CheckpointStep::GaveUp => return Err("a checkpoint was given up".into()),
                CheckpointStep::Finished if !self.same_slots() => {
                    return Err("a checkpoint is finished and not in both slots".into());
                }
                step => {
                    self.tell(format!("checkpoint: {step:?}"));
                    break;
                }
            }
        }
        self.take_answers()
    }

    /// Writes all that waits.
    pub(super) fn settle(&mut self) -> Result<(), String> {
        let pool = self.pool()?;
        for _ in 0..10_000 {
            pool.write_all();
            if pool.stock_step() {
                continue;
            }
            if pool.health().is_err() || pool.write_step() != WriteStep::NeedsSegment {
                return self.take_answers();
            }
            pool.make_space();
        }
        Err("a request is neither written nor refused".into())
    }
}
