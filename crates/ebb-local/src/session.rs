//! Who has a volume open, and which blocks are being changed.
//!
//! A handle carries the generation of its session. Reset, delete and revoke end the session; the
//! next handle begins another, with a generation never used before. The generation is compared
//! under the same lock under which a write is ordered, so a stale handle can not write: nor with
//! the key that the volume had before a reset.
//!
//! A request that changes blocks claims them while it is under way. One that changes a block in
//! part reads it first, and so must be alone on its blocks; all others may share.

use std::cell::Cell;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use ebb_volume::{EngineError, IoError, VolumeId};

use crate::ahead::Streams;
use crate::cipher::Cipher;
use crate::planted::{Bug, Planted};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClaimId(u64);

/// A volume that is open, as its handle has it.
#[derive(Debug, Clone)]
pub(crate) struct Opened {
    pub(crate) volume: VolumeId,
    pub(crate) generation: u64,
    /// Of an encrypted volume.
    pub(crate) cipher: Option<Arc<Cipher>>,
}

#[derive(Debug)]
struct Claim {
    id: ClaimId,
    blocks: Range<u64>,
    alone: bool,
}

#[derive(Debug, Default)]
struct Session {
    generation: u64,
    handles: u64,
    under_way: u64,
    /// Someone waits until nothing is under way.
    awaited: Cell<bool>,
    claims: Vec<Claim>,
    streams: Streams,
}

#[derive(Debug, Default)]
pub(crate) struct Sessions {
    by_volume: HashMap<VolumeId, Session>,
    last_generation: u64,
    last_claim: u64,
    /// Threads that sleep until a claim is released, or nothing is under way.
    pub(crate) waiting: usize,
    pub(crate) planted: Planted,
}

impl Sessions {
    pub(crate) fn new(planted: Planted) -> Self {
        Self { planted, ..Self::default() }
    }

    /// A new handle's generation.
    pub(crate) fn open(&mut self, volume: VolumeId) -> u64 {
        let session = self.by_volume.entry(volume).or_default();
        if session.generation == 0 {
            self.last_generation += 1;
            session.generation = self.last_generation;
        }
        session.handles += 1;
        session.generation
    }

    pub(crate) fn close(&mut self, volume: VolumeId, generation: u64) {
        if let Some(session) = self.by_volume.get_mut(&volume)
            && session.generation == generation
        {
            session.handles -= 1;
        }
    }

    /// Lets a request in, or not. One let in is under way until [`Sessions::finish`] counts it.
    pub(crate) fn enter(&mut self, volume: VolumeId, generation: u64) -> Result<(), IoError> {
        let stale_may = self.planted.has(Bug::StaleHandleWrites);
        match self.by_volume.get_mut(&volume) {
            Some(session) if session.generation == generation || stale_may => {
                session.under_way += 1;
                Ok(())
            }
            _ => Err(IoError::Stale),
        }
    }

    /// The readers of a volume that is open.
    pub(crate) fn streams(&mut self, volume: VolumeId) -> Option<&mut Streams> {
        self.by_volume.get_mut(&volume).map(|session| &mut session.streams)
    }

    /// So many requests have ended. True: nothing is under way, and someone waits for that.
    pub(crate) fn finish(&mut self, volume: VolumeId, requests: usize) -> bool {
        let Some(session) = self.by_volume.get_mut(&volume) else {
            return false;
        };
        session.under_way -= requests as u64;
        session.under_way == 0 && session.awaited.take()
    }

    /// Whether nothing is under way. Who finds otherwise may wait for it under the same lock.
    pub(crate) fn is_idle(&self, volume: VolumeId) -> bool {
        let session = self.by_volume.get(&volume);
        session.is_none_or(|session| {
            session.awaited.set(session.under_way > 0);
            session.under_way == 0
        })
    }

    /// Makes every handle of the volume stale. What is under way goes on.
    pub(crate) fn revoke(&mut self, volume: VolumeId) {
        if let Some(session) = self.by_volume.get_mut(&volume) {
            self.last_generation += 1;
            session.generation = self.last_generation;
            session.handles = 0;
        }
    }

    /// Ends the session, unless a handle is open. Requests of handles closed may be under way.
    pub(crate) fn end(&mut self, volume: VolumeId) -> Result<(), EngineError> {
        match self.by_volume.get(&volume) {
            Some(session) if session.handles > 0 => Err(EngineError::InUse(volume)),
            _ => {
                self.revoke(volume);
                Ok(())
            }
        }
    }

    /// Claims blocks of a request under way. `None`: it has to wait for another's claim.
    pub(crate) fn claim(
        &mut self,
        volume: VolumeId,
        blocks: &Range<u64>,
        alone: bool,
    ) -> Option<ClaimId> {
        let session = self.by_volume.get_mut(&volume)?;
        let blocked = session.claims.iter().any(|held| {
            (alone || held.alone)
                && held.blocks.start < blocks.end
                && blocks.start < held.blocks.end
        });
        if blocked {
            return None;
        }
        self.last_claim += 1;
        let id = ClaimId(self.last_claim);
        session.claims.push(Claim { id, blocks: blocks.clone(), alone });
        Some(id)
    }

    pub(crate) fn release(&mut self, volume: VolumeId, id: ClaimId) {
        if let Some(session) = self.by_volume.get_mut(&volume) {
            session.claims.retain(|claim| claim.id != id);
        }
    }
}
