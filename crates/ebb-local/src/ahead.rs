//! Which blocks a guest that reads in order will want next.
//!
//! ```text
//!   read already ──────►│next        asked of the host ──────►│until
//!                       │◄──────────── window ───────────────►│
//! ```
//! A window opens when a read in order has to wait for the disk, and doubles with each that does.
//! It moves on with the reads, by half of it at a time. Readers for whom all is in the host's cache
//! open none, and cost nothing but the comparison. A guest may read several files at a time, and on
//! several connections, so reads may come a little out of order.
//!
//! Deliberately not here: a cache. The host is told what will be read; it keeps it or not.

use std::ops::Range;

/// Files that a guest reads at a time, of one volume.
const STREAMS: usize = 4;
/// So far from where the last one ended a read counts as in order, in blocks: 1 MiB.
const NEAR: u64 = 256;
/// So many reads in order before any window opens.
const IN_ORDER: u32 = 2;
/// A window at first, and at most, in blocks: 256 KiB and 8 MiB.
const WINDOW: Range<u64> = 64..2048;

/// What is known of the readers of a volume.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    all: [Stream; STREAMS],
    /// Counts the reads.
    now: u64,
    /// The last ones had to be waited for.
    pub(crate) is_cold: bool,
}

#[derive(Debug, Default)]
struct Stream {
    next: u64,
    until: u64,
    window: u64,
    in_order: u32,
    last_used: u64,
}

impl Streams {
    /// Some blocks are read. Says which ones the host should have soon.
    pub(crate) fn read(&mut self, blocks: &Range<u64>) -> Option<Range<u64>> {
        self.now += 1;
        let now = self.now;
        match self.of(blocks) {
            Some(stream) => {
                stream.in_order = stream.in_order.saturating_add(1);
                stream.next = stream.next.max(blocks.end);
                stream.last_used = now;
                stream.due()
            }
            None => {
                let oldest = self.all.iter_mut().min_by_key(|stream| stream.last_used)?;
                let (next, until) = (blocks.end, blocks.end);
                *oldest = Stream { next, until, last_used: now, ..Stream::default() };
                None
            }
        }
    }

    /// They had to be waited for. Says which others the host should have soon.
    pub(crate) fn waited(&mut self, blocks: &Range<u64>) -> Option<Range<u64>> {
        let stream = self.of(blocks)?;
        if stream.in_order < IN_ORDER {
            return None;
        }
        stream.window = (stream.window * 2).clamp(WINDOW.start, WINDOW.end);
        stream.due()
    }

    fn of(&mut self, blocks: &Range<u64>) -> Option<&mut Stream> {
        let near = |next: u64| {
            let (from, to) = (next.saturating_sub(NEAR), next.saturating_add(NEAR));
            (from..=to).contains(&blocks.start)
        };
        // One that was never used begins nowhere.
        self.all.iter_mut().find(|stream| stream.last_used > 0 && near(stream.next))
    }
}

impl Stream {
    /// The rest of the window, once half of it has been read.
    fn due(&mut self) -> Option<Range<u64>> {
        let end = self.next.saturating_add(self.window);
        if self.window == 0 || self.until >= self.next.saturating_add(self.window / 2) {
            return None;
        }
        let from = self.until.max(self.next);
        self.until = end;
        Some(from..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads of 32 blocks from `first` on; what each has the host asked for.
    fn read_on(streams: &mut Streams, first: u64, reads: u64) -> Vec<Range<u64>> {
        let blocks = |n: u64| first + n * 32..first + (n + 1) * 32;
        (0..reads).filter_map(|n| streams.read(&blocks(n))).collect()
    }

    #[test]
    fn a_reader_that_never_waits_has_nothing_asked_for() {
        assert_eq!(read_on(&mut Streams::default(), 0, 1000), []);
    }

    #[test]
    fn what_is_read_is_asked_for_once_and_in_time() {
        let mut streams = Streams::default();
        read_on(&mut streams, 0, 3);
        let first = streams.waited(&(64..96)).expect("it is in order");
        assert_eq!(first, 96..160);
        let mut until = first.end;
        for n in 3..500 {
            let blocks = n * 32..(n + 1) * 32;
            assert!(blocks.end <= until, "it would have to wait: {blocks:?}");
            if let Some(asked) = streams.read(&blocks) {
                assert_eq!(asked.start, until, "nothing is asked for twice, or left out");
                until = asked.end;
            }
        }
    }

    #[test]
    fn a_window_doubles_while_it_is_too_small() {
        let mut streams = Streams::default();
        let mut widest = 0;
        for n in 0..100 {
            let blocks = n * 32..(n + 1) * 32;
            let asked = [streams.read(&blocks), streams.waited(&blocks)];
            widest = asked.into_iter().flatten().map(|a| a.end - blocks.end).fold(widest, u64::max);
        }
        assert_eq!(widest, WINDOW.end);
    }

    #[test]
    fn scattered_reads_open_no_window() {
        let mut streams = Streams::default();
        for n in 0..1000_u64 {
            let block = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
            assert_eq!(streams.read(&(block..block + 1)), None);
            assert_eq!(streams.waited(&(block..block + 1)), None);
        }
    }

    #[test]
    fn several_files_are_read_at_a_time() {
        let mut streams = Streams::default();
        for n in 0..=IN_ORDER.into() {
            for file in 0..STREAMS as u64 {
                let blocks = (file << 30) + n * 32..(file << 30) + (n + 1) * 32;
                streams.read(&blocks);
                let asked = streams.waited(&blocks).is_some();
                assert_eq!(asked, n == IN_ORDER.into(), "read {n} of file {file}");
            }
        }
    }
}
