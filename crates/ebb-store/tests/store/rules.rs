//! What is asked about disks, snapshots, instances, categories, tags and tokens beyond lists.

use ebb_domain::{
    AccountId, Attachment, Category, DiskId, DiskStatus, InstanceId, InstanceStatus, RegionId,
    SnapshotId, SnapshotStatus, Tag,
};
use ebb_store::{ResourceKind, StoreError, TagFilter, TagQuery, TokenRow};

use crate::sample::{account, at, disk, fresh, instance, read, region, snapshot, write};

fn attached(instance: &str, device: &str) -> Vec<Attachment> {
    vec![Attachment { instance: InstanceId::new(instance), device: device.into(), at: at(0) }]
}

fn tag(key: &str, value: &str) -> Tag {
    Tag { key: key.into(), value: value.into() }
}

#[test]
fn a_deleted_disk_is_remembered_by_its_account() {
    let (_folder, store) = fresh();
    let mut gone = disk("d-1", 1);
    gone.tags = vec![tag("k", "v")];
    gone.attachments = attached("i-1", "/dev/xvdb");
    write(&store, |tx| tx.insert_disk(&gone));
    assert_eq!(read(&store, |tx| tx.disk_was_deleted(&account(), &gone.id)), None);
    write(&store, |tx| tx.remove_disk(&gone.id, at(5)));
    // Once more, as after a restart in the middle.
    write(&store, |tx| tx.remove_disk(&gone.id, at(6)));
    assert_eq!(read(&store, |tx| tx.disk(&gone.id)), None);
    assert_eq!(read(&store, |tx| tx.disk_was_deleted(&account(), &gone.id)), Some(region()));
    let stranger = AccountId::new("2");
    assert_eq!(read(&store, |tx| tx.disk_was_deleted(&stranger, &gone.id)), None);
    assert_eq!(read(&store, |tx| tx.disk_was_deleted(&account(), &DiskId::new("d-2"))), None);
    assert_eq!(read(&store, |tx| tx.tags_of(ResourceKind::Disk, "d-1")), []);
    let none = read(&store, |tx| tx.disks_of_instance(&InstanceId::new("i-1")));
    assert_eq!(none, []);
}

#[test]
fn the_disks_of_an_instance_come_by_device_name() {
    let (_folder, store) = fresh();
    write(&store, |tx| {
        for (n, device) in [(1, "aa"), (2, "z"), (3, "a"), (4, "b")] {
            let mut disk = disk(&format!("d-{n}"), n);
            disk.attachments = attached("i-1", &format!("/dev/xvd{device}"));
            tx.insert_disk(&disk)?;
        }
        let mut other = disk("d-5", 5);
        other.attachments = attached("i-2", "/dev/xvda");
        tx.insert_disk(&other)
    });
    let disks = read(&store, |tx| tx.disks_of_instance(&InstanceId::new("i-1")));
    let ids: Vec<_> = disks.iter().map(|disk| disk.id.as_str()).collect();
    assert_eq!(ids, ["d-3", "d-4", "d-2", "d-1"]);
}

#[test]
fn two_disks_cannot_have_one_device_name() {
    let (_folder, store) = fresh();
    let mut first = disk("d-1", 1);
    first.attachments = attached("i-1", "/dev/xvdb");
    let mut second = disk("d-2", 2);
    second.attachments = first.attachments.clone();
    write(&store, |tx| tx.insert_disk(&first));
    let refused = store.write(ebb_store::Durability::Durable, |tx| tx.insert_disk(&second));
    assert!(matches!(refused, Err(StoreError::Sql(_))), "{refused:?}");
    assert_eq!(read(&store, |tx| tx.disk(&second.id)), None);
}

#[test]
fn what_is_under_way_is_found_on_start() {
    let (_folder, store) = fresh();
    let disk_states = [
        DiskStatus::Creating,
        DiskStatus::Available,
        DiskStatus::Attaching,
        DiskStatus::InUse,
        DiskStatus::Detaching,
        DiskStatus::Resetting(SnapshotId::new("s-1")),
        DiskStatus::Deleting,
    ];
    let snapshot_states = [
        SnapshotStatus::Progressing,
        SnapshotStatus::Accomplished,
        SnapshotStatus::Failed,
        SnapshotStatus::Deleting,
    ];
    let instance_states = [
        InstanceStatus::Creating,
        InstanceStatus::Pending,
        InstanceStatus::Starting,
        InstanceStatus::Running,
        InstanceStatus::Stopping,
        InstanceStatus::Stopped,
        InstanceStatus::Rebooting,
    ];
    write(&store, |tx| {
        for (n, status) in (0..).zip(&disk_states) {
            let mut disk = disk(&format!("d-{n}"), n);
            disk.status = status.clone();
            tx.insert_disk(&disk)?;
        }
        for (n, status) in (0..).zip(snapshot_states) {
            let mut snapshot = snapshot(&format!("s-{n}"), "d-0", n);
            snapshot.status = status;
            tx.insert_snapshot(&snapshot)?;
        }
        for (n, status) in instance_states.into_iter().enumerate() {
            let mut instance = instance(&format!("i-{n}"));
            instance.status = status;
            tx.insert_instance(&instance)?;
        }
        Ok(())
    });
    let disks = read(&store, |tx| tx.disks_in_transition());
    let ids: Vec<_> = disks.iter().map(|disk| disk.id.as_str()).collect();
    assert_eq!(ids, ["d-0", "d-2", "d-4", "d-5", "d-6"]);
    assert_eq!(disks[3].status, DiskStatus::Resetting(SnapshotId::new("s-1")));
    let snapshots = read(&store, |tx| tx.snapshots_in_transition());
    let ids: Vec<_> = snapshots.iter().map(|snapshot| snapshot.id.as_str()).collect();
    assert_eq!(ids, ["s-0", "s-3"]);
    let instances = read(&store, |tx| tx.instances_in_transition());
    let ids: Vec<_> = instances.iter().map(|instance| instance.id.as_str()).collect();
    assert_eq!(ids, ["i-0", "i-1", "i-2", "i-4", "i-6"]);
    assert_eq!(read(&store, |tx| tx.running_instances()), [InstanceId::new("i-3")]);
    assert_eq!(read(&store, |tx| tx.all_volumes()), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(read(&store, |tx| tx.all_versions()), [0, 1, 2, 3]);
    assert!(read(&store, |tx| tx.disk_resetting_to(&SnapshotId::new("s-1"))));
    assert!(!read(&store, |tx| tx.disk_resetting_to(&SnapshotId::new("s-2"))));
}

#[test]
fn a_disk_has_an_unfinished_snapshot_while_one_progresses() {
    let (_folder, store) = fresh();
    let disk = DiskId::new("d-1");
    let mut states = Vec::new();
    let mut only = snapshot("s-1", "d-1", 1);
    write(&store, |tx| tx.insert_snapshot(&only));
    for status in [
        SnapshotStatus::Progressing,
        SnapshotStatus::Accomplished,
        SnapshotStatus::Failed,
        SnapshotStatus::Deleting,
    ] {
        only.status = status;
        write(&store, |tx| {
            tx.snapshot(&only.id)?;
            tx.save_snapshot(&only)
        });
        states.push(read(&store, |tx| {
            Ok((tx.has_unfinished_snapshot(&disk)?, tx.manual_snapshots(&disk)?))
        }));
    }
    assert_eq!(states, [(true, 1), (false, 1), (false, 0), (false, 0)]);
    assert!(!read(&store, |tx| tx.has_unfinished_snapshot(&DiskId::new("d-2"))));
    write(&store, |tx| tx.remove_snapshot(&only.id));
    assert_eq!(read(&store, |tx| tx.snapshot(&only.id)), None);
}

#[test]
fn disks_made_from_a_snapshot_are_counted() {
    let (_folder, store) = fresh();
    let source = SnapshotId::new("s-1");
    write(&store, |tx| {
        for n in 1..=3 {
            let mut disk = disk(&format!("d-{n}"), n);
            disk.source_snapshot = (n < 3).then(|| source.clone());
            tx.insert_disk(&disk)?;
        }
        Ok(())
    });
    assert_eq!(read(&store, |tx| tx.disks_made_from(&source)), 2);
    assert_eq!(read(&store, |tx| tx.disks_made_from(&SnapshotId::new("s-2"))), 0);
}

#[test]
fn a_disk_keeps_naming_the_instance_that_is_gone() {
    let (_folder, store) = fresh();
    let lost = instance("i-1");
    let mut orphan = disk("d-1", 1);
    orphan.attachments = attached("i-1", "/dev/xvdb");
    write(&store, |tx| {
        tx.insert_instance(&lost)?;
        tx.insert_disk(&orphan)
    });
    write(&store, |tx| {
        tx.instance(&lost.id)?;
        tx.remove_instance(&lost.id)
    });
    assert_eq!(read(&store, |tx| tx.instance(&lost.id)), None);
    assert_eq!(read(&store, |tx| tx.disk(&orphan.id)), Some(orphan));
}

#[test]
fn a_restricted_category_is_open_to_those_named() {
    let (_folder, store) = fresh();
    let (essd, ssd) = (Category::CloudEssd, Category::CloudSsd);
    let (a, b) = (AccountId::new("a"), AccountId::new("b"));
    let restricted = || {
        read(&store, |tx| {
            Ok([
                tx.is_restricted(essd, &a)?,
                tx.is_restricted(essd, &b)?,
                tx.is_restricted(ssd, &b)?,
            ])
        })
    };
    assert_eq!(restricted(), [false, false, false]);
    write(&store, |tx| tx.restrict_category(essd, &[a.clone(), a.clone()]));
    assert_eq!(restricted(), [false, true, false]);
    write(&store, |tx| tx.restrict_category(essd, std::slice::from_ref(&b)));
    assert_eq!(restricted(), [true, false, false]);
    write(&store, |tx| tx.restrict_category(essd, &[]));
    assert_eq!(restricted(), [true, true, false]);
    assert!(write(&store, |tx| tx.unrestrict_category(essd)));
    assert_eq!(restricted(), [false, false, false]);
    assert!(!write(&store, |tx| tx.unrestrict_category(essd)));
}

#[test]
fn tags_are_added_replaced_and_taken_off() {
    let (_folder, store) = fresh();
    let tags = || read(&store, |tx| tx.tags_of(ResourceKind::Instance, "i-1"));
    let put = |tags: &[Tag]| write(&store, |tx| tx.put_tags(ResourceKind::Instance, "i-1", tags));
    let remove = |keys: Option<&[String]>| {
        write(&store, |tx| tx.remove_tags(ResourceKind::Instance, "i-1", keys));
    };
    put(&[tag("b", "1"), tag("a", "1")]);
    put(&[tag("b", "2"), tag("c", "2")]);
    assert_eq!(tags(), [tag("a", "1"), tag("b", "2"), tag("c", "2")]);
    assert_eq!(read(&store, |tx| tx.tags_of(ResourceKind::Disk, "i-1")), []);
    remove(Some(&[]));
    remove(Some(&["a".into(), "none".into()]));
    assert_eq!(tags(), [tag("b", "2"), tag("c", "2")]);
    remove(None);
    assert_eq!(tags(), []);
}

#[test]
fn tag_rows_are_those_of_the_resources_asked_for() {
    let (_folder, store) = fresh();
    write(&store, |tx| {
        let mut one = disk("d-1", 1);
        one.tags = vec![tag("env", "test"), tag("team", "a")];
        let mut two = disk("d-2", 2);
        two.tags = vec![tag("env", "prod")];
        let mut elsewhere = disk("d-3", 3);
        elsewhere.region = RegionId::new("cn-beijing");
        elsewhere.tags = one.tags.clone();
        [one, two, elsewhere].iter().try_for_each(|disk| tx.insert_disk(disk))?;
        let mut going = snapshot("s-1", "d-1", 1);
        going.status = SnapshotStatus::Deleting;
        going.tags = vec![tag("env", "test")];
        tx.insert_snapshot(&going)
    });
    let find = |kind, resources: &[&str], tags: &[(&str, Option<&str>)]| {
        let query = TagQuery {
            account: account(),
            region: region(),
            kind,
            resources: resources.iter().map(ToString::to_string).collect(),
            tags: tags
                .iter()
                .map(|(key, value)| TagFilter {
                    key: (*key).into(),
                    value: value.map(str::to_owned),
                })
                .collect(),
            after: None,
            size: 50,
        };
        let page = read(&store, |tx| tx.tag_rows(&query));
        assert_eq!(page.total, page.items.len() as u64);
        let row = |row: &ebb_store::TagRow| format!("{} {}={}", row.resource, row.key, row.value);
        page.items.iter().map(row).collect::<Vec<_>>()
    };
    let disk = ResourceKind::Disk;
    assert_eq!(find(disk, &[], &[]), ["d-1 env=test", "d-1 team=a", "d-2 env=prod"]);
    assert_eq!(find(disk, &["d-2", "d-3"], &[]), ["d-2 env=prod"]);
    assert_eq!(find(disk, &[], &[("team", None)]), ["d-1 env=test", "d-1 team=a"]);
    assert_eq!(find(disk, &[], &[("env", Some("prod"))]), ["d-2 env=prod"]);
    assert_eq!(find(disk, &[], &[("env", Some("prod")), ("team", None)]), [""; 0]);
    assert_eq!(find(ResourceKind::Snapshot, &[], &[]), [""; 0]);
    assert_eq!(find(ResourceKind::Instance, &["d-1"], &[]), [""; 0]);
}

#[test]
fn tokens_are_an_accounts_and_an_actions_until_they_are_purged() {
    let (_folder, store) = fresh();
    let row = |n: u8| TokenRow {
        fingerprint: [n; 32],
        result: vec![format!("d-{n}")],
        at: at(i64::from(n)),
    };
    let stranger = AccountId::new("2");
    write(&store, |tx| {
        tx.put_token(&account(), "CreateDisk", "t", &row(1))?;
        tx.put_token(&account(), "CreateSnapshot", "t", &row(2))?;
        tx.put_token(&stranger, "CreateDisk", "t", &row(3))
    });
    let token = |account: &AccountId, action| read(&store, |tx| tx.token(account, action, "t"));
    assert_eq!(token(&account(), "CreateDisk"), Some(row(1)));
    assert_eq!(token(&account(), "CreateSnapshot"), Some(row(2)));
    assert_eq!(token(&stranger, "CreateDisk"), Some(row(3)));
    assert_eq!(write(&store, |tx| tx.purge_tokens(at(3))), 2);
    assert_eq!(token(&account(), "CreateDisk"), None);
    assert_eq!(token(&account(), "CreateSnapshot"), None);
    assert_eq!(token(&stranger, "CreateDisk"), Some(row(3)));
    write(&store, |tx| tx.remove_token(&stranger, "CreateDisk", "t"));
    write(&store, |tx| tx.remove_token(&stranger, "CreateDisk", "t"));
    assert_eq!(token(&stranger, "CreateDisk"), None);
}
