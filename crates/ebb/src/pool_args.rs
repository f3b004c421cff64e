//! What of the pool can be chosen, and what of that makes sense.

use clap::Args;
use ebb_local::Options;

use crate::Failure;
use crate::size::{Rate, Size};

/// What the pool grows by, and its reserve is counted in.
const SEGMENT: u64 = 16 << 20;

/// Before the first segment.
const HEAD: u64 = 1 << 20;

/// Segments beside the reserve, without which no guest could write anything worth the name: what
/// the log is in, what it goes on in, and two that checkpoints write while it does.
const SEGMENTS_LEAST: u64 = 4;

/// What deletions need of a full pool: the engine rounds less up to it.
const RESERVE_LEAST: Size = Size(2 * SEGMENT);

/// Flags and variables of the pool.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct PoolArgs {
    /// Memory for the maps of disks [default: 256MiB].
    #[arg(long, env = "EBB_CACHE_SIZE", value_name = "SIZE")]
    pub cache_size: Option<Size>,
    /// The largest size of pool.dat [default: as the file system allows].
    #[arg(long, env = "EBB_POOL_SIZE", value_name = "SIZE")]
    pub pool_size: Option<Size>,
    /// What the disks' data leaves of the pool, so that deleting, resetting and trimming work when
    /// it is full; at least 32MiB [default: 128MiB].
    #[arg(long, env = "EBB_POOL_RESERVE", value_name = "SIZE")]
    pub pool_reserve: Option<Size>,
    /// What the pool leaves of its file system [default: 2 %, at least 1GiB, but of a small one an
    /// eighth].
    #[arg(long, env = "EBB_KEEP_FREE", value_name = "SIZE")]
    pub keep_free: Option<Size>,
    /// Bytes per second that are read and compared with their checksums in the background; 0 or
    /// off: none [default: 16MiB].
    #[arg(long, env = "EBB_SCRUB_RATE", value_name = "SIZE|off")]
    pub scrub_rate: Option<Rate>,
}

impl PoolArgs {
    /// These, and where one is not given the other's.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            cache_size: self.cache_size.or(other.cache_size),
            pool_size: self.pool_size.or(other.pool_size),
            pool_reserve: self.pool_reserve.or(other.pool_reserve),
            keep_free: self.keep_free.or(other.keep_free),
            scrub_rate: self.scrub_rate.or(other.scrub_rate),
        }
    }

    /// As the engine is told.
    pub(crate) fn options(&self) -> Result<Options, Failure> {
        let usual = Options::default();
        let reserve = self.pool_reserve.unwrap_or(Size(usual.reserve_bytes));
        if reserve < RESERVE_LEAST {
            return Err(format!(
                "a pool reserve of {reserve} is too small for deletions to work when the pool is \
                 full: give at least {RESERVE_LEAST}"
            )
            .into());
        }
        let least = least(reserve).ok_or_else(|| format!("a pool reserve of {reserve} is none"))?;
        if let Some(size) = self.pool_size.filter(|size| *size < least) {
            return Err(format!(
                "a pool of {size} has no room for disks beside its reserve of {reserve}: give at \
                 least {least}, or a smaller --pool-reserve"
            )
            .into());
        }
        Ok(Options {
            reserve_bytes: reserve.0,
            max_pool_bytes: self.pool_size.map(|size| size.0),
            keep_free_bytes: self.keep_free.map(|size| size.0),
            scrub_bytes_per_second: self
                .scrub_rate
                .map_or(usual.scrub_bytes_per_second, |rate| rate.0),
            cache_bytes: self.cache_size.map_or(usual.cache_bytes, |size| size.0),
            ..usual
        })
    }
}

/// The smallest pool with such a reserve. None: there is no number for it.
fn least(reserve: Size) -> Option<Size> {
    let segments = reserve.0.div_ceil(SEGMENT) + SEGMENTS_LEAST;
    Some(Size(segments.checked_mul(SEGMENT)?.checked_add(HEAD)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(size: Option<u64>, reserve: Option<u64>) -> PoolArgs {
        PoolArgs {
            pool_size: size.map(Size),
            pool_reserve: reserve.map(Size),
            ..PoolArgs::default()
        }
    }

    #[test]
    fn what_is_not_given_is_as_the_engine_has_it() {
        let (options, usual) = (pool(None, None).options().unwrap(), Options::default());
        assert_eq!(format!("{options:?}"), format!("{usual:?}"));
        // What help and README say.
        assert_eq!((usual.cache_bytes, usual.reserve_bytes), (256 << 20, 128 << 20));
        assert_eq!((usual.scrub_bytes_per_second, usual.max_pool_bytes), (16 << 20, None));
    }

    #[test]
    fn what_is_given_reaches_the_engine() {
        let args = PoolArgs {
            cache_size: Some(Size(1)),
            pool_size: Some(Size(1 << 30)),
            pool_reserve: Some(Size(64 << 20)),
            keep_free: Some(Size(0)),
            scrub_rate: Some(Rate(0)),
        };
        let options = args.options().unwrap();
        assert_eq!((options.cache_bytes, options.max_pool_bytes), (1, Some(1 << 30)));
        assert_eq!((options.reserve_bytes, options.keep_free_bytes), (64 << 20, Some(0)));
        assert_eq!(options.scrub_bytes_per_second, 0);
    }

    #[test]
    fn a_reserve_has_two_segments() {
        assert!(pool(None, Some(32 << 20)).options().is_ok());
        let said = pool(None, Some((32 << 20) - 1)).options().unwrap_err().to_string();
        assert!(said.contains("32MiB"), "{said}");
        assert!(pool(None, Some(u64::MAX)).options().is_err());
    }

    #[test]
    fn a_pool_holds_more_than_its_reserve() {
        for (reserve, least, shown) in
            [(None, 193 << 20, "193MiB"), (Some(33 << 20), 113 << 20, "113MiB")]
        {
            assert!(pool(Some(least), reserve).options().is_ok());
            let said = pool(Some(least - 1), reserve).options().unwrap_err().to_string();
            assert!(said.contains(&format!("at least {shown}")), "{said}");
        }
    }
}
