//! Every row of the table, and that an earlier row wins over every later one.

use super::*;
use crate::disk::sample;
use crate::{
    AccountId, Category, DiskId, DiskKind, Encryption, ImageId, InstanceId, KeyState, Network,
    Origin, RegionId, SnapshotId, ZoneId,
};

fn instance() -> Instance {
    Instance {
        id: InstanceId::new("i-1"),
        account: AccountId::new("1"),
        region: RegionId::new("cn-hangzhou"),
        zone: ZoneId::new("cn-hangzhou-a"),
        name: String::new(),
        description: String::new(),
        host_name: String::new(),
        image: ImageId::new(crate::BLANK_IMAGE),
        instance_type: "ecs.g7.large".into(),
        status: InstanceStatus::Stopped,
        security_lock: false,
        expired: false,
        deletion_protection: false,
        stopped_mode: String::new(),
        resource_group: String::new(),
        network: Network::default(),
        tags: Vec::new(),
        created_at: Timestamp::from_unix_millis(0),
        started_at: None,
    }
}

fn snapshot() -> Snapshot {
    Snapshot {
        id: SnapshotId::new("s-1"),
        account: AccountId::new("1"),
        region: RegionId::new("cn-hangzhou"),
        source_disk: DiskId::new("d-1"),
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
        created_at: Timestamp::OLDEST_RESTORABLE,
        modified_at: None,
        lock: None,
        group: None,
        copied_from: None,
        encryption: None,
        version: 2,
        archived_bytes: None,
    }
}

fn fine() -> ResetFacts {
    ResetFacts {
        account: Account::new(AccountId::new("1")),
        disk: DiskFound::Here(Box::new(sample())),
        restricted: false,
        unfinished_snapshot: false,
        instances: vec![Some(instance())],
        snapshot: SnapshotFound::Here(Box::new(snapshot())),
        key: DiskKey::None,
        dry_run: false,
    }
}

fn with_disk(facts: &mut ResetFacts, change: impl Fn(&mut Disk)) {
    if let DiskFound::Here(disk) = &mut facts.disk {
        change(disk);
    }
}

fn with_instance(facts: &mut ResetFacts, change: impl Fn(&mut Instance)) {
    for instance in facts.instances.iter_mut().flatten() {
        change(instance);
    }
}

fn with_snapshot(facts: &mut ResetFacts, change: impl Fn(&mut Snapshot)) {
    if let SnapshotFound::Here(snapshot) = &mut facts.snapshot {
        change(snapshot);
    }
}

fn key(state: KeyState, tagged: bool, granted: bool) -> DiskKey {
    DiskKey::There { state, tagged, granted }
}

type Row = (Denied, fn(&mut ResetFacts));

/// The table from its account rows to its end, each with the state that gives it.
const ROWS: &[Row] = &[
    (Denied::NotEnoughBalance, |f| f.account.balance_fen = -1),
    (Denied::SnapshotServiceClosed, |f| f.account.snapshot_service = false),
    (Denied::DiskNotFound, |f| f.disk = DiskFound::Never),
    (Denied::DiskDeleted, |f| f.disk = DiskFound::Deleted),
    (Denied::NotOnWhiteList, |f| f.restricted = true),
    (Denied::CategoryUnsupported, |f| with_disk(f, |d| d.category = Category::LocalSsdPro)),
    (Denied::DiskStatus, |f| with_disk(f, |d| d.status = DiskStatus::Detaching)),
    (Denied::UnfinishedSnapshot, |f| f.unfinished_snapshot = true),
    (Denied::InstanceNotFound, |f| f.instances = vec![None]),
    (Denied::InstanceLocked, |f| with_instance(f, |i| i.security_lock = true)),
    (Denied::InstanceExpired, |f| with_instance(f, |i| i.expired = true)),
    (Denied::InstanceStatus, |f| with_instance(f, |i| i.status = InstanceStatus::Running)),
    (Denied::SnapshotNotFound, |f| f.snapshot = SnapshotFound::Never),
    (Denied::SnapshotNotReady, |f| with_snapshot(f, |s| s.status = SnapshotStatus::Failed)),
    (Denied::SnapshotMismatch, |f| with_snapshot(f, |s| s.source_disk = DiskId::new("d-2"))),
    (Denied::SnapshotTooOld, |f| {
        with_snapshot(f, |s| s.created_at = Timestamp::from_unix_millis(1_373_846_399_999));
    }),
    (Denied::SnapshotCategory, |f| with_snapshot(f, |s| s.category = SnapshotCategory::Archive)),
    (Denied::KeyNotFound, |f| f.key = DiskKey::Gone),
    (Denied::KeyNotEnabled, |f| f.key = key(KeyState::PendingDeletion, false, false)),
    (Denied::KeyNotTagged, |f| f.key = key(KeyState::Enabled, false, false)),
    (Denied::KeyNotGranted, |f| f.key = key(KeyState::Enabled, true, false)),
    (Denied::Conflict, |f| {
        with_disk(f, |d| d.status = DiskStatus::Resetting(SnapshotId::new("s-1")));
    }),
    (Denied::DryRun, |f| f.dry_run = true),
];

#[test]
fn nothing_forbids_a_reset_at_rest() {
    let (disk, snapshot) = check_reset(fine()).unwrap();
    assert_eq!((disk.id.as_str(), snapshot.id.as_str()), ("d-1", "s-1"));
}

#[test]
fn what_is_encrypted_meets_only_what_has_its_data_key() {
    let with = |data_key: &str| Some(Encryption { key: "k".into(), data_key: data_key.to_owned() });
    for (disk, snapshot, expected) in [
        (with("dk-1"), with("dk-1"), Ok(())),
        (None, with("dk-1"), Err(Denied::SnapshotMismatch)),
        (with("dk-1"), None, Err(Denied::SnapshotMismatch)),
        (with("dk-1"), with("dk-2"), Err(Denied::SnapshotMismatch)),
    ] {
        let mut facts = fine();
        with_disk(&mut facts, |d| d.encryption.clone_from(&disk));
        with_snapshot(&mut facts, |s| s.encryption.clone_from(&snapshot));
        assert_eq!(check_reset(facts).map(drop), expected, "{disk:?} {snapshot:?}");
    }
}

#[test]
fn each_state_gives_its_row() {
    for (denied, state) in ROWS {
        let mut facts = fine();
        state(&mut facts);
        assert_eq!(check_reset(facts).as_ref(), Err(denied));
    }
}

#[test]
fn of_two_states_the_earlier_row_answers() {
    for (n, (first, earlier)) in ROWS.iter().enumerate() {
        for (second, later) in &ROWS[n + 1..] {
            let mut facts = fine();
            later(&mut facts);
            earlier(&mut facts);
            assert_eq!(check_reset(facts).as_ref(), Err(first), "{first:?} before {second:?}");
        }
    }
}

#[test]
fn arrears_are_the_disks_before_they_are_the_instances() {
    let mut facts = fine();
    facts.account.arrears = true;
    assert_eq!(check_reset(facts), Err(Denied::DiskStatus));
}

#[test]
fn a_snapshot_on_its_way_out_is_a_conflict() {
    let mut facts = fine();
    with_snapshot(&mut facts, |s| s.status = SnapshotStatus::Deleting);
    assert_eq!(check_reset(facts), Err(Denied::Conflict));
}

#[test]
fn every_instance_of_a_shared_disk_must_be_stopped() {
    let mut facts = fine();
    let mut running = instance();
    running.status = InstanceStatus::Running;
    facts.instances.push(Some(running));
    assert_eq!(check_reset(facts), Err(Denied::InstanceStatus));
}

#[test]
fn of_two_instances_the_earlier_row_answers() {
    let states: [(Denied, Option<Instance>); 4] = [
        (Denied::InstanceNotFound, None),
        (Denied::InstanceLocked, Some(Instance { security_lock: true, ..instance() })),
        (Denied::InstanceExpired, Some(Instance { expired: true, ..instance() })),
        (Denied::InstanceStatus, Some(Instance { status: InstanceStatus::Running, ..instance() })),
    ];
    for (n, (first, earlier)) in states.iter().enumerate() {
        for (_, later) in &states[n..] {
            for instances in
                [vec![earlier.clone(), later.clone()], vec![later.clone(), earlier.clone()]]
            {
                let facts = ResetFacts { instances, ..fine() };
                assert_eq!(check_reset(facts).as_ref(), Err(first));
            }
        }
    }
}
