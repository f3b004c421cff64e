//! Access keys, and the seal that the master key is known by.

use ebb_domain::{Account, AccountId};
use ebb_store::{AccessKeyRecord, Durability, StoreError};

use crate::sample::{account, at, fresh, read, write};

fn key(id: &str, owner: &AccountId, created: i64) -> AccessKeyRecord {
    AccessKeyRecord {
        id: id.to_owned(),
        account: owner.clone(),
        user: None,
        sealed_secret: vec![0, 1, 255, 7],
        active: true,
        created_at: at(created),
        last_used_at: None,
    }
}

#[test]
fn a_key_is_read_as_it_was_kept() {
    let (_folder, store) = fresh();
    let other = AccountId::new("2");
    write(&store, |tx| {
        tx.put_account(&Account::new(account()))?;
        tx.put_account(&Account::new(other.clone()))
    });
    let keys = [key("k-2", &account(), 1), key("k-1", &account(), 2), key("k-3", &other, 0)];
    write(&store, |tx| keys.iter().try_for_each(|key| tx.insert_access_key(key)));
    assert_eq!(read(&store, |tx| tx.access_keys_of_root(&account())), keys[..2]);
    assert_eq!(read(&store, |tx| tx.access_keys()).len(), 3);
    assert_eq!(read(&store, |tx| tx.accounts()), [account(), other.clone()]);
    assert!(write(&store, |tx| tx.set_access_key_active("k-1", false)));
    assert!(!write(&store, |tx| tx.set_access_key_active("k-9", false)));
    let off = AccessKeyRecord { active: false, ..keys[1].clone() };
    assert_eq!(read(&store, |tx| tx.access_keys_of_root(&account())), [keys[0].clone(), off]);
    assert!(write(&store, |tx| tx.remove_access_key("k-2")));
    assert!(!write(&store, |tx| tx.remove_access_key("k-2")));
    assert_eq!(read(&store, |tx| tx.access_keys_of_root(&account())).len(), 1);
}

#[test]
fn a_key_is_an_account_s_and_its_id_is_its_own() {
    let (_folder, store) = fresh();
    write(&store, |tx| tx.put_account(&Account::new(account())));
    write(&store, |tx| tx.insert_access_key(&key("k-1", &account(), 1)));
    for wrong in [key("k-1", &account(), 2), key("k-2", &AccountId::new("none"), 2)] {
        let done: Result<(), StoreError> =
            store.write(Durability::Durable, |tx| tx.insert_access_key(&wrong));
        assert!(matches!(done, Err(StoreError::Sql(_))), "{done:?}");
    }
}

#[test]
fn the_seal_is_one() {
    let (_folder, store) = fresh();
    assert_eq!(read(&store, |tx| tx.master_key_seal()), None);
    for sealed in [vec![1, 2], vec![3]] {
        write(&store, |tx| tx.put_master_key_seal(&sealed));
        assert_eq!(read(&store, |tx| tx.master_key_seal()), Some(sealed));
    }
}
