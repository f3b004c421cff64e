//! Chains of snapshots: all of a disk in a region, whether or not the disk is there still.

use ebb_domain::{AccountId, DiskId, DiskKind, InstanceId, RegionId};

use crate::disk::parse_kind;
use crate::filter::Filter;
use crate::page;
use crate::row::Row;
use crate::tx::text;
use crate::{Page, PageRequest, StoreError, Tx};

/// DescribeSnapshotLinks. `None` means any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainQuery {
    /// Whose.
    pub account: AccountId,
    /// Where.
    pub region: RegionId,
    /// Of these disks
    pub disks: Option<Vec<DiskId>>,
    /// Of the disks that it has
    pub instance: Option<InstanceId>,
    /// Which part
    pub page: PageRequest,
}

/// All snapshots of a disk in a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Whose.
    pub account: AccountId,
    /// Where.
    pub region: RegionId,
    /// Of which disk.
    pub disk: DiskId,
    /// The disk's size when the last of them was taken.
    pub disk_gib: u32,
    /// The disk's kind.
    pub kind: DiskKind,
    /// How many there are, whatever they are doing.
    pub count: u64,
    /// The engine's ids of those that are accomplished and in the pool, the oldest first.
    pub versions: Vec<u64>,
    /// How many are in the archive.
    pub archived: u64,
    /// What these take there together.
    pub archived_bytes: u64,
}

const LIST: &str = "chains";

impl Tx<'_> {
    /// DescribeSnapshotLinks, by the disks' ids.
    ///
    /// # Errors
    /// [`StoreError::BadToken`], [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn chains(&self, query: &ChainQuery) -> Result<Page<Chain>, StoreError> {
        let mut filter = filter(query);
        let count = format!("SELECT count(DISTINCT source_disk) FROM snapshots {filter}");
        let total = self.count(&count, filter.values())?;
        if let PageRequest::Token { after: Some(token), .. } = &query.page
            && !token.is_empty()
        {
            let page::Cursor(disk, _) = page::decode(LIST, token)?;
            filter.and("source_disk > ?", [text(&disk)]);
        }
        let sql = format!(
            "SELECT DISTINCT source_disk FROM snapshots {filter} ORDER BY source_disk \
             LIMIT ? OFFSET ?"
        );
        let [limit, offset] = page::range(&query.page);
        let mut values = filter.into_values();
        values.extend([limit.into(), offset.into()]);
        let mut disks = self.rows(("snapshots", "source_disk"), &sql, &values, |row| {
            row.id("source_disk", DiskId::new)
        })?;
        let last = page::cut(&mut disks, &query.page);
        let next = last.map(|disk| page::encode(LIST, disk.as_str(), ""));
        let whole = ChainQuery { disks: Some(disks), instance: None, ..query.clone() };
        let items = self.chains_of(self::filter(&whole))?;
        Ok(Page { items, total, next })
    }

    /// Every chain of an account in a region; of all in all where none is given.
    ///
    /// # Errors
    /// [`StoreError::Sql`], [`StoreError::Corrupt`].
    pub fn all_chains(
        &self,
        whose: Option<(&AccountId, &RegionId)>,
    ) -> Result<Vec<Chain>, StoreError> {
        let mut filter = match whose {
            Some((account, region)) => Filter::of(account.as_str(), region.as_str()),
            None => Filter::default(),
        };
        filter.and("status <> 'deleting'", []);
        self.chains_of(filter)
    }

    fn chains_of(&self, filter: Filter) -> Result<Vec<Chain>, StoreError> {
        let sql = format!(
            "SELECT id, account, region, source_disk, source_disk_gib, source_disk_kind, status, \
                    version, archived_bytes
             FROM snapshots {filter} ORDER BY account, region, source_disk, created_at, id"
        );
        let members = self.rows(("snapshots", "id"), &sql, filter.values(), member)?;
        let mut chains: Vec<Chain> = Vec::new();
        for member in members {
            let same = |last: &&mut Chain| {
                (&last.account, &last.region, &last.disk)
                    == (&member.account, &member.region, &member.disk)
            };
            match chains.last_mut().filter(same) {
                Some(last) => last.append(member),
                None => chains.push(member),
            }
        }
        Ok(chains)
    }
}

impl Chain {
    fn append(&mut self, later: Self) {
        self.disk_gib = later.disk_gib;
        self.count += later.count;
        self.versions.extend(later.versions);
        self.archived += later.archived;
        self.archived_bytes += later.archived_bytes;
    }
}

/// A chain of one.
fn member(row: &Row<'_>) -> Result<Chain, StoreError> {
    let status: String = row.get("status")?;
    let archived_bytes = row.get::<Option<i64>>("archived_bytes")?.map(i64::cast_unsigned);
    let mut versions = Vec::new();
    if status == "accomplished" && archived_bytes.is_none() {
        versions.push(row.engine_id("version")?);
    }
    Ok(Chain {
        account: row.id("account", AccountId::new)?,
        region: row.id("region", RegionId::new)?,
        disk: row.id("source_disk", DiskId::new)?,
        disk_gib: row.get("source_disk_gib")?,
        kind: row.name("source_disk_kind", parse_kind)?,
        count: 1,
        versions,
        archived: u64::from(archived_bytes.is_some()),
        archived_bytes: archived_bytes.unwrap_or(0),
    })
}

fn filter(query: &ChainQuery) -> Filter {
    let (account, region) = (query.account.as_str(), query.region.as_str());
    let mut filter = Filter::of_shown(account, region, "status <> 'deleting'");
    filter.one_of("source_disk", query.disks.as_ref().map(|ids| ids.iter().map(DiskId::as_str)));
    filter.and_if(
        "source_disk IN (SELECT disk FROM attachments WHERE instance = ?)",
        query.instance.as_ref().map(InstanceId::as_str),
    );
    filter
}
