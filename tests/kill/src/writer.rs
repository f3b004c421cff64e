//! One NBD connection that writes stamped blocks, until its server is killed.
//!
//! Each writer has blocks of its own on its disk; a flush covers those of all. A connection may
//! break only where the server is killed or the disk detached. An answer may be ENOSPC only where
//! the file system is small, and then the connection goes on.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use ebb_nbd::client::{Client, ClientError};
use ebb_nbd::wire::Errno;

use crate::counts::Counts;
use crate::disk::{Disk, Gate, Shape};
use crate::ledger::{BLOCK, Event, Stamp, judge};
use crate::rng::Rng;
use crate::round::Round;

/// The most blocks of one write.
const WRITE: usize = 8;
/// The same while a small file system is being filled.
const FILLING: usize = 64;

pub(crate) struct Writer {
    pub(crate) disk: Arc<Disk>,
    pub(crate) round: Arc<Round>,
    pub(crate) shape: Shape,
    /// The first of its blocks.
    pub(crate) first: usize,
    pub(crate) rng: Rng,
    pub(crate) counts: Counts,
    /// Where filling goes on, until the first ENOSPC.
    pub(crate) filling: Option<usize>,
}

/// How a request went.
#[derive(PartialEq, Eq)]
enum Outcome {
    Done,
    NoSpace,
    /// The connection broke, as it may.
    Broken,
}

enum Change {
    Write { durable: bool },
    Trim,
    Zero,
}

impl Writer {
    /// Until the server is killed.
    pub(crate) fn run(mut self) -> Result<Counts> {
        let outcome = self.sessions();
        self.disk.writer_ended();
        outcome.with_context(|| format!("a writer of {}", self.disk.id))?;
        Ok(self.counts)
    }

    fn sessions(&mut self) -> Result<()> {
        while self.disk.admit(&self.round) {
            match Client::connect_tcp(&self.round.nbd, &self.disk.id) {
                Ok(mut client) => while self.step(&mut client)? != Outcome::Broken {},
                Err(_) if self.excused() => {}
                Err(error) => return Err(anyhow!(error).context("connecting")),
            }
        }
        Ok(())
    }

    fn excused(&self) -> bool {
        self.round.is_killing() || self.disk.gate() != Gate::Open
    }

    fn step(&mut self, client: &mut Client) -> Result<Outcome> {
        if self.disk.gate() == Gate::Shut {
            return Ok(Outcome::Broken);
        }
        if let Some(at) = self.filling {
            return self.fill(client, at);
        }
        let outcome = match self.rng.below(100) {
            0..60 => self.change(client, Change::Write { durable: false }, WRITE),
            60..70 => self.change(client, Change::Write { durable: true }, WRITE),
            70..77 => self.change(client, Change::Trim, self.shape.places),
            77..82 => self.change(client, Change::Zero, WRITE),
            82..92 => self.flush(client),
            _ => self.read(client),
        };
        // A pace at which hundreds of rounds leave room on the machine's disk.
        thread::sleep(self.rng.millis(0, if self.round.is_full() { 20 } else { 4 }));
        outcome
    }

    /// Large writes one after the other, all over its blocks, until there is no space.
    fn fill(&mut self, client: &mut Client, at: usize) -> Result<Outcome> {
        let count = FILLING.min(self.shape.places - at);
        let outcome = self.write(client, self.first + at, count, false)?;
        self.filling = match outcome {
            Outcome::NoSpace => None,
            _ => Some((at + count) % self.shape.places),
        };
        Ok(outcome)
    }

    /// Some of its blocks, at most `most`: the first, and how many. Mostly few.
    fn choose(&mut self, most: usize) -> (usize, usize) {
        let most = if self.rng.percent(90) { most.min(WRITE) } else { most };
        let count = 1 + self.rng.below(most);
        (self.first + self.rng.below(self.shape.places - count + 1), count)
    }

    fn change(&mut self, client: &mut Client, change: Change, most: usize) -> Result<Outcome> {
        let (place, count) = self.choose(most);
        let Change::Write { durable } = change else {
            let number = self.round.numbers.next();
            self.send(place, count, |_| Event::zeroed(number));
            let (offset, bytes) = (self.shape.offset(place), (count * BLOCK) as u64);
            let answer = match change {
                Change::Trim => client.trim(offset, bytes),
                _ => client.write_zeroes(offset, bytes),
            };
            // What frees space works where there is none: a trim is never refused for that.
            let may_lack_space = !matches!(change, Change::Trim);
            let outcome = self.outcome(answer, may_lack_space)?;
            self.acked(&outcome, place, count, number, false);
            self.counts.trims += u64::from(outcome == Outcome::Done);
            return Ok(outcome);
        };
        self.write(client, place, count, durable)
    }

    fn write(
        &mut self,
        client: &mut Client,
        place: usize,
        count: usize,
        durable: bool,
    ) -> Result<Outcome> {
        let (number, disk) = (self.round.numbers.next(), self.disk.number);
        let mut data = vec![0; count * BLOCK];
        for (place, block) in (place as u64..).zip(data.chunks_exact_mut(BLOCK)) {
            Stamp { disk, place, number }.fill(block);
        }
        self.send(place, count, |_| Event::written(disk, number));
        let offset = self.shape.offset(place);
        let answer = match durable {
            true => client.write_durably(offset, &data),
            false => client.write(offset, &data),
        };
        let outcome = self.outcome(answer, true)?;
        self.acked(&outcome, place, count, number, durable);
        match (&outcome, durable) {
            (Outcome::Done, true) => self.counts.durable_writes += 1,
            (Outcome::Done, false) => self.counts.writes += 1,
            _ => {}
        }
        Ok(outcome)
    }

    fn send(&self, place: usize, count: usize, event: impl Fn(usize) -> Event) {
        let mut ledger = self.disk.ledger();
        (place..place + count).for_each(|place| ledger.send(place, event(place)));
    }

    fn acked(&self, outcome: &Outcome, place: usize, count: usize, number: u64, durable: bool) {
        if *outcome == Outcome::Done {
            let mut ledger = self.disk.ledger();
            (place..place + count).for_each(|place| ledger.ack(place, number, durable));
        }
    }

    fn flush(&mut self, client: &mut Client) -> Result<Outcome> {
        let mark = self.disk.ledger().flush_sent();
        let answer = client.flush();
        let outcome = self.outcome(answer, false)?;
        if outcome == Outcome::Done {
            self.disk.ledger().flush_acked(mark);
            self.counts.flushes += 1;
        }
        Ok(outcome)
    }

    /// Reads blocks of any writer of the disk.
    fn read(&mut self, client: &mut Client) -> Result<Outcome> {
        let first = self.rng.below(self.shape.writers) * self.shape.places;
        let count = 1 + self.rng.below(self.shape.places.min(64));
        let place = first + self.rng.below(self.shape.places - count + 1);
        let floors = self.disk.ledger().floors(place..place + count);
        let mut data = vec![0; count * BLOCK];
        let answer = client.read(self.shape.offset(place), &mut data);
        let outcome = self.outcome(answer, false)?;
        if outcome == Outcome::Done {
            let allowed = self.disk.ledger().since(place, &floors);
            judge(place, &data, &allowed).context("a read under load")?;
            self.counts.reads += 1;
        }
        Ok(outcome)
    }

    fn outcome(
        &mut self,
        answer: Result<(), ClientError>,
        may_lack_space: bool,
    ) -> Result<Outcome> {
        match answer {
            Ok(()) => Ok(Outcome::Done),
            Err(ClientError::Refused { error: Errno::NoSpc, .. })
                if may_lack_space && self.round.is_small() =>
            {
                self.counts.no_space += 1;
                self.round.saw_no_space(&self.disk, self.first);
                thread::sleep(Duration::from_millis(2));
                Ok(Outcome::NoSpace)
            }
            Err(ClientError::Io(_) | ClientError::Refused { error: Errno::Shutdown, .. })
                if self.excused() =>
            {
                Ok(Outcome::Broken)
            }
            Err(error) => bail!("while the server ran: {error}"),
        }
    }
}
