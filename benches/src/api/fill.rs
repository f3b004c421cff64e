//! Records put into the store of a server that is not running: disks with tags, each with
//! snapshots.

use std::path::Path;
use std::time::Instant;

use ebb_bench::Failure;
use ebb_domain::{
    AccountId, Category, Disk, DiskId, DiskKind, DiskStatus, Origin, PerformanceLevel, RegionId,
    Snapshot, SnapshotCategory, SnapshotId, SnapshotStatus, Tag, Timestamp, ZoneId,
};
use ebb_store::{Durability, Store, StoreError};

/// How many.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) disks: u32,
    pub(crate) snapshots_a_disk: u32,
}

/// Disks that have a tag in common.
pub(crate) const DISKS_A_TAG: u32 = 100;

/// Disks of one transaction.
const TOGETHER: u32 = 1000;

/// A time long ago: what a test makes later is newer.
const FIRST_MILLIS: i64 = 1_600_000_000_000;

pub(crate) fn fill(data_dir: &Path, size: Size) -> Result<(), Failure> {
    let begun = Instant::now();
    let store = Store::open(&data_dir.join("ebbtide.db"))?;
    let account = store.read::<_, StoreError>(|tx| tx.meta("root_account"))?;
    let account = AccountId::new(account.ok_or("the store has no root account")?);
    for first in (0..size.disks).step_by(TOGETHER as usize) {
        store.write::<_, StoreError>(Durability::Recoverable, |tx| {
            for n in first..size.disks.min(first + TOGETHER) {
                tx.insert_disk(&disk(&account, n))?;
                for k in 0..size.snapshots_a_disk {
                    tx.insert_snapshot(&snapshot(&account, n, k))?;
                }
            }
            Ok(())
        })?;
    }
    store.close()?;
    let snapshots = size.disks * size.snapshots_a_disk;
    println!("\n{} disks and {snapshots} snapshots, put in in {:.0?}", size.disks, begun.elapsed());
    Ok(())
}

pub(crate) fn disk_id(n: u32) -> String {
    format!("d-bench{n:015}")
}

pub(crate) fn snapshot_id(disk: u32, k: u32) -> String {
    format!("s-bench{disk:012}{k:03}")
}

pub(crate) fn tag_value(disk: u32) -> String {
    format!("app-{}", disk / DISKS_A_TAG)
}

fn tags(disk: u32) -> Vec<Tag> {
    vec![
        Tag { key: "app".into(), value: tag_value(disk) },
        Tag { key: "env".into(), value: "production".into() },
    ]
}

fn region() -> RegionId {
    RegionId::new("cn-hangzhou")
}

fn disk(account: &AccountId, n: u32) -> Disk {
    Disk {
        id: DiskId::new(disk_id(n)),
        account: account.clone(),
        region: region(),
        zone: ZoneId::new("cn-hangzhou-a"),
        kind: DiskKind::Data,
        category: Category::CloudEssd,
        performance_level: Some(PerformanceLevel::Pl1),
        size_gib: 40,
        name: format!("disk-{n}"),
        description: String::new(),
        status: DiskStatus::Available,
        delete_with_instance: false,
        delete_auto_snapshot: false,
        enable_auto_snapshot: true,
        auto_snapshot_policy: None,
        multi_attach: false,
        provisioned_iops: None,
        bursting: false,
        source_snapshot: None,
        cloned_from: None,
        image: None,
        resource_group: String::new(),
        tags: tags(n),
        created_at: Timestamp::from_unix_millis(FIRST_MILLIS + i64::from(n) * 1000),
        attached_at: None,
        detached_at: None,
        attachments: Vec::new(),
        encryption: None,
        volume: u64::from(n) + 1,
    }
}

fn snapshot(account: &AccountId, disk: u32, k: u32) -> Snapshot {
    let at = FIRST_MILLIS + i64::from(disk) * 1000 + i64::from(k) * 86_400_000;
    Snapshot {
        id: SnapshotId::new(snapshot_id(disk, k)),
        account: account.clone(),
        region: region(),
        source_disk: DiskId::new(disk_id(disk)),
        source_disk_gib: 40,
        source_disk_kind: DiskKind::Data,
        name: format!("snapshot-{disk}-{k}"),
        description: String::new(),
        status: SnapshotStatus::Accomplished,
        origin: Origin::User,
        category: SnapshotCategory::Standard,
        retention_days: None,
        resource_group: String::new(),
        tags: tags(disk),
        created_at: Timestamp::from_unix_millis(at),
        modified_at: None,
        lock: None,
        group: None,
        copied_from: None,
        encryption: None,
        version: u64::from(disk) * 1000 + u64::from(k) + 1,
        archived_bytes: None,
    }
}
