//! Guests: requests at random places of a volume, so many under way.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ebb_volume::{Completion, Io, IoError, Volume, run};
use rustix::time::{ClockId, clock_gettime};

use crate::Failure;
use crate::report::median;

/// Requests under way at most.
pub(crate) const DEPTH: usize = 32;

const BLOCK: u64 = 4096;

/// Numbers without order.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// The sequence known as splitmix64.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// What one thread has under way at a volume.
struct Window {
    under_way: Mutex<usize>,
    fewer: Condvar,
    failed: Mutex<Option<IoError>>,
}

impl Window {
    /// Submits all together, as a connection does with requests that have come in together. Most
    /// are answered before that returns.
    fn submit(self: &Arc<Self>, volume: &dyn Volume, requests: impl Iterator<Item = Io>) {
        let with_completion = |io| (io, self.completion());
        let requests: Vec<(Io, Completion)> = requests.map(with_completion).collect();
        let locked = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |under_way: &mut usize| *under_way + requests.len() > DEPTH;
        let waited = self.fewer.wait_while(locked, full);
        *waited.unwrap_or_else(PoisonError::into_inner) += requests.len();
        volume.submit_all(requests);
    }

    fn completion(self: &Arc<Self>) -> Completion {
        let window = Arc::clone(self);
        Box::new(move |outcome| {
            if let Err(error) = outcome {
                *window.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
            let mut under_way = window.under_way.lock().unwrap_or_else(PoisonError::into_inner);
            *under_way -= 1;
            let none = *under_way == 0;
            drop(under_way);
            // Who waits, waits for that: requests come DEPTH at a time.
            if none {
                window.fewer.notify_one();
            }
        })
    }

    fn drain(&self) -> Result<(), Failure> {
        let locked = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let busy = |under_way: &mut usize| *under_way > 0;
        drop(self.fewer.wait_while(locked, busy));
        match *self.failed.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(format!("a request failed: {error}").into()),
            None => Ok(()),
        }
    }
}

/// One guest at one volume.
pub(crate) struct Guest<'a> {
    volume: &'a dyn Volume,
    window: Arc<Window>,
    random: Random,
    /// Blocks within which it stays.
    blocks: u64,
    data: Bytes,
}

impl<'a> Guest<'a> {
    /// One that stays within the first bytes of a volume.
    pub(crate) fn new(volume: &'a dyn Volume, within_bytes: u64, seed: u64) -> Self {
        let fewer = Condvar::new();
        let window = Window { under_way: Mutex::new(0), fewer, failed: Mutex::default() };
        Self {
            volume,
            window: Arc::new(window),
            random: Random(seed),
            blocks: within_bytes / BLOCK,
            data: Bytes::from(vec![9; BLOCK as usize]),
        }
    }

    fn place(&mut self) -> u64 {
        self.random.next() % self.blocks * BLOCK
    }

    fn write(&mut self) -> Io {
        Io::Write { offset: self.place(), data: self.data.clone(), fua: false }
    }

    fn read(&mut self) -> Io {
        Io::Read { offset: self.place(), length: BLOCK as u32 }
    }

    fn submit(&mut self, requests: usize, request: fn(&mut Self) -> Io) {
        let window = Arc::clone(&self.window);
        window.submit(self.volume, (0..requests).map(|_| request(self)));
    }

    /// So many bytes of writes; returns when all are answered.
    pub(crate) fn write_bytes(&mut self, bytes: u64) -> Result<(), Failure> {
        self.write_bytes_by(bytes, DEPTH)
    }

    /// The same, so many writes submitted at once.
    pub(crate) fn write_bytes_by(&mut self, bytes: u64, at_once: usize) -> Result<(), Failure> {
        let mut left = (bytes / BLOCK) as usize;
        while left > 0 {
            let now = left.min(at_once);
            self.submit(now, Self::write);
            left -= now;
        }
        self.drain()
    }

    /// So many bytes of reads; returns when all are answered.
    pub(crate) fn read_bytes(&mut self, bytes: u64) -> Result<(), Failure> {
        for _ in 0..bytes / BLOCK / DEPTH as u64 {
            self.submit(DEPTH, Self::read);
        }
        self.drain()
    }

    /// One write and a flush: how long both take.
    pub(crate) fn write_durably(&mut self) -> Result<Duration, Failure> {
        let (offset, data, fua) = (self.place(), self.data.clone(), false);
        let begun = Instant::now();
        run(self.volume, Io::Write { offset, data, fua })?;
        run(self.volume, Io::Flush)?;
        Ok(begun.elapsed())
    }

    /// Waits for all that is under way, and makes it durable.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.drain()?;
        run(self.volume, Io::Flush)?;
        Ok(())
    }

    pub(crate) fn drain(&self) -> Result<(), Failure> {
        self.window.drain()
    }

    /// How fast writes go, over a time, so many of them submitted at once.
    pub(crate) fn write_rate(&mut self, time: Duration, at_once: usize) -> Result<Rate, Failure> {
        self.rate(time, at_once, Self::write)
    }

    /// How fast reads go, over a time.
    pub(crate) fn read_rate(&mut self, time: Duration) -> Result<Rate, Failure> {
        self.rate(time, DEPTH, Self::read)
    }

    fn rate(
        &mut self,
        time: Duration,
        at_once: usize,
        request: fn(&mut Self) -> Io,
    ) -> Result<Rate, Failure> {
        let (begun, cpu, mut requests) = (Instant::now(), cpu_time(), 0);
        while begun.elapsed() < time {
            for _ in 0..DEPTH / at_once {
                self.submit(at_once, request);
            }
            requests += DEPTH;
        }
        self.drain()?;
        let requests = requests as f64;
        let cpu = (cpu_time() - cpu).as_secs_f64();
        Ok(Rate {
            per_second: requests / begun.elapsed().as_secs_f64(),
            per_cpu_second: requests / cpu,
        })
    }
}

/// Requests by time, and by what this process spent on cores: other work on the machine changes
/// the second less.
#[derive(Clone, Copy)]
pub(crate) struct Rate {
    pub(crate) per_second: f64,
    pub(crate) per_cpu_second: f64,
}

impl Rate {
    /// The median of each.
    pub(crate) fn median(rates: &[Self]) -> Self {
        let of = |value: fn(&Self) -> f64| median(&rates.iter().map(value).collect::<Vec<_>>());
        Self { per_second: of(|r| r.per_second), per_cpu_second: of(|r| r.per_cpu_second) }
    }
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
