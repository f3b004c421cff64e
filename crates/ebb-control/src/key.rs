//! Accounts and their access keys, as the operator makes them.
//!
//! ```text
//!   root's first key   a file, see `ebb`        ┐
//!   all others         the records, sealed      ├─► in memory, for every request
//! ```
//! Where servers share the records, each key is read when it is first asked for, and all are
//! forgotten when any has changed (seen.rs); root's first key is in the records too, unless
//! nobody has put it there (secrets.rs).
//!
//! A secret is told once, when it is made. In the records it is sealed with the master key, in the
//! context of its id.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError, RwLock};

use ebb_domain::{Account, AccountId, IdentityKind, RamDenied, RamThing, Timestamp, USER_KEYS_MAX};
use ebb_kms::{MasterKey, NONCE_BYTES};
use ebb_store::{AccessKeyRecord, Durability, Store, Tx};

use crate::mutex::lock;
use crate::secrets::{self, Secrets};
use crate::{Caller, Control, ControlError, Entropy, Who};

/// How much later a key must be used again for it to be written down.
const USED_MILLIS: i64 = 60_000;

/// A secret: it never shows itself in a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps it.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for computing a signature.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What an access key id stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// What its holder signs with.
    pub secret: Secret,
    /// Whose it is.
    pub caller: Caller,
    /// Whether it may be used.
    pub active: bool,
}

/// A key in memory.
struct Known {
    key: AccessKey,
    /// When it was last written down to be used, in milliseconds since 1970; 0 before.
    used_at: AtomicI64,
}

/// An access key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyShown {
    /// Its id.
    pub id: String,
    /// Whether it may be used.
    pub active: bool,
    /// When it was made; `None` for the root account's first.
    pub created_at: Option<Timestamp>,
    /// When it last signed a request, to within a minute.
    pub last_used_at: Option<Timestamp>,
}

/// The keys in memory.
pub(crate) struct Keys {
    master: MasterKey,
    /// Root's first, as this server was started with it.
    root: (String, AccessKey),
    /// Whether others may change the records.
    shared: bool,
    known: RwLock<Remembered>,
    /// Held from a change of the records to that of `known`, so that both come in one order.
    changing: Mutex<()>,
}

#[derive(Default)]
struct Remembered {
    /// How often all was forgotten: what was read before the last time is not kept.
    forgotten: u64,
    keys: HashMap<String, Known>,
}

/// Letters and digits, at random.
#[must_use]
pub fn random_text(entropy: &dyn Entropy, length: usize) -> String {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut text = String::with_capacity(length);
    let mut byte = [0];
    while text.len() < length {
        entropy.fill(&mut byte);
        // Bytes past the last whole round of the alphabet would favour its beginning.
        if byte[0] < 248 {
            text.push(char::from(ALPHABET[usize::from(byte[0]) % 62]));
        }
    }
    text
}

/// 16 digits, the first of them not 0.
pub(crate) fn new_account_id(entropy: &dyn Entropy) -> AccountId {
    let mut bytes = [0; 8];
    entropy.fill(&mut bytes);
    let digits = 1_000_000_000_000_000 + u64::from_be_bytes(bytes) % 9_000_000_000_000_000;
    AccountId::new(digits.to_string())
}

fn caller(account: AccountId, user: Option<String>) -> Caller {
    Caller { account, who: user.map_or(Who::Root, Who::User) }
}

impl Known {
    fn new(key: AccessKey, used_at: Option<Timestamp>) -> Self {
        Self { key, used_at: AtomicI64::new(used_at.map_or(0, Timestamp::unix_millis)) }
    }
}

fn context(id: &str) -> String {
    format!("access key {id}")
}

impl Keys {
    /// Reads what is there.
    ///
    /// # Errors
    /// [`ControlError::Mismatch`] where the records were sealed with another master key.
    pub(crate) fn open(
        master: MasterKey,
        entropy: &dyn Entropy,
        store: &Store,
        root: (String, AccessKey),
    ) -> Result<Self, ControlError> {
        Secrets::new(store, &master, entropy)?;
        let keys = Self {
            master,
            root,
            shared: store.is_shared(),
            known: RwLock::default(),
            changing: Mutex::default(),
        };
        if !keys.shared {
            let (id, key) = &keys.root;
            keys.change(|all| drop(all.insert(id.clone(), Known::new(key.clone(), None))));
            for record in store.read(|tx| tx.access_keys())? {
                let (id, known) = (record.id.clone(), keys.unsealed(record)?);
                keys.change(|all| {
                    all.entry(id).or_insert(known);
                });
            }
        }
        Ok(keys)
    }

    fn unsealed(&self, record: AccessKeyRecord) -> Result<Known, ControlError> {
        let secret = self.master.open(&context(&record.id), &record.sealed_secret);
        let secret = secret.and_then(|bytes| String::from_utf8(bytes).ok());
        let key = AccessKey {
            secret: Secret::new(secret.ok_or_else(secrets::other_master_key)?),
            caller: caller(record.account, record.user),
            active: record.active,
        };
        Ok(Known::new(key, record.last_used_at))
    }

    pub(crate) fn find(&self, store: &Store, id: &str) -> Result<Option<AccessKey>, ControlError> {
        let forgotten = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            match known.keys.get(id) {
                Some(known) => return Ok(Some(known.key.clone())),
                None if !self.shared => return Ok(None),
                None => known.forgotten,
            }
        };
        let Some(found) = store.light(|tx| self.look_up(tx, id))? else { return Ok(None) };
        let key = found.key.clone();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.forgotten == forgotten {
            known.keys.insert(id.to_owned(), found);
        }
        Ok(Some(key))
    }

    fn look_up(&self, tx: &Tx<'_>, id: &str) -> Result<Option<Known>, ControlError> {
        if let Some(record) = tx.access_key(id)? {
            return self.unsealed(record).map(Some);
        }
        let (root_id, secret) = self.root_key(tx)?;
        let (_, AccessKey { caller, .. }) = &self.root;
        let key = AccessKey { secret, caller: caller.clone(), active: true };
        Ok((root_id == id).then(|| Known::new(key, None)))
    }

    /// Root's first key: that in the records, where there is one.
    fn root_key(&self, tx: &Tx<'_>) -> Result<(String, Secret), ControlError> {
        let (id, key) = &self.root;
        let own = || (id.clone(), key.secret.clone());
        if !self.shared {
            return Ok(own());
        }
        Ok(secrets::root_key(tx, &self.master)?.unwrap_or_else(own))
    }

    /// Forgets what may have changed: the records say.
    pub(crate) fn forget(&self) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.forgotten += 1;
        known.keys.clear();
    }

    pub(crate) fn seal(&self, nonce: [u8; NONCE_BYTES], context: &str, plain: &[u8]) -> Vec<u8> {
        self.master.seal(nonce, context, plain)
    }

    pub(crate) fn unseal(&self, context: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        self.master.open(context, sealed)
    }

    /// Whether that a key was used now is to be written down.
    fn uses(&self, id: &str, now: i64) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.keys.get(id).is_some_and(|known| {
            let before = known.used_at.load(Relaxed);
            let due = now - before >= USED_MILLIS;
            due && known.used_at.compare_exchange(before, now, Relaxed, Relaxed).is_ok()
        })
    }

    /// Makes a change of the records in memory too. Where others change them as well it may be
    /// undone by now: then all is forgotten.
    fn change(&self, change: impl FnOnce(&mut HashMap<String, Known>)) {
        if self.shared {
            return self.forget();
        }
        change(&mut self.known.write().unwrap_or_else(PoisonError::into_inner).keys);
    }
}

impl Control {
    /// The key of that id.
    ///
    /// # Errors
    /// A failure, where it is asked of the records.
    pub fn access_key(&self, id: &str) -> Result<Option<AccessKey>, ControlError> {
        self.keys.find(&self.store, id)
    }

    /// Makes an account, as every new one is.
    ///
    /// # Errors
    /// A failure.
    pub fn create_account(&self) -> Result<Account, ControlError> {
        let account = Account::new(new_account_id(self.entropy()));
        self.store
            .write::<_, ControlError>(Durability::Durable, |tx| Ok(tx.put_account(&account)?))?;
        Ok(account)
    }

    /// All accounts.
    ///
    /// # Errors
    /// A failure.
    pub fn accounts(&self) -> Result<Vec<AccountId>, ControlError> {
        Ok(self.store.read(|tx| tx.accounts())?)
    }

    /// Makes an access key of an account's root user, or of a user by name: its id and its secret,
    /// which is not told again.
    ///
    /// Durable by this commit; it can be used once this returns.
    ///
    /// # Errors
    /// [`ControlError::Mismatch`] where there is no such account; [`RamDenied::NotFound`] and
    /// [`RamDenied::Limit`].
    pub fn create_key(
        &self,
        owner: &AccountId,
        user: Option<&str>,
    ) -> Result<(String, Secret), ControlError> {
        let id = format!("EBB{}", random_text(self.entropy(), 21));
        let secret = random_text(self.entropy(), 30);
        let sealed_secret = self.keys.seal(self.random(), &context(&id), secret.as_bytes());
        let _changing = lock(&self.keys.changing);
        let user = self.store.write(Durability::Durable, |tx| {
            let user = user_id(tx, owner, user)?;
            if keys_of(tx, owner, user.as_deref())?.len() >= USER_KEYS_MAX {
                return Err(ControlError::Denied(RamDenied::Limit(RamThing::AccessKey).into()));
            }
            tx.begin_generation()?;
            tx.insert_access_key(&AccessKeyRecord {
                id: id.clone(),
                account: owner.clone(),
                user: user.clone(),
                sealed_secret,
                active: true,
                created_at: self.now(),
                last_used_at: None,
            })?;
            Ok(user)
        })?;
        let secret = Secret::new(secret);
        let key =
            AccessKey { secret: secret.clone(), caller: caller(owner.clone(), user), active: true };
        self.keys.change(|known| drop(known.insert(id.clone(), Known::new(key, None))));
        Ok((id, secret))
    }

    /// The keys of an account's root user, or of a user by name.
    ///
    /// # Errors
    /// As [`Control::create_key`].
    pub fn keys_of(
        &self,
        owner: &AccountId,
        user: Option<&str>,
    ) -> Result<Vec<KeyShown>, ControlError> {
        let (records, (root_id, _)) = self.store.read::<_, ControlError>(|tx| {
            let user = user_id(tx, owner, user)?;
            Ok((keys_of(tx, owner, user.as_deref())?, self.keys.root_key(tx)?))
        })?;
        let first = (owner == self.root() && user.is_none()).then_some(KeyShown {
            id: root_id,
            active: true,
            created_at: None,
            last_used_at: None,
        });
        let others = records.into_iter().map(|record| KeyShown {
            id: record.id,
            active: record.active,
            created_at: Some(record.created_at),
            last_used_at: record.last_used_at,
        });
        Ok(first.into_iter().chain(others).collect())
    }

    /// Refuses a key that is not that user's, or not the root user's where none is named.
    ///
    /// # Errors
    /// [`RamDenied::NotFound`].
    pub fn check_key_of(
        &self,
        owner: &AccountId,
        user: Option<&str>,
        id: &str,
    ) -> Result<(), ControlError> {
        let theirs = self.keys_of(owner, user)?.iter().any(|key| key.id == id);
        let missing = || ControlError::Denied(RamDenied::NotFound(RamThing::AccessKey).into());
        theirs.then_some(()).ok_or_else(missing)
    }

    /// Keeps when a key signed a request, once a minute at most. It is not synced: a crash may
    /// lose a minute of it, and it tells nobody what they may do.
    ///
    /// # Errors
    /// A failure.
    pub fn key_was_used(&self, id: &str) -> Result<(), ControlError> {
        let now = self.now();
        if !self.keys.uses(id, now.unix_millis()) {
            return Ok(());
        }
        self.store.light(|tx| Ok(tx.set_access_key_used(id, now)?))
    }

    /// Says whether a key may be used: from the next request on, once this returns.
    ///
    /// # Errors
    /// [`ControlError::Mismatch`] where there is no such key, or it is the root account's first.
    pub fn set_key_active(&self, id: &str, active: bool) -> Result<(), ControlError> {
        self.must_be_kept(id)?;
        let _changing = lock(&self.keys.changing);
        self.store.write(Durability::Durable, |tx| {
            tx.begin_generation()?;
            let found = tx.set_access_key_active(id, active)?;
            must_be(found, || format!("there is no access key {id}"))
        })?;
        self.keys.change(|known| {
            if let Some(key) = known.get_mut(id) {
                key.key.active = active;
            }
        });
        Ok(())
    }

    /// Deletes a key: it is unknown from the next request on, once this returns.
    ///
    /// # Errors
    /// [`ControlError::Mismatch`] where there is no such key, or it is the root account's first.
    pub fn delete_key(&self, id: &str) -> Result<(), ControlError> {
        self.must_be_kept(id)?;
        let _changing = lock(&self.keys.changing);
        self.store.write(Durability::Durable, |tx| {
            tx.begin_generation()?;
            let found = tx.remove_access_key(id)?;
            must_be(found, || format!("there is no access key {id}"))
        })?;
        self.keys.change(|known| drop(known.remove(id)));
        Ok(())
    }

    fn must_be_kept(&self, id: &str) -> Result<(), ControlError> {
        let (root_id, _) = self.store.read(|tx| self.keys.root_key(tx))?;
        must_be(id != root_id, || {
            let how = match self.keys.shared {
                true => "it is changed by a start with EBB_ACCESS_KEY_ID and EBB_ACCESS_KEY_SECRET",
                false => "it is changed in `credentials`",
            };
            format!("{id} is the root account's first key: {how}")
        })
    }
}

fn must_be(holds: bool, why: impl FnOnce() -> String) -> Result<(), ControlError> {
    if holds { Ok(()) } else { Err(ControlError::Mismatch(why())) }
}

/// The id of the user of that name; none where none is named.
fn user_id(
    tx: &Tx<'_>,
    owner: &AccountId,
    name: Option<&str>,
) -> Result<Option<String>, ControlError> {
    must_be(tx.account(owner)?.is_some(), || format!("there is no account {owner}"))?;
    let Some(name) = name else { return Ok(None) };
    let user = tx.identity(owner, IdentityKind::User, name)?;
    let missing = RamDenied::NotFound(RamThing::Identity(IdentityKind::User));
    let user = user.ok_or_else(|| ControlError::Denied(missing.into()))?;
    Ok(Some(user.id))
}

fn keys_of(
    tx: &Tx<'_>,
    owner: &AccountId,
    user: Option<&str>,
) -> Result<Vec<AccessKeyRecord>, ControlError> {
    Ok(match user {
        Some(user) => tx.access_keys_of_user(user)?,
        None => tx.access_keys_of_root(owner)?,
    })
}
