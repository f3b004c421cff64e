//! A list read page by page is the list: newest first, then by id, over any number of ties.

use ebb_store::{Page, PageRequest, ResourceKind, Store, StoreError, TagQuery};
use proptest::prelude::*;

use crate::sample::{
    account, at, disk, disk_query, fresh, instance, instance_query, read, region, snapshot,
    snapshot_query, write,
};

fn disks(store: &Store, page: PageRequest) -> Page<String> {
    let mut query = disk_query();
    query.page = page;
    let found = read(store, |tx| tx.disks(&query));
    let items = found.items.iter().map(|disk| disk.id.to_string()).collect();
    Page { items, total: found.total, next: found.next }
}

fn by_token(store: &Store, size: u32) -> Vec<String> {
    let (mut all, mut after) = (Vec::new(), None);
    for _ in 0..100 {
        let page = disks(store, PageRequest::Token { after, size });
        assert!(page.items.len() <= size as usize);
        all.extend(page.items);
        match page.next {
            Some(next) => after = Some(next),
            None => return all,
        }
    }
    panic!("the pages have no end: {all:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn pages_make_the_list(
        times in proptest::collection::vec(0..4_i64, 0..20),
        size in 1..8_u32,
    ) {
        let (_folder, store) = fresh();
        let mut expected = Vec::new();
        write(&store, |tx| {
            for (volume, millis) in (1_u64..).zip(&times) {
                let mut disk = disk(&format!("d-{:02}", 90 - volume), volume);
                disk.created_at = at(*millis);
                tx.insert_disk(&disk)?;
                expected.push((-millis, disk.id.to_string()));
            }
            Ok(())
        });
        expected.sort();
        let expected: Vec<_> = expected.into_iter().map(|(_, id)| id).collect();
        prop_assert_eq!(&by_token(&store, size), &expected);

        let mut pages = expected.chunks(size as usize);
        for number in 1..=7 {
            let page = disks(&store, PageRequest::Number { number, size });
            prop_assert_eq!(&page.items[..], pages.next().unwrap_or_default());
            prop_assert_eq!(page.total, times.len() as u64);
            let more = u64::from(number * size) < page.total;
            prop_assert_eq!(page.next.is_some(), more);
        }
    }
}

#[test]
fn a_page_by_number_goes_on_by_token() {
    let (_folder, store) = fresh();
    write(&store, |tx| (1..=5).try_for_each(|n| tx.insert_disk(&disk(&format!("d-{n}"), n))));
    let first = disks(&store, PageRequest::Number { number: 1, size: 2 });
    assert_eq!(first.items, ["d-1", "d-2"]);
    let next = disks(&store, PageRequest::Token { after: first.next, size: 9 });
    assert_eq!(next.items, ["d-3", "d-4", "d-5"]);
    assert_eq!((next.total, next.next), (5, None));
}

#[test]
fn what_comes_and_goes_between_pages_moves_nothing() {
    let (_folder, store) = fresh();
    write(&store, |tx| (2..=6).try_for_each(|n| tx.insert_disk(&disk(&format!("d-{n}"), n))));
    let first = disks(&store, PageRequest::Token { after: None, size: 2 });
    assert_eq!(first.items, ["d-2", "d-3"]);
    write(&store, |tx| {
        tx.insert_disk(&disk("d-1", 1))?;
        // The last of the page before, which the token names.
        let gone = tx.disk(&ebb_domain::DiskId::new("d-3"))?.unwrap();
        tx.remove_disk(&gone.id, at(0))
    });
    let next = disks(&store, PageRequest::Token { after: first.next, size: 2 });
    assert_eq!(next.items, ["d-4", "d-5"]);
}

#[test]
fn a_token_is_url_safe_and_of_its_own_list_only() {
    let (_folder, store) = fresh();
    write(&store, |tx| {
        for n in 1..=2 {
            tx.insert_disk(&disk(&format!("d-{n}"), n))?;
            tx.insert_snapshot(&snapshot(&format!("s-{n}"), "d-1", n))?;
            tx.insert_instance(&instance(&format!("i-{n}")))?;
        }
        Ok(())
    });
    let token = disks(&store, PageRequest::Number { number: 1, size: 1 }).next.unwrap();
    assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric()));

    let after = |token: &str| PageRequest::Token { after: Some(token.into()), size: 1 };
    let refused = |result: Result<(), StoreError>| {
        assert!(matches!(result, Err(StoreError::BadToken)), "{result:?}");
    };
    let mut of_snapshots = snapshot_query();
    of_snapshots.page = after(&token);
    refused(store.read(|tx| tx.snapshots(&of_snapshots).map(|_| ())));
    let mut of_instances = instance_query();
    of_instances.page = after(&token);
    refused(store.read(|tx| tx.instances(&of_instances).map(|_| ())));
    for bad in ["", "x", "6", "é", "zz", &token[1..], &token[..8], "ff00ff00"] {
        let mut of_disks = disk_query();
        of_disks.page = after(bad);
        refused(store.read(|tx| tx.disks(&of_disks).map(|_| ())));
        let mut of_tags = tag_query(None);
        of_tags.after = Some(bad.into());
        refused(store.read(|tx| tx.tag_rows(&of_tags).map(|_| ())));
    }
}

fn tag_query(after: Option<String>) -> TagQuery {
    TagQuery {
        account: account(),
        region: region(),
        kind: ResourceKind::Disk,
        resources: Vec::new(),
        tags: Vec::new(),
        after,
        size: 2,
    }
}

#[test]
fn tags_are_listed_by_resource_and_key_over_pages() {
    let (_folder, store) = fresh();
    write(&store, |tx| {
        for n in 1..=3 {
            let mut disk = disk(&format!("d-{n}"), n);
            // A NUL in a key must not confuse the token.
            disk.tags = ["b", "a\0", "a"]
                .map(|key| ebb_domain::Tag { key: key.into(), value: n.to_string() })
                .to_vec();
            tx.insert_disk(&disk)?;
        }
        Ok(())
    });
    let (mut all, mut after) = (Vec::new(), None);
    for rest in [7, 5, 3, 1, 0] {
        let page = read(&store, |tx| tx.tag_rows(&tag_query(after)));
        assert_eq!((page.total, page.next.is_some()), (9, rest > 0));
        all.extend(page.items.into_iter().map(|row| format!("{}{}", row.resource, row.key)));
        assert_eq!(all.len(), 9 - rest);
        after = page.next;
    }
    let expected: Vec<_> =
        (1..=3).flat_map(|n| ["a", "a\0", "b"].map(|key| format!("d-{n}{key}"))).collect();
    assert_eq!(all, expected);
}
