//! What snapshots take: DescribeSnapshotLinks, DescribeSnapshotsUsage, DescribeSnapshotMonitorData.
//!
//! Real bytes: what the engine stores for all snapshots of a disk together, each block once, and
//! what those in the archive take there. A chain is measured when it is asked for and not again
//! until it has other members: what is frozen never changes.
//!
//! ```text
//!   once a minute, or less often where it takes long ─► of each account, region and category
//!                                                       what is other than the last time
//! ```
//! As what disks did, that is in memory alone, for a month: a restart forgets it.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use ebb_domain::{AccountId, Denied, Disk, DiskId, Instance, InstanceId, RegionId, Timestamp};
use ebb_store::{Chain, ChainQuery, Page};
use ebb_volume::{EngineError, SnapshotId as Version};

use crate::control::find_instance;
use crate::monitor::{OLDEST_MINUTES, minute, span};
use crate::mutex::lock;
use crate::{Control, ControlError, MonitorPeriod};

/// How much of a core measuring may take, as one part of so many.
const SHARE: u32 = 100;

/// All snapshots of a disk, and what they take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The snapshots.
    pub chain: Chain,
    /// What they take, in the pool and in the archive.
    pub bytes: u64,
    /// The disk, if it is there still.
    pub disk: Option<Disk>,
    /// The instance that has the disk.
    pub instance: Option<Instance>,
}

/// What an account's snapshots take in a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SnapshotUsage {
    /// How many there are.
    pub count: u64,
    /// In the pool.
    pub pool_bytes: u64,
    /// In the archive.
    pub archived_bytes: u64,
}

/// Which snapshots are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageCategory {
    /// All.
    Any,
    /// Those in the pool.
    Standard,
    /// Those in the archive.
    Archive,
}

/// What is asked of the past.
#[derive(Debug, Clone)]
pub struct UsageQuery {
    /// From when on; rounded up to a minute.
    pub start: Timestamp,
    /// Until when; rounded up to a minute.
    pub end: Timestamp,
    /// A point each.
    pub period: MonitorPeriod,
    /// Of which.
    pub category: UsageCategory,
}

type Whose = (AccountId, RegionId);
/// A chain is known by where and of which disk it is.
type ChainKey = (RegionId, DiskId);

/// What has been measured.
#[derive(Default)]
pub(crate) struct UsageBook {
    /// The members of a chain when it was measured, and what they took.
    chains: Mutex<HashMap<ChainKey, (Vec<u64>, u64)>>,
    /// What was noted.
    past: Mutex<Past>,
    /// When it is time to look again.
    due: Mutex<Option<Timestamp>>,
}

/// What snapshots took.
#[derive(Default)]
struct Past {
    /// When it was first noted: until then nothing is known, not even that there were none.
    since: Option<Timestamp>,
    /// What was other than before, the oldest first.
    changes: HashMap<Whose, Vec<(Timestamp, SnapshotUsage)>>,
}

impl UsageCategory {
    fn bytes(self, usage: SnapshotUsage) -> u64 {
        match self {
            Self::Any => usage.pool_bytes + usage.archived_bytes,
            Self::Standard => usage.pool_bytes,
            Self::Archive => usage.archived_bytes,
        }
    }
}

impl Control {
    /// Chains of snapshots that a query asks for.
    ///
    /// # Errors
    /// [`Denied::RegionNotFound`], [`Denied::InstanceNotFound`], [`Denied::NextToken`], or a
    /// failure.
    pub fn snapshot_links(&self, query: &ChainQuery) -> Result<Page<Link>, ControlError> {
        self.region(&query.region)?;
        let page = self.store.read::<_, ControlError>(|tx| {
            if let Some(id) = &query.instance {
                let found = find_instance(tx, &query.account, Some(&query.region), id)?;
                found.ok_or(Denied::InstanceNotFound)?;
            }
            let page = tx.chains(query)?;
            let mut links = Vec::with_capacity(page.items.len());
            for chain in page.items {
                let disk = tx.disk(&chain.disk)?.filter(|disk| disk.region == chain.region);
                let at = disk.as_ref().and_then(|disk| disk.attachments.first());
                let has: Option<InstanceId> = at.map(|at| at.instance.clone());
                let instance = match has {
                    Some(id) => tx.instance(&id)?,
                    None => None,
                };
                links.push(Link { chain, bytes: 0, disk, instance });
            }
            Ok(Page { items: links, total: page.total, next: page.next })
        })?;
        let Page { mut items, total, next } = page;
        for link in &mut items {
            link.bytes = self.chain_bytes(&link.chain)? + link.chain.archived_bytes;
        }
        Ok(Page { items, total, next })
    }

    /// What an account's snapshots take in a region, now.
    ///
    /// # Errors
    /// [`Denied::RegionNotFound`], or a failure.
    pub fn snapshot_usage(
        &self,
        owner: &AccountId,
        region: &RegionId,
    ) -> Result<SnapshotUsage, ControlError> {
        self.region(region)?;
        let chains = self.store.read(|tx| tx.all_chains(Some((owner, region))))?;
        let mut usage = SnapshotUsage::default();
        for chain in &chains {
            usage.add(chain, self.chain_bytes(chain)?);
        }
        Ok(usage)
    }

    /// What a chain takes in the pool.
    fn chain_bytes(&self, chain: &Chain) -> Result<u64, ControlError> {
        let key = (chain.region.clone(), chain.disk.clone());
        if let Some((members, bytes)) = lock(&self.usage.chains).get(&key)
            && *members == chain.versions
        {
            return Ok(*bytes);
        }
        let mut members = chain.versions.clone();
        loop {
            let versions: Vec<Version> = members.iter().copied().map(Version).collect();
            match self.engine.stored_bytes(&versions) {
                Ok(bytes) => {
                    lock(&self.usage.chains).insert(key, (members, bytes));
                    return Ok(bytes);
                }
                // Deleted since it was looked up.
                Err(EngineError::NoSuchSnapshot(Version(gone))) => {
                    members.retain(|version| *version != gone);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Notes what snapshots take, if it is time to. To be called once a minute.
    ///
    /// # Errors
    /// A failure.
    pub fn sample_snapshot_usage(&self) -> Result<(), ControlError> {
        let (now, started) = (self.now(), Instant::now());
        if lock(&self.usage.due).is_some_and(|due| now < due) {
            return Ok(());
        }
        let chains = self.store.read(|tx| tx.all_chains(None))?;
        let mut found: HashMap<Whose, SnapshotUsage> = HashMap::new();
        for chain in &chains {
            let whose = (chain.account.clone(), chain.region.clone());
            let bytes = self.chain_bytes(chain)?;
            found.entry(whose).or_default().add(chain, bytes);
        }
        self.usage.forget_all_but(&chains);
        self.usage.note(self.now(), found);
        let pause = (started.elapsed() * SHARE).min(Duration::from_secs(3600));
        *lock(&self.usage.due) = Some(now.plus_seconds(pause.as_secs().cast_signed()));
        Ok(())
    }

    /// What an account's snapshots took in a region: a point for each period of which anything is
    /// known, with what they took when it began.
    ///
    /// # Errors
    /// [`Denied::RegionNotFound`], [`Denied::EndBeforeStart`], [`Denied::TooEarly`],
    /// [`Denied::TooManyPoints`].
    pub fn past_snapshot_usage(
        &self,
        owner: &AccountId,
        region: &RegionId,
        query: &UsageQuery,
    ) -> Result<Vec<(Timestamp, u64)>, ControlError> {
        self.region(region)?;
        let now = self.now();
        let Range { start: from, end: to } = span(now, query.start, query.end, query.period)?;
        let (now, step) = (minute(now), query.period.minutes());
        let first = from.div_euclid(step) * step + if from % step == 0 { 0 } else { step };
        let past = lock(&self.usage.past);
        let whose = (owner.clone(), region.clone());
        let mut points = Vec::new();
        for at in (first..to.min(now + 1)).step_by(usize::try_from(step).unwrap_or(1)) {
            let at = Timestamp::from_unix_millis(at * 60_000);
            if let Some(usage) = past.at(&whose, at) {
                points.push((at, query.category.bytes(usage)));
            }
        }
        Ok(points)
    }
}

impl SnapshotUsage {
    fn add(&mut self, chain: &Chain, pool_bytes: u64) {
        self.count += chain.count;
        self.pool_bytes += pool_bytes;
        self.archived_bytes += chain.archived_bytes;
    }
}

impl UsageBook {
    /// Chains that are gone for good.
    fn forget_all_but(&self, chains: &[Chain]) {
        let mut measured = lock(&self.chains);
        if measured.len() > chains.len() {
            let known: HashSet<(&RegionId, &DiskId)> =
                chains.iter().map(|chain| (&chain.region, &chain.disk)).collect();
            measured.retain(|(region, disk), _| known.contains(&(region, disk)));
        }
    }

    fn note(&self, now: Timestamp, found: HashMap<Whose, SnapshotUsage>) {
        lock(&self.past).note(now, found);
    }
}

impl Past {
    fn note(&mut self, now: Timestamp, mut found: HashMap<Whose, SnapshotUsage>) {
        self.since.get_or_insert(now);
        for (whose, changes) in &mut self.changes {
            // One that has none any more has nothing.
            let usage = found.remove(whose).unwrap_or_default();
            if changes.last().is_none_or(|(_, last)| *last != usage) {
                changes.push((now, usage));
            }
            // The last one before the month counts for its beginning.
            let oldest = now.plus_seconds(-OLDEST_MINUTES * 60);
            let old = changes.partition_point(|(at, _)| *at < oldest).saturating_sub(1);
            changes.drain(..old);
        }
        for (whose, usage) in found {
            self.changes.insert(whose, vec![(now, usage)]);
        }
    }

    fn at(&self, whose: &Whose, at: Timestamp) -> Option<SnapshotUsage> {
        let changes = self.changes.get(whose).map(Vec::as_slice).unwrap_or_default();
        let known = changes.partition_point(|(since, _)| *since <= at);
        match known.checked_sub(1).and_then(|last| changes.get(last)) {
            Some((_, usage)) => Some(*usage),
            None => self.since.filter(|since| *since <= at).map(|_| SnapshotUsage::default()),
        }
    }
}
