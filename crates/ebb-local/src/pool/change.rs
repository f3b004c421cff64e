//! Engine calls: checked, logged in a record of their own, synced, answered.

use std::collections::VecDeque;
use std::sync::mpsc;

use ebb_volume::{EngineError, IoError, OpId, VolumeId};

use super::Pool;
use crate::record::{Change, Entry, HEADER_ROOM};
use crate::request::{Piece, Purpose, Request, Ticket};
use crate::storage::Storage;

type Outcome = Result<bytes::Bytes, IoError>;

impl<S: Storage> Pool<S> {
    /// Makes a change of the version tree, once for each `op`. Durable when it returns.
    pub(crate) fn change(&self, op: OpId, change: Change) -> Result<(), EngineError> {
        // Until the answer is known nobody else sees or checks against the change.
        let _control = self.control();
        let (sender, receiver) = mpsc::sync_channel(1);
        let mut state = self.serving()?;
        if state.catalog.was_made(op, &change)? || !state.catalog.check(&change)? {
            return Ok(());
        }
        let piece = Piece::plain(Entry::Version(op, change.clone()));
        if !self.fits_a_record(&piece) {
            return Err(EngineError::NoSpace);
        }
        if let Some(volume) = needs_no_handles(&change) {
            // No handle comes in before the change is made: opening one takes the control lock.
            state.sessions.end(volume)?;
            while !state.sessions.is_idle(volume) {
                state = self.wait_released(state);
            }
            if let Some(reason) = &state.stopped {
                return Err(EngineError::Stopped(reason.clone()));
            }
        }
        let pieces = VecDeque::from([piece]);
        state.changes.push_back(Request {
            log_blocks: Request::log_blocks(&pieces, self.geometry.segment_blocks),
            pieces,
            purpose: Purpose::Change,
            durable: true,
            ticket: ticket(sender),
            claim: None,
        });
        drop(state);
        self.write_all();
        self.wait_answer(&receiver)?;
        Ok(())
    }

    fn wait_answer(&self, receiver: &mpsc::Receiver<Outcome>) -> Result<(), EngineError> {
        let outcome = loop {
            if self.threaded() {
                break receiver.recv().unwrap_or(Err(IoError::Failed));
            }
            match receiver.try_recv() {
                Ok(outcome) => break outcome,
                Err(_) => drop(self.wait_released(self.lock())),
            }
        };
        match outcome {
            Ok(_) => Ok(()),
            Err(IoError::NoSpace) => Err(EngineError::NoSpace),
            Err(error) => {
                self.health()?;
                Err(EngineError::Stopped(error.to_string()))
            }
        }
    }

    fn fits_a_record(&self, piece: &Piece) -> bool {
        let checks = piece.blocks() * piece.entry.check_bytes();
        let fits = piece.entry.header_bytes() + checks <= HEADER_ROOM;
        fits && piece.blocks() < self.geometry.segment_blocks as usize
    }

    /// Makes everything durable and stops. A checkpoint comes on top where it is quick.
    pub(crate) fn close(&self) -> Result<(), EngineError> {
        let _control = self.control();
        let mut state = self.serving()?;
        state.closing = true;
        while state.stopped.is_none() && (state.writing || state.syncing || state.has_waiting()) {
            state = self.wait_released(state);
        }
        let durable = state.durable_seq == state.written.last.seq;
        drop(state);
        if !durable {
            let (sender, receiver) = mpsc::sync_channel(1);
            self.join_sync(ticket(sender));
            self.wait_answer(&receiver)?;
        }
        self.checkpoint_at_close();
        self.stop("it was closed");
        Ok(())
    }

    /// Answers nothing more, and lets others open the file.
    pub(crate) fn stop(&self, reason: &str) {
        let mut state = self.lock();
        state.closing = true;
        while state.writing || state.syncing || state.stock.making || state.checkpointing {
            state = self.sleep_until_released(state);
        }
        let answers = state.stop(reason.into());
        drop(state);
        self.storage.unlock();
        self.released.notify_all();
        self.sync_wanted.notify_all();
        self.segment_wanted.notify_all();
        self.checkpoint_wanted.notify_all();
        self.scrub_paused.notify_all();
        self.answer(answers);
    }
}

/// One whose outcome goes to a receiver.
fn ticket(sender: mpsc::SyncSender<Outcome>) -> Ticket {
    let done = move |outcome| {
        // It waits.
        let _ = sender.send(outcome);
    };
    Ticket::new(None, Box::new(done))
}

/// The volume that must not be open.
fn needs_no_handles(change: &Change) -> Option<VolumeId> {
    match change {
        Change::Reset { volume, .. } | Change::DeleteVolume { volume } => Some(*volume),
        _ => None,
    }
}
