//! Chains of snapshots.

use ebb_domain::{
    Attachment, Disk, DiskId, DiskKind, InstanceId, RegionId, Snapshot, SnapshotStatus,
};
use ebb_store::{Chain, ChainQuery, PageRequest, Store};

use crate::home::Home;
use crate::sample::{ALL, account, at, disk, fresh, instance, read, region, snapshot, write};

fn query(page: PageRequest) -> ChainQuery {
    ChainQuery { account: account(), region: region(), disks: None, instance: None, page }
}

fn member(id: &str, disk: &str, version: u64) -> Snapshot {
    let created_at = at(1000 + i64::try_from(version).unwrap());
    Snapshot { created_at, ..snapshot(id, disk, version) }
}

/// Three disks: of one all kinds of snapshots, of one a single, and one of another region.
fn three() -> (Home, Store) {
    let (folder, store) = fresh();
    let failed = Snapshot { status: SnapshotStatus::Failed, ..member("s-5", "d-1", 5) };
    let deleting = Snapshot { status: SnapshotStatus::Deleting, ..member("s-6", "d-1", 6) };
    let archived = Snapshot { archived_bytes: Some(700), ..member("s-1", "d-1", 1) };
    let elsewhere = Snapshot { region: RegionId::new("cn-beijing"), ..member("s-7", "d-1", 7) };
    let system = Snapshot { source_disk_kind: DiskKind::System, ..member("s-8", "d-2", 8) };
    let larger = Snapshot { source_disk_gib: 30, ..member("s-4", "d-1", 4) };
    let all = [larger, member("s-3", "d-1", 3), failed, deleting, archived, elsewhere, system];
    write(&store, |tx| all.iter().try_for_each(|snapshot| tx.insert_snapshot(snapshot)));
    (folder, store)
}

fn disks(chains: &[Chain]) -> Vec<&str> {
    chains.iter().map(|chain| chain.disk.as_str()).collect()
}

#[test]
fn a_chain_is_what_a_disk_has_in_a_region() {
    let (_folder, store) = three();
    let found = read(&store, |tx| tx.chains(&query(ALL)));
    assert_eq!((disks(&found.items), found.total), (vec!["d-1", "d-2"], 2));
    let first = &found.items[0];
    assert_eq!((first.count, &first.versions), (4, &vec![3, 4]));
    assert_eq!((first.archived, first.archived_bytes), (1, 700));
    assert_eq!((first.disk_gib, first.kind), (20, DiskKind::Data), "of the last, which failed");
    assert_eq!(found.items[1].kind, DiskKind::System);
    let all = read(&store, |tx| tx.all_chains(None));
    assert_eq!(disks(&all), ["d-1", "d-1", "d-2"]);
    let (account, region) = (account(), region());
    let here = read(&store, |tx| tx.all_chains(Some((&account, &region))));
    assert_eq!(here, found.items);
}

#[test]
fn chains_are_filtered_and_come_in_pages() {
    let (_folder, store) = three();
    let named = ChainQuery { disks: Some(["d-2", "d-9"].map(DiskId::new).to_vec()), ..query(ALL) };
    assert_eq!(disks(&read(&store, |tx| tx.chains(&named)).items), ["d-2"]);
    let none = ChainQuery { disks: Some(Vec::new()), ..query(ALL) };
    assert_eq!(read(&store, |tx| tx.chains(&none)).items, []);
    write(&store, |tx| {
        tx.insert_instance(&instance("i-1"))?;
        let (instance, device) = (InstanceId::new("i-1"), "/dev/xvdb".to_owned());
        let attachments = vec![Attachment { instance, device, at: at(1) }];
        tx.insert_disk(&Disk { attachments, ..disk("d-2", 2) })
    });
    let of = ChainQuery { instance: Some(InstanceId::new("i-1")), ..query(ALL) };
    assert_eq!(disks(&read(&store, |tx| tx.chains(&of)).items), ["d-2"]);
    let second = query(PageRequest::Number { number: 2, size: 1 });
    assert_eq!(disks(&read(&store, |tx| tx.chains(&second)).items), ["d-2"]);
    let page = |after| query(PageRequest::Token { after, size: 1 });
    let first = read(&store, |tx| tx.chains(&page(None)));
    assert_eq!((disks(&first.items), first.total), (vec!["d-1"], 2));
    let last = read(&store, |tx| tx.chains(&page(first.next.clone())));
    assert_eq!((disks(&last.items), last.next), (vec!["d-2"], None));
}
