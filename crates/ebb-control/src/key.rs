//! Accounts and their access keys, as the operator makes them.
//!
//! ```text
//!   root's first key   a file, see `ebb`        ┐
//!   all others         the records, sealed      ├─► in memory, for every request
//! ```
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
use crate::{Caller, Control, ControlError, Entropy, Who};

/// How much later a key must be used again for it to be written down.
const USED_MILLIS: i64 = 60_000;

/// What the records keep sealed, to know the master key again.
const KNOWN: &[u8] = b"ebbtide";

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
    known: RwLock<HashMap<String, Known>>,
    /// Held from a change of the records to that of `known`, so that both come in one order.
    changing: Mutex<()>,
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
        root: (&str, AccessKey),
    ) -> Result<Self, ControlError> {
        let other = || {
            let why = "the master key is not the one that the records were sealed with: put back \
                       the one that belongs to them, from your backup";
            ControlError::Mismatch(why.to_owned())
        };
        match store.read(|tx| tx.master_key_seal())? {
            Some(known) => master.open("known", &known).map(drop).ok_or_else(other)?,
            None => {
                let mut nonce = [0; ebb_kms::NONCE_BYTES];
                entropy.fill(&mut nonce);
                let sealed = master.seal(nonce, "known", KNOWN);
                store.write(Durability::Durable, |tx| tx.put_master_key_seal(&sealed))?;
            }
        }
        let mut known = HashMap::from([(root.0.to_owned(), Known::new(root.1, None))]);
        for record in store.read(|tx| tx.access_keys())? {
            let secret = master.open(&context(&record.id), &record.sealed_secret);
            let secret = secret.and_then(|bytes| String::from_utf8(bytes).ok());
            let key = AccessKey {
                secret: Secret::new(secret.ok_or_else(other)?),
                caller: caller(record.account, record.user),
                active: record.active,
            };
            known.entry(record.id).or_insert_with(|| Known::new(key, record.last_used_at));
        }
        Ok(Self { master, known: RwLock::new(known), changing: Mutex::default() })
    }

    pub(crate) fn find(&self, id: &str) -> Option<AccessKey> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(id)?.key.clone().into()
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
        known.get(id).is_some_and(|known| {
            let before = known.used_at.load(Relaxed);
            let due = now - before >= USED_MILLIS;
            due && known.used_at.compare_exchange(before, now, Relaxed, Relaxed).is_ok()
        })
    }

    fn change(&self, change: impl FnOnce(&mut HashMap<String, Known>)) {
        change(&mut self.known.write().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Control {
    /// The key of that id.
    #[must_use]
    pub fn access_key(&self, id: &str) -> Option<AccessKey> {
        self.keys.find(id)
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
        let records = self.store.read(|tx| {
            let user = user_id(tx, owner, user)?;
            keys_of(tx, owner, user.as_deref())
        })?;
        let first = (owner == self.root() && user.is_none()).then(|| KeyShown {
            id: self.root_key_id().to_owned(),
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
        self.store.write(Durability::Recoverable, |tx| Ok(tx.set_access_key_used(id, now)?))
    }

    /// Says whether a key may be used: from the next request on, once this returns.
    ///
    /// # Errors
    /// [`ControlError::Mismatch`] where there is no such key, or it is the root account's first.
    pub fn set_key_active(&self, id: &str, active: bool) -> Result<(), ControlError> {
        self.must_be_kept(id)?;
        let _changing = lock(&self.keys.changing);
        self.store.write(Durability::Durable, |tx| {
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
            let found = tx.remove_access_key(id)?;
            must_be(found, || format!("there is no access key {id}"))
        })?;
        self.keys.change(|known| drop(known.remove(id)));
        Ok(())
    }

    fn must_be_kept(&self, id: &str) -> Result<(), ControlError> {
        must_be(id != self.root_key_id(), || {
            format!("{id} is the root account's first key: it is changed in `credentials`")
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
