//! Snapshot groups and automatic snapshot policies: what is kept, found and let go.

use ebb_domain::{
    AccountId, AutoSnapshotPolicy, AutoSnapshotPolicyId, CopySource, DiskId, InstanceId, Origin,
    RegionId, Slots, Snapshot, SnapshotGroup, SnapshotGroupId, SnapshotGroupStatus, SnapshotId,
    SnapshotStatus, Tag,
};
use ebb_store::{AutoPolicyQuery, ResourceKind, SnapshotGroupQuery, TagFilter};

use crate::sample::{ALL, account, at, disk, disk_query, fresh, read, region, snapshot, write};

fn tag(key: &str) -> Tag {
    Tag { key: key.into(), value: "v".into() }
}

fn group(id: &str, instance: Option<&str>) -> SnapshotGroup {
    SnapshotGroup {
        id: SnapshotGroupId::new(id),
        account: account(),
        region: region(),
        instance: instance.map(InstanceId::new),
        name: "name".into(),
        description: "text".into(),
        status: SnapshotGroupStatus::Accomplished,
        resource_group: "rg".into(),
        tags: Vec::new(),
        created_at: at(1000),
    }
}

fn policy(id: &str) -> AutoSnapshotPolicy {
    AutoSnapshotPolicy {
        id: AutoSnapshotPolicyId::new(id),
        account: account(),
        region: region(),
        name: "name".into(),
        hours: Slots::parse(&[0, 23], 0, 23).unwrap(),
        weekdays: Slots::parse(&[1, 7], 1, 7).unwrap(),
        retention_days: Some(3),
        copy_to: ["cn-beijing", "cn-shanghai"].map(RegionId::new).to_vec(),
        copy_retention_days: None,
        copy_encryption: ebb_domain::CopyEncryption { encrypted: true, key: Some("k".into()) },
        resource_group: "rg".into(),
        tags: Vec::new(),
        created_at: at(1000),
        done_until: at(2000),
    }
}

#[test]
fn a_group_is_kept_with_its_snapshots() {
    let (_folder, store) = fresh();
    let mut odd = group("ssg-odd", Some("i-1"));
    odd.status = SnapshotGroupStatus::Progressing;
    odd.name = "odd".into();
    odd.resource_group = "rg-1".into();
    odd.tags = vec![tag("k")];
    let plain = group("ssg-plain", None);
    let of = |id: &str, disk: &str, version| Snapshot {
        group: Some(odd.id.clone()),
        ..snapshot(id, disk, version)
    };
    let mut going = of("s-3", "d-3", 3);
    going.status = SnapshotStatus::Deleting;
    write(&store, |tx| {
        [&odd, &plain].into_iter().try_for_each(|group| tx.insert_snapshot_group(group))?;
        let snapshots =
            [of("s-2", "d-2", 2), of("s-1", "d-1", 1), going, snapshot("s-4", "d-1", 4)];
        snapshots.iter().try_for_each(|snapshot| tx.insert_snapshot(snapshot))
    });
    assert_eq!(read(&store, |tx| tx.snapshot_group(&odd.id)), Some(odd.clone()));
    assert_eq!(read(&store, |tx| tx.snapshot_groups_in_transition()), [odd.clone()]);
    let members = read(&store, |tx| tx.snapshots_of_group(&odd.id));
    assert_eq!(members.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["s-1", "s-2"]);
    let all = SnapshotGroupQuery {
        account: account(),
        region: region(),
        ids: None,
        instance: None,
        name: None,
        statuses: None,
        resource_group: None,
        tags: Vec::new(),
        page: ALL,
    };
    let find = |change: fn(&mut SnapshotGroupQuery)| {
        let mut query = all.clone();
        change(&mut query);
        let page = read(&store, |tx| tx.snapshot_groups(&query));
        page.items.iter().map(|group| group.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(find(|_| ()), ["ssg-odd", "ssg-plain"]);
    let filters: [fn(&mut SnapshotGroupQuery); 6] = [
        |q| q.ids = Some(vec![SnapshotGroupId::new("ssg-odd")]),
        |q| q.instance = Some(InstanceId::new("i-1")),
        |q| q.name = Some("o*".into()),
        |q| q.statuses = Some(vec!["progressing".into(), "failed".into()]),
        |q| q.resource_group = Some("rg-1".into()),
        |q| q.tags = vec![TagFilter { key: "k".into(), value: None }],
    ];
    for (n, filter) in filters.into_iter().enumerate() {
        assert_eq!(find(filter), ["ssg-odd"], "filter {n}");
    }
    assert_eq!(find(|q| q.account = AccountId::new("2")), [""; 0]);
    write(&store, |tx| tx.remove_snapshot_group(&odd.id));
    assert_eq!(read(&store, |tx| tx.snapshot_group(&odd.id)), None);
    assert_eq!(read(&store, |tx| tx.tags_of(ResourceKind::SnapshotGroup, "ssg-odd")), []);
    assert!(read(&store, |tx| tx.snapshot(&SnapshotId::new("s-1"))).is_some());
}

#[test]
fn a_policy_is_kept_and_goes_from_its_disks() {
    let (_folder, store) = fresh();
    let first = AutoSnapshotPolicy { tags: vec![tag("k")], ..policy("sp-1") };
    let second = AutoSnapshotPolicy {
        copy_to: Vec::new(),
        retention_days: None,
        name: "other".into(),
        ..policy("sp-2")
    };
    let mut with = disk("d-1", 1);
    with.auto_snapshot_policy = Some(first.id.clone());
    write(&store, |tx| {
        [&first, &second].into_iter().try_for_each(|policy| tx.insert_auto_policy(policy))?;
        [&with, &disk("d-2", 2)].into_iter().try_for_each(|disk| tx.insert_disk(disk))
    });
    for policy in [&first, &second] {
        assert_eq!(read(&store, |tx| tx.auto_policy(&policy.id)).as_ref(), Some(policy));
    }
    assert_eq!(read(&store, |tx| tx.all_auto_policies()), [first.clone(), second.clone()]);
    let named = AutoPolicyQuery {
        account: account(),
        region: region(),
        id: None,
        name: Some("oth*".into()),
        resource_group: None,
        tags: Vec::new(),
        page: ALL,
    };
    assert_eq!(read(&store, |tx| tx.auto_policies(&named)).items, [second]);
    let has = |wanted| {
        let mut query = disk_query();
        query.has_auto_snapshot_policy = Some(wanted);
        let page = read(&store, |tx| tx.disks(&query));
        page.items.iter().map(|disk| disk.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!((has(true), has(false)), (vec!["d-1".to_owned()], vec!["d-2".to_owned()]));
    assert_eq!(read(&store, |tx| tx.disks_of_policy(&first.id)), [with]);
    write(&store, |tx| tx.remove_auto_policy(&first.id));
    assert_eq!(has(true), [""; 0]);
    assert_eq!(read(&store, |tx| tx.auto_policy(&first.id)), None);
}

#[test]
fn automatic_snapshots_and_copies_are_no_ones_quota() {
    let (_folder, store) = fresh();
    let own = snapshot("s-own", "d-1", 1);
    let auto = Snapshot { origin: Origin::Auto, ..snapshot("s-auto", "d-1", 2) };
    let copy = Snapshot {
        region: RegionId::new("cn-beijing"),
        status: SnapshotStatus::Progressing,
        copied_from: Some(CopySource { snapshot: auto.id.clone(), region: region() }),
        ..Snapshot { origin: Origin::Auto, ..snapshot("s-copy", "d-1", 3) }
    };
    write(&store, |tx| [&own, &auto, &copy].into_iter().try_for_each(|s| tx.insert_snapshot(s)));
    let disk = DiskId::new("d-1");
    assert_eq!(read(&store, |tx| tx.manual_snapshots(&disk)), 1);
    assert!(!read(&store, |tx| tx.has_unfinished_snapshot(&disk)));
    assert_eq!(read(&store, |tx| tx.auto_snapshots(&disk)), std::slice::from_ref(&auto));
    let there =
        |region: &str| read(&store, |tx| tx.has_copy(&disk, &auto.id, &RegionId::new(region)));
    assert!(there("cn-beijing") && !there("cn-shanghai"));
}
