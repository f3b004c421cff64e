//! What one export has done: counted with relaxed atomics, read as a snapshot.
//!
//! Invariants:
//! - Each request that arrived whole counts once: in flight from when it is let in until it is
//!   answered, then as completed or as an error of its command.
//! - The numbers are each exact and only grow, but are not read at one instant.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::wire::Command;

/// Classes of latency: the last one is of 4.2 s and longer.
pub const LATENCY_CLASSES: usize = 24;

/// What was done under the name of an export, since it was first published.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExportCounters {
    /// Connections that use it now.
    pub connections: usize,
    /// Requests under way now.
    pub in_flight: u64,
    /// `READ`.
    pub read: OperationCounters,
    /// `WRITE`.
    pub write: OperationCounters,
    /// `FLUSH`.
    pub flush: OperationCounters,
    /// `TRIM`.
    pub trim: OperationCounters,
    /// `WRITE_ZEROES`.
    pub write_zeroes: OperationCounters,
    /// `CACHE`.
    pub cache: OperationCounters,
    /// `BLOCK_STATUS`.
    pub block_status: OperationCounters,
    /// Commands that the server does not know; errors all.
    pub unknown: OperationCounters,
}

impl ExportCounters {
    /// Each command that the server knows, by a name in lower case.
    #[must_use]
    pub fn operations(&self) -> [(&'static str, &OperationCounters); 7] {
        [
            ("read", &self.read),
            ("write", &self.write),
            ("flush", &self.flush),
            ("trim", &self.trim),
            ("write_zeroes", &self.write_zeroes),
            ("cache", &self.cache),
            ("block_status", &self.block_status),
        ]
    }
}

/// What became of the requests of one command.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OperationCounters {
    /// Those that succeeded.
    pub completed: u64,
    /// Those that were refused or failed.
    pub errors: u64,
    /// Bytes that the successful ones read, wrote, or covered.
    pub bytes: u64,
    /// How long the successful ones took, from when they were let in, and of a write from before
    /// its data, until the volume had answered. Class 0 counts those below 1 µs, class `n` those
    /// below 2ⁿ µs that class `n - 1` does not count, the last class all others.
    pub latency: [u64; LATENCY_CLASSES],
    /// How long all of these took together.
    pub took: Duration,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Requests of one connection begin and end on two threads, so that the sum may be read in
    /// between, below zero.
    in_flight: AtomicI64,
    operations: [Operation; 8],
}

#[derive(Debug, Default)]
struct Operation {
    errors: AtomicU64,
    bytes: AtomicU64,
    latency: [AtomicU64; LATENCY_CLASSES],
    nanoseconds: AtomicU64,
}

impl Counters {
    pub(crate) fn begin(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    /// It gets no answer and counts for nothing.
    pub(crate) fn forget(&self) {
        self.in_flight.fetch_sub(1, Relaxed);
    }

    pub(crate) fn succeed(&self, command: Command, bytes: u64, took: Duration) {
        let operation = &self.operations[place(command)];
        operation.bytes.fetch_add(bytes, Relaxed);
        operation.latency[class(took)].fetch_add(1, Relaxed);
        operation.nanoseconds.fetch_add(took.as_nanos() as u64, Relaxed);
        self.in_flight.fetch_sub(1, Relaxed);
    }

    pub(crate) fn fail(&self, command: Command) {
        self.operations[place(command)].errors.fetch_add(1, Relaxed);
        self.in_flight.fetch_sub(1, Relaxed);
    }

    pub(crate) fn read(&self, connections: usize) -> ExportCounters {
        let [read, write, flush, trim, write_zeroes, cache, block_status, unknown] =
            self.operations.each_ref().map(Operation::read);
        ExportCounters {
            connections,
            in_flight: self.in_flight.load(Relaxed).max(0).unsigned_abs(),
            read,
            write,
            flush,
            trim,
            write_zeroes,
            cache,
            block_status,
            unknown,
        }
    }
}

impl Operation {
    fn read(&self) -> OperationCounters {
        let latency = self.latency.each_ref().map(|count| count.load(Relaxed));
        OperationCounters {
            // One count less to keep: each success is in one class.
            completed: latency.iter().sum(),
            errors: self.errors.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            latency,
            took: Duration::from_nanos(self.nanoseconds.load(Relaxed)),
        }
    }
}

fn place(command: Command) -> usize {
    match command {
        Command::Read => 0,
        Command::Write => 1,
        Command::Flush => 2,
        Command::Trim => 3,
        Command::WriteZeroes => 4,
        Command::Cache => 5,
        Command::BlockStatus => 6,
        Command::Disconnect | Command::Unknown(_) => 7,
    }
}

/// The longest time of a class; none of the last one, which holds all that took longer.
#[must_use]
pub fn latency_class_ends(class: usize) -> Option<Duration> {
    (class + 1 < LATENCY_CLASSES).then(|| Duration::from_micros(1 << class))
}

fn class(took: Duration) -> usize {
    let bits = u128::BITS - took.as_micros().leading_zeros();
    (bits as usize).min(LATENCY_CLASSES - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_powers_of_two_of_microseconds() {
        for (micros, expected) in
            [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (1023, 10), (1024, 11), (u64::MAX, 23)]
        {
            assert_eq!(class(Duration::from_micros(micros)), expected, "{micros}");
        }
        assert_eq!(class(Duration::from_nanos(999)), 0);
        assert_eq!(class(Duration::from_micros((1 << 22) - 1)), LATENCY_CLASSES - 2);
        assert_eq!(class(Duration::from_micros(1 << 22)), LATENCY_CLASSES - 1);
    }
}
