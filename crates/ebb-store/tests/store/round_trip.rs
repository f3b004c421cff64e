//! What is stored is what is read, whatever it is.

use std::collections::BTreeMap;

use ebb_domain::{
    Account, AccountId, Attachment, AutoSnapshotPolicyId, Category, CopySource, Disk, DiskId,
    DiskKind, DiskStatus, ImageId, Instance, InstanceId, InstanceStatus, Network, Origin,
    PerformanceLevel, RegionId, Snapshot, SnapshotCategory, SnapshotGroupId, SnapshotId,
    SnapshotLock, SnapshotStatus, Tag, Timestamp, ZoneId,
};
use ebb_store::{Durability, Store, StoreError, TokenRow, Tx};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::sample::{account, at, data_key, encryption, fresh, read, write};

/// Any that a clock may show for 200,000 years: SQL adds days to it, and a sum that is too large is
/// an error in PostgreSQL.
fn time() -> impl Strategy<Value = Timestamp> {
    let years = 1_i64 << 53;
    (-years..years).prop_map(at)
}

/// In the order in which they are read: by key.
fn tags() -> impl Strategy<Value = Vec<Tag>> {
    btree_map(".{1,8}", ".{0,8}", 0..4).prop_map(|tags: BTreeMap<String, String>| {
        tags.into_iter().map(|(key, value)| Tag { key, value }).collect()
    })
}

/// In the order in which they are read: oldest first, then by instance.
fn attachments() -> impl Strategy<Value = Vec<Attachment>> {
    btree_map("i-[a-c]{1,2}", ("/dev/xvd[b-z]", -1..2_i64), 0..4).prop_map(|all| {
        let mut all: Vec<_> = all
            .into_iter()
            .map(|(instance, (device, millis))| Attachment {
                instance: InstanceId::new(instance),
                device,
                at: at(millis),
            })
            .collect();
        all.sort_by_key(|attachment| attachment.at);
        all
    })
}

fn status() -> impl Strategy<Value = DiskStatus> {
    prop_oneof![
        Just(DiskStatus::Creating),
        Just(DiskStatus::Available),
        Just(DiskStatus::Attaching),
        Just(DiskStatus::InUse),
        Just(DiskStatus::Detaching),
        ".+".prop_map(|id| DiskStatus::Resetting(SnapshotId::new(id))),
        Just(DiskStatus::Emptying),
        Just(DiskStatus::Deleting),
    ]
}

fn levels() -> impl Strategy<Value = Option<PerformanceLevel>> {
    use PerformanceLevel::{Pl0, Pl1, Pl2, Pl3};

    option::of(select(vec![Pl0, Pl1, Pl2, Pl3]))
}

fn kinds() -> impl Strategy<Value = DiskKind> {
    select(vec![DiskKind::System, DiskKind::Data])
}

prop_compose! {
    fn disks()(
        (account, region, zone) in (".*", ".*", ".*"),
        (kind, category, level) in (kinds(), select(Category::ALL.to_vec()), levels()),
        (size_gib, name, description, status) in (any::<u32>(), ".*", ".*", status()),
        flags in any::<[bool; 5]>(),
        (iops, source, image) in (any::<Option<i64>>(), option::of(".*"), option::of(".*")),
        (resource_group, tags) in (".*", tags()),
        (created_at, attached_at, detached_at) in (time(), option::of(time()), option::of(time())),
        (attachments, volume) in (attachments(), any::<u64>()),
    ) -> Disk {
        Disk {
            id: DiskId::new("d-1"),
            account: AccountId::new(account),
            region: RegionId::new(region),
            zone: ZoneId::new(zone),
            kind,
            category,
            performance_level: level,
            size_gib,
            name,
            description,
            status,
            delete_with_instance: flags[0],
            delete_auto_snapshot: flags[1],
            enable_auto_snapshot: flags[2],
            auto_snapshot_policy: source.clone().map(AutoSnapshotPolicyId::new),
            multi_attach: flags[3],
            provisioned_iops: iops,
            bursting: flags[4],
            cloned_from: source.clone().map(DiskId::new),
            source_snapshot: source.map(SnapshotId::new),
            image: image.map(ImageId::new),
            resource_group,
            tags,
            created_at,
            attached_at,
            detached_at,
            attachments,
            encryption: flags[0].then(encryption),
            volume,
        }
    }
}

prop_compose! {
    fn snapshots()(
        (account, region, source_disk) in (".*", ".*", ".*"),
        (source_disk_gib, source_disk_kind) in (any::<u32>(), kinds()),
        (name, description, resource_group) in (".*", ".*", ".*"),
        status in select(vec![
            SnapshotStatus::Progressing,
            SnapshotStatus::Accomplished,
            SnapshotStatus::Failed,
            SnapshotStatus::Deleting,
        ]),
        origin in select(vec![Origin::User, Origin::Import, Origin::Auto]),
        category in select(vec![
            SnapshotCategory::Standard,
            SnapshotCategory::Flash,
            SnapshotCategory::Archive,
        ]),
        (retention_days, tags) in (any::<Option<u32>>(), tags()),
        (created_at, modified_at, version) in (time(), option::of(time()), any::<u64>()),
        lock in option::of((time(), any::<u32>(), any::<u32>())),
        group in option::of(".*"),
        copied_from in option::of((".*", ".*")),
    ) -> Snapshot {
        Snapshot {
            id: SnapshotId::new("s-1"),
            account: AccountId::new(account),
            region: RegionId::new(region),
            source_disk: DiskId::new(source_disk),
            source_disk_gib,
            source_disk_kind,
            name,
            description,
            status,
            origin,
            category,
            retention_days,
            resource_group,
            tags,
            created_at,
            modified_at,
            lock: lock.map(|(created_at, days, cool_off_hours)| SnapshotLock {
                created_at,
                days,
                cool_off_hours,
            }),
            group: group.map(SnapshotGroupId::new),
            copied_from: copied_from.map(|(snapshot, region)| CopySource {
                snapshot: SnapshotId::new(snapshot),
                region: RegionId::new(region),
            }),
            encryption: (version % 3 == 0).then(encryption),
            version,
            archived_bytes: (version % 2 == 0).then_some(version >> 1),
        }
    }
}

prop_compose! {
    fn networks()(
        (vswitch, security_groups) in (".*", vec(".*", 0..4)),
        (private_ip, internet_charge_type, key_pair, user_data) in (".*", ".*", ".*", ".*"),
        (bandwidth_in, bandwidth_out) in any::<(i64, i64)>(),
    ) -> Network {
        Network {
            vswitch,
            security_groups,
            private_ip,
            internet_charge_type,
            bandwidth_in,
            bandwidth_out,
            key_pair,
            user_data,
        }
    }
}

prop_compose! {
    fn instances()(
        (account, region, zone) in (".*", ".*", ".*"),
        (name, description, host_name) in (".*", ".*", ".*"),
        (image, instance_type, stopped_mode) in (".*", ".*", ".*"),
        status in select(vec![
            InstanceStatus::Creating,
            InstanceStatus::Pending,
            InstanceStatus::Starting,
            InstanceStatus::Running,
            InstanceStatus::Stopping,
            InstanceStatus::Stopped,
            InstanceStatus::Rebooting,
        ]),
        flags in any::<[bool; 3]>(),
        (resource_group, network, tags) in (".*", networks(), tags()),
        (created_at, started_at) in (time(), option::of(time())),
    ) -> Instance {
        Instance {
            id: InstanceId::new("i-1"),
            account: AccountId::new(account),
            region: RegionId::new(region),
            zone: ZoneId::new(zone),
            name,
            description,
            host_name,
            image: ImageId::new(image),
            instance_type,
            status,
            security_lock: flags[0],
            expired: flags[1],
            deletion_protection: flags[2],
            stopped_mode,
            resource_group,
            network,
            tags,
            created_at,
            started_at,
        }
    }
}

/// An unsynced commit costs less.
fn put<T>(store: &Store, f: impl FnOnce(&Tx<'_>) -> Result<T, StoreError>) -> T {
    store.write(Durability::Recoverable, f).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_disk_is_read_as_it_was_inserted_and_as_it_was_saved(
        first in disks(),
        second in disks(),
    ) {
        let (_folder, store) = fresh();
        put(&store, data_key);
        put(&store, |tx| tx.insert_disk(&first));
        prop_assert_eq!(read(&store, |tx| tx.disk(&first.id)), Some(first.clone()));
        put(&store, |tx| {
            tx.disk(&second.id)?;
            tx.save_disk(&second)
        });
        // Tags are not part of what is saved.
        let saved = Disk { tags: first.tags, ..second };
        prop_assert_eq!(read(&store, |tx| tx.disk(&saved.id)), Some(saved.clone()));
        prop_assert_eq!(read(&store, |tx| tx.all_volumes()), vec![saved.volume]);
    }

    #[test]
    fn a_snapshot_is_read_as_it_was_inserted_and_as_it_was_saved(
        first in snapshots(),
        second in snapshots(),
    ) {
        let (_folder, store) = fresh();
        put(&store, data_key);
        put(&store, |tx| tx.insert_snapshot(&first));
        prop_assert_eq!(read(&store, |tx| tx.snapshot(&first.id)), Some(first.clone()));
        put(&store, |tx| {
            tx.snapshot(&second.id)?;
            tx.save_snapshot(&second)
        });
        let saved = Snapshot { tags: first.tags, ..second };
        prop_assert_eq!(read(&store, |tx| tx.snapshot(&saved.id)), Some(saved.clone()));
        let mut in_pool = vec![saved.version];
        in_pool.retain(|_| saved.archived_bytes.is_none());
        prop_assert_eq!(read(&store, |tx| tx.all_versions()), in_pool);
        let archived: Vec<_> = saved.archived_bytes.map(|_| saved.id).into_iter().collect();
        prop_assert_eq!(read(&store, |tx| tx.archived_snapshots()), archived);
    }

    #[test]
    fn an_instance_is_read_as_it_was_inserted_and_as_it_was_saved(
        first in instances(),
        second in instances(),
    ) {
        let (_folder, store) = fresh();
        put(&store, |tx| tx.insert_instance(&first));
        prop_assert_eq!(read(&store, |tx| tx.instance(&first.id)), Some(first.clone()));
        put(&store, |tx| {
            tx.instance(&second.id)?;
            tx.save_instance(&second)
        });
        let saved = Instance { tags: first.tags, ..second };
        prop_assert_eq!(read(&store, |tx| tx.instance(&saved.id)), Some(saved.clone()));
    }

    #[test]
    fn a_token_is_read_as_the_last_that_was_put(
        rows in vec((any::<[u8; 32]>(), vec(".*", 0..4), time()), 1..4),
        (action, token) in (".*", ".*"),
    ) {
        let (_folder, store) = fresh();
        let account = account();
        for (fingerprint, result, at) in rows {
            let row = TokenRow { fingerprint, result, at };
            put(&store, |tx| tx.put_token(&account, &action, &token, &row));
            let found = read(&store, |tx| tx.token(&account, &action, &token));
            prop_assert_eq!(found, Some(row));
        }
        let other = format!("{token}x");
        prop_assert_eq!(read(&store, |tx| tx.token(&account, &action, &other)), None);
    }
}

#[test]
fn an_account_is_read_as_it_was_put() {
    let (_folder, store) = fresh();
    let id = account();
    assert_eq!(read(&store, |tx| tx.account(&id)), None);
    let mut account = Account::new(id.clone());
    write(&store, |tx| tx.put_account(&account));
    assert_eq!(read(&store, |tx| tx.account(&id)), Some(account.clone()));
    account.balance_fen = -1;
    account.arrears = true;
    account.snapshot_service = false;
    account.disk_quota_gib = Some(7);
    write(&store, |tx| tx.put_account(&account));
    assert_eq!(read(&store, |tx| tx.account(&id)), Some(account));
}

#[test]
fn a_fact_is_read_as_it_was_put() {
    let (_folder, store) = fresh();
    assert_eq!(read(&store, |tx| tx.meta("root")), None);
    write(&store, |tx| tx.put_meta("root", "1"));
    write(&store, |tx| tx.put_meta("root", "2"));
    assert_eq!(read(&store, |tx| tx.meta("root")).as_deref(), Some("2"));
}
