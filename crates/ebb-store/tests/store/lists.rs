//! Every filter lets through what it should and nothing else.

use ebb_domain::{
    AccountId, Attachment, Category, DiskId, DiskKind, DiskStatus, ImageId, InstanceId,
    InstanceStatus, LockStatus, PerformanceLevel, RegionId, Snapshot, SnapshotCategory, SnapshotId,
    SnapshotLock, SnapshotStatus, Tag, ZoneId,
};
use ebb_store::{DiskQuery, InstanceQuery, LockQuery, SnapshotQuery, Store, TagFilter};

use crate::home::Home;
use crate::sample::{
    at, disk, disk_query, fresh, image, instance, instance_query, read, snapshot, snapshot_query,
    write,
};

fn tag(key: &str, value: &str) -> Tag {
    Tag { key: key.into(), value: value.into() }
}

fn tagged(key: &str, value: Option<&str>) -> TagFilter {
    TagFilter { key: key.into(), value: value.map(Into::into) }
}

fn find_disks(store: &Store, change: impl FnOnce(&mut DiskQuery)) -> Vec<String> {
    let mut query = disk_query();
    change(&mut query);
    let page = read(store, |tx| tx.disks(&query));
    assert_eq!(page.total, page.items.len() as u64);
    page.items.iter().map(|disk| disk.id.to_string()).collect()
}

fn find_snapshots(store: &Store, change: impl FnOnce(&mut SnapshotQuery)) -> Vec<String> {
    let mut query = snapshot_query();
    change(&mut query);
    let page = read(store, |tx| tx.snapshots(&query));
    assert_eq!(page.total, page.items.len() as u64);
    page.items.iter().map(|snapshot| snapshot.id.to_string()).collect()
}

fn find_instances(store: &Store, change: impl FnOnce(&mut InstanceQuery)) -> Vec<String> {
    let mut query = instance_query();
    change(&mut query);
    let page = read(store, |tx| tx.instances(&query));
    assert_eq!(page.total, page.items.len() as u64);
    page.items.iter().map(|instance| instance.id.to_string()).collect()
}

/// `d-odd` differs from `d-plain` in everything; the other two are not this query's at all.
fn four_disks() -> (Home, Store) {
    let (folder, store) = fresh();
    let mut odd = disk("d-odd", 1);
    odd.zone = ZoneId::new("cn-hangzhou-b");
    odd.kind = DiskKind::System;
    odd.category = Category::LocalSsdPro;
    odd.performance_level = Some(PerformanceLevel::Pl2);
    odd.name = "odd_one".into();
    odd.status = DiskStatus::Resetting(SnapshotId::new("s-1"));
    odd.delete_with_instance = true;
    odd.delete_auto_snapshot = true;
    odd.enable_auto_snapshot = true;
    odd.multi_attach = true;
    odd.source_snapshot = Some(SnapshotId::new("s-1"));
    odd.resource_group = "rg-1".into();
    odd.tags = vec![tag("env", "test"), tag("team", "a")];
    odd.created_at = at(2000);
    let (instance, device) = (InstanceId::new("i-1"), "/dev/xvdb".into());
    odd.attachments = vec![Attachment { instance, device, at: at(2500) }];
    let mut plain = disk("d-plain", 2);
    plain.name = "plain".into();
    plain.tags = vec![tag("env", "prod")];
    let mut elsewhere = odd.clone();
    elsewhere.id = DiskId::new("d-elsewhere");
    elsewhere.region = RegionId::new("cn-beijing");
    elsewhere.volume = 3;
    elsewhere.attachments.clear();
    let mut foreign = elsewhere.clone();
    foreign.id = DiskId::new("d-foreign");
    foreign.region = odd.region.clone();
    foreign.account = AccountId::new("2");
    foreign.volume = 4;
    write(&store, |tx| {
        [&odd, &plain, &elsewhere, &foreign].into_iter().try_for_each(|disk| tx.insert_disk(disk))
    });
    (folder, store)
}

#[test]
fn a_disk_is_found_by_each_of_its_properties() {
    let (_folder, store) = four_disks();
    let find = |change: fn(&mut DiskQuery)| find_disks(&store, change);
    assert_eq!(find(|_| ()), ["d-odd", "d-plain"]);
    let odd: &[fn(&mut DiskQuery)] = &[
        |q| q.ids = Some(["d-odd", "d-foreign", "d-none"].map(DiskId::new).to_vec()),
        |q| q.zone = Some(ZoneId::new("cn-hangzhou-b")),
        |q| q.instance = Some(InstanceId::new("i-1")),
        |q| q.kind = Some(DiskKind::System),
        |q| q.category = Some(Category::LocalSsdPro),
        |q| q.status = Some("ReIniting".into()),
        |q| q.snapshot = Some(SnapshotId::new("s-1")),
        |q| q.portable = Some(false),
        |q| q.delete_with_instance = Some(true),
        |q| q.delete_auto_snapshot = Some(true),
        |q| q.enable_auto_snapshot = Some(true),
        |q| q.name = Some("odd_one".into()),
        |q| q.name = Some("*d_o*".into()),
        |q| q.multi_attach = Some(true),
        |q| q.performance_level = Some(PerformanceLevel::Pl2),
        |q| q.resource_group = Some("rg-1".into()),
        |q| q.created_from = Some(at(2000)),
        |q| q.tags = vec![tagged("team", None)],
        |q| q.tags = vec![tagged("env", Some("test")), tagged("team", Some("a"))],
    ];
    for (n, change) in odd.iter().enumerate() {
        assert_eq!(find(*change), ["d-odd"], "filter {n}");
    }
    let plain: &[fn(&mut DiskQuery)] = &[
        |q| q.kind = Some(DiskKind::Data),
        |q| q.status = Some("Available".into()),
        |q| q.portable = Some(true),
        |q| q.delete_with_instance = Some(false),
        |q| q.delete_auto_snapshot = Some(false),
        |q| q.enable_auto_snapshot = Some(false),
        |q| q.multi_attach = Some(false),
        |q| q.created_to = Some(at(1000)),
        |q| q.tags = vec![tagged("env", Some("prod"))],
    ];
    for (n, change) in plain.iter().enumerate() {
        assert_eq!(find(*change), ["d-plain"], "filter {n}");
    }
    let nothing: &[fn(&mut DiskQuery)] = &[
        |q| q.ids = Some(Vec::new()),
        |q| q.status = Some("available".into()),
        |q| q.created_from = Some(at(2001)),
        |q| q.created_to = Some(at(999)),
        |q| q.tags = vec![tagged("env", Some("prod")), tagged("team", None)],
    ];
    for (n, change) in nothing.iter().enumerate() {
        assert_eq!(find(*change), [""; 0], "filter {n}");
    }
}

#[test]
fn only_the_star_is_special_in_a_name() {
    let (_folder, store) = fresh();
    let names = ["a_b", "axb", "a%b", "a\\b", "A_B", "a*b"];
    write(&store, |tx| {
        for (volume, name) in (1_u64..).zip(names) {
            let mut disk = disk(&format!("d-{volume}"), volume);
            disk.name = name.into();
            tx.insert_disk(&disk)?;
        }
        Ok(())
    });
    let find = |name: &str| find_disks(&store, |q| q.name = Some(name.into()));
    assert_eq!(find("a_b"), ["d-1"]);
    assert_eq!(find("a_*"), ["d-1"]);
    assert_eq!(find("*%*"), ["d-3"]);
    assert_eq!(find("*\\*"), ["d-4"]);
    assert_eq!(find("A*"), ["d-5"]);
    assert_eq!(find("a*b"), ["d-1", "d-2", "d-3", "d-4", "d-6"]);
    assert_eq!(find("*"), ["d-1", "d-2", "d-3", "d-4", "d-5", "d-6"]);
    assert_eq!(find("b*"), [""; 0]);
    assert_eq!(find(&"*".repeat(20_000)).len(), 6);
    assert_eq!(find(&"*_".repeat(40_000)), [""; 0]);
}

#[test]
fn a_snapshot_is_found_by_each_of_its_properties() {
    let (_folder, store) = fresh();
    let mut odd = snapshot("s-odd", "d-1", 1);
    odd.name = "odd".into();
    odd.status = SnapshotStatus::Failed;
    odd.source_disk_kind = DiskKind::System;
    odd.category = SnapshotCategory::Archive;
    odd.resource_group = "rg-1".into();
    odd.tags = vec![tag("env", "test")];
    odd.created_at = at(2000);
    let plain = snapshot("s-plain", "d-2", 2);
    let mut going = odd.clone();
    going.id = SnapshotId::new("s-going");
    going.status = SnapshotStatus::Deleting;
    going.version = 3;
    let mut made_from_it = disk("d-1", 4);
    made_from_it.source_snapshot = Some(SnapshotId::new("s-odd"));
    let (instance, device) = (InstanceId::new("i-1"), "/dev/xvdb".into());
    made_from_it.attachments = vec![Attachment { instance, device, at: at(0) }];
    write(&store, |tx| {
        tx.insert_disk(&made_from_it)?;
        tx.insert_image(&image("m-1", &plain.id))?;
        [&odd, &plain, &going].into_iter().try_for_each(|snapshot| tx.insert_snapshot(snapshot))
    });
    let find = |change: fn(&mut SnapshotQuery)| find_snapshots(&store, change);
    assert_eq!(find(|_| ()), ["s-odd", "s-plain"]);
    let odd: &[fn(&mut SnapshotQuery)] = &[
        |q| q.ids = Some(["s-odd", "s-going"].map(SnapshotId::new).to_vec()),
        |q| q.disk = Some(DiskId::new("d-1")),
        |q| q.instance = Some(InstanceId::new("i-1")),
        |q| q.name = Some("o*d".into()),
        |q| q.status = Some("failed".into()),
        |q| q.source_disk_kind = Some(DiskKind::System),
        |q| q.category = Some(SnapshotCategory::Archive),
        |q| q.has_disks = Some(true),
        |q| q.has_images = Some(false),
        |q| q.resource_group = Some("rg-1".into()),
        |q| q.created_from = Some(at(1001)),
        |q| q.tags = vec![tagged("env", Some("test"))],
    ];
    for (n, change) in odd.iter().enumerate() {
        assert_eq!(find(*change), ["s-odd"], "filter {n}");
    }
    let plain: &[fn(&mut SnapshotQuery)] = &[
        |q| q.status = Some("accomplished".into()),
        |q| q.has_disks = Some(false),
        |q| q.has_images = Some(true),
        |q| q.created_to = Some(at(1999)),
    ];
    for (n, change) in plain.iter().enumerate() {
        assert_eq!(find(*change), ["s-plain"], "filter {n}");
    }
    assert_eq!(find(|q| q.status = Some("deleting".into())), [""; 0]);
    assert_eq!(find(|q| q.account = AccountId::new("2")), [""; 0]);
    assert_eq!(find(|q| q.region = RegionId::new("cn-beijing")), [""; 0]);
}

#[test]
fn a_lock_is_found_by_its_status_which_the_clock_tells() {
    const HOUR: i64 = 60 * 60 * 1000;
    let (_folder, store) = fresh();
    let mut locked = snapshot("s-locked", "d-1", 1);
    locked.lock = Some(SnapshotLock { created_at: at(0), days: 2, cool_off_hours: 3 });
    let mut going = Snapshot { id: SnapshotId::new("s-going"), version: 2, ..locked.clone() };
    going.status = SnapshotStatus::Deleting;
    let never = snapshot("s-never", "d-1", 3);
    write(&store, |tx| {
        [&locked, &going, &never].into_iter().try_for_each(|snapshot| tx.insert_snapshot(snapshot))
    });
    let find = |status, now| {
        find_snapshots(&store, |query| query.locks = Some(LockQuery { status, now: at(now) }))
    };
    for (now, told) in [
        (0, LockStatus::CoolOff),
        (3 * HOUR - 1, LockStatus::CoolOff),
        (3 * HOUR, LockStatus::Compliance),
        (48 * HOUR - 1, LockStatus::Compliance),
        (48 * HOUR, LockStatus::Expired),
    ] {
        assert_eq!(locked.lock.unwrap().status(at(now)), told);
        assert_eq!(find(None, now), ["s-locked"]);
        for status in [LockStatus::CoolOff, LockStatus::Compliance, LockStatus::Expired] {
            let expected: &[&str] = if status == told { &["s-locked"] } else { &[] };
            assert_eq!(find(Some(status), now), expected, "{status:?} at {now}");
        }
    }
}

#[test]
fn an_instance_is_found_by_each_of_its_properties() {
    let (_folder, store) = fresh();
    let mut odd = instance("i-odd");
    odd.zone = ZoneId::new("cn-hangzhou-b");
    odd.name = "odd".into();
    odd.image = ImageId::new("m-1");
    odd.instance_type = "ecs.c7.large".into();
    odd.status = InstanceStatus::Rebooting;
    odd.network.vswitch = "vsw-1".into();
    odd.network.security_groups = vec!["sg-1".into(), "sg-2".into()];
    odd.network.key_pair = "key".into();
    odd.resource_group = "rg-1".into();
    odd.security_lock = true;
    odd.tags = vec![tag("env", "test")];
    odd.created_at = at(2000);
    let mut plain = instance("i-plain");
    plain.status = InstanceStatus::Running;
    write(&store, |tx| {
        [&odd, &plain].into_iter().try_for_each(|instance| tx.insert_instance(instance))
    });
    let find = |change: fn(&mut InstanceQuery)| find_instances(&store, change);
    assert_eq!(find(|_| ()), ["i-odd", "i-plain"]);
    let odd: &[fn(&mut InstanceQuery)] = &[
        |q| q.ids = Some(vec![InstanceId::new("i-odd")]),
        |q| q.zone = Some(ZoneId::new("cn-hangzhou-b")),
        |q| q.name = Some("od*".into()),
        |q| q.image = Some("m-1".into()),
        |q| q.instance_type = Some("ecs.c7.large".into()),
        |q| q.status = Some("Stopping".into()),
        |q| q.vswitch = Some("vsw-1".into()),
        |q| q.security_group = Some("sg-2".into()),
        |q| q.key_pair = Some("key".into()),
        |q| q.resource_group = Some("rg-1".into()),
        |q| q.locked = Some(true),
        |q| q.created_from = Some(at(2000)),
        |q| q.tags = vec![tagged("env", None)],
    ];
    for (n, change) in odd.iter().enumerate() {
        assert_eq!(find(*change), ["i-odd"], "filter {n}");
    }
    let plain: &[fn(&mut InstanceQuery)] = &[
        |q| q.status = Some("Running".into()),
        |q| q.locked = Some(false),
        |q| q.created_to = Some(at(1000)),
    ];
    for (n, change) in plain.iter().enumerate() {
        assert_eq!(find(*change), ["i-plain"], "filter {n}");
    }
    assert_eq!(find(|q| q.status = Some("Rebooting".into())), [""; 0]);
    assert_eq!(find(|q| q.account = AccountId::new("2")), [""; 0]);
    assert_eq!(find(|q| q.region = RegionId::new("cn-beijing")), [""; 0]);
}

/// The length of a whole list is kept beside it: it follows whatever comes, is hidden and goes.
#[test]
fn the_length_of_a_list_follows_it() {
    let (_folder, store) = fresh();
    let lengths = || {
        read(&store, |tx| {
            let snapshots = tx.snapshots(&snapshot_query())?;
            Ok((tx.disks(&disk_query())?.total, snapshots.total, snapshots.items.len()))
        })
    };
    assert_eq!(lengths(), (0, 0, 0));
    write(&store, |tx| {
        tx.insert_disk(&disk("d-1", 1))?;
        tx.insert_disk(&disk("d-2", 2))?;
        (1..=3).try_for_each(|n| tx.insert_snapshot(&snapshot(&format!("s-{n}"), "d-1", n)))
    });
    assert_eq!(lengths(), (2, 3, 3));
    write(&store, |tx| {
        let mut going = tx.snapshot(&SnapshotId::new("s-1"))?.unwrap();
        going.status = SnapshotStatus::Deleting;
        tx.save_snapshot(&going)?;
        tx.remove_snapshot(&SnapshotId::new("s-2"))?;
        tx.remove_disk(&DiskId::new("d-2"), at(0))
    });
    assert_eq!(lengths(), (1, 1, 1));
    write(&store, |tx| tx.remove_snapshot(&SnapshotId::new("s-1")));
    assert_eq!(lengths(), (1, 1, 1));
}
