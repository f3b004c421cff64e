//! A fresh store, and one of everything to put into it.

use ebb_domain::{
    Account, AccountId, Category, Disk, DiskId, DiskKind, DiskStatus, Encryption, Image, ImageDisk,
    ImageId, ImageStatus, Instance, InstanceId, InstanceStatus, Network, Origin, RegionId,
    Snapshot, SnapshotCategory, SnapshotId, SnapshotStatus, Timestamp, ZoneId,
};
use ebb_store::{
    DiskQuery, Durability, InstanceQuery, PageRequest, SnapshotQuery, Store, StoreError, Tx,
};

pub(crate) use crate::home::fresh;

pub(crate) const ALL: PageRequest = PageRequest::Number { number: 1, size: 1000 };

pub(crate) fn write<T>(store: &Store, f: impl FnOnce(&Tx<'_>) -> Result<T, StoreError>) -> T {
    store.write(Durability::Durable, f).unwrap()
}

pub(crate) fn read<T>(store: &Store, f: impl FnOnce(&Tx<'_>) -> Result<T, StoreError>) -> T {
    store.read(f).unwrap()
}

pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(millis)
}

pub(crate) fn account() -> AccountId {
    AccountId::new("1000000000000001")
}

pub(crate) fn region() -> RegionId {
    RegionId::new("cn-hangzhou")
}

/// Available, data, with as little as a disk can have.
pub(crate) fn disk(id: &str, volume: u64) -> Disk {
    Disk {
        id: DiskId::new(id),
        account: account(),
        region: region(),
        zone: ZoneId::new("cn-hangzhou-a"),
        kind: DiskKind::Data,
        category: Category::CloudSsd,
        performance_level: None,
        size_gib: 20,
        name: String::new(),
        description: String::new(),
        status: DiskStatus::Available,
        delete_with_instance: false,
        delete_auto_snapshot: false,
        enable_auto_snapshot: false,
        auto_snapshot_policy: None,
        multi_attach: false,
        provisioned_iops: None,
        bursting: false,
        source_snapshot: None,
        cloned_from: None,
        image: None,
        resource_group: String::new(),
        tags: Vec::new(),
        created_at: at(1000),
        attached_at: None,
        detached_at: None,
        attachments: Vec::new(),
        encryption: None,
        volume,
    }
}

pub(crate) fn snapshot(id: &str, disk: &str, version: u64) -> Snapshot {
    Snapshot {
        id: SnapshotId::new(id),
        account: account(),
        region: region(),
        source_disk: DiskId::new(disk),
        source_disk_gib: 20,
        source_disk_kind: DiskKind::Data,
        name: String::new(),
        description: String::new(),
        status: SnapshotStatus::Accomplished,
        origin: Origin::User,
        category: SnapshotCategory::Standard,
        retention_days: None,
        resource_group: String::new(),
        tags: Vec::new(),
        created_at: at(1000),
        modified_at: None,
        lock: None,
        group: None,
        copied_from: None,
        encryption: None,
        version,
        archived_bytes: None,
    }
}

/// Available, of one disk that starts from that snapshot.
pub(crate) fn image(id: &str, snapshot: &SnapshotId) -> Image {
    let disk = ImageDisk {
        device: "/dev/xvda".into(),
        kind: DiskKind::System,
        snapshot: snapshot.clone(),
        size_gib: 20,
        encrypted: false,
    };
    Image {
        id: ImageId::new(id),
        account: account(),
        region: region(),
        name: String::new(),
        family: String::new(),
        version: String::new(),
        description: String::new(),
        status: ImageStatus::Available,
        architecture: String::new(),
        platform: String::new(),
        disks: vec![disk],
        resource_group: String::new(),
        tags: Vec::new(),
        created_at: at(1000),
    }
}

pub(crate) fn instance(id: &str) -> Instance {
    Instance {
        id: InstanceId::new(id),
        account: account(),
        region: region(),
        zone: ZoneId::new("cn-hangzhou-a"),
        name: String::new(),
        description: String::new(),
        host_name: String::new(),
        image: ImageId::new("blank"),
        instance_type: "ecs.g7.large".into(),
        status: InstanceStatus::Stopped,
        security_lock: false,
        expired: false,
        deletion_protection: false,
        stopped_mode: String::new(),
        resource_group: String::new(),
        network: Network::default(),
        tags: Vec::new(),
        created_at: at(1000),
        started_at: None,
    }
}

pub(crate) fn disk_query() -> DiskQuery {
    DiskQuery::all(account(), region(), ALL)
}

pub(crate) fn snapshot_query() -> SnapshotQuery {
    SnapshotQuery::all(account(), region(), ALL)
}

pub(crate) fn instance_query() -> InstanceQuery {
    InstanceQuery {
        account: account(),
        region: region(),
        ids: None,
        zone: None,
        name: None,
        image: None,
        instance_type: None,
        status: None,
        vswitch: None,
        vpc: None,
        private_ips: None,
        security_group: None,
        key_pair: None,
        resource_group: None,
        locked: None,
        created_from: None,
        created_to: None,
        tags: Vec::new(),
        page: ALL,
    }
}

/// What the disks and snapshots of some tests are encrypted with.
pub(crate) fn encryption() -> Encryption {
    Encryption { key: "key-1".into(), data_key: "dk-1".into() }
}

/// The data key of it.
pub(crate) fn data_key(tx: &Tx<'_>) -> Result<(), StoreError> {
    tx.put_account(&Account::new(account()))?;
    tx.insert_data_key(&account(), "dk-1", b"wrapped")
}
