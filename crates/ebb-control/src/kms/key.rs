//! Keys: made, told about, switched, rotated, deleted.

use ebb_domain::{
    KEYS_MAX, Key, KeyState, KeyVersion, KmsDenied, PER_KEY_MAX, RegionId, Tag, rotation_days,
};
use ebb_kms::Material;
use ebb_store::{Durability, Tx};

use super::{Kms, denied, find, held, stored};
use crate::{Control, ControlError};

/// A key that is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewKey {
    /// What for.
    pub description: String,
    /// Days between two versions, if they are to be made by themselves, as `365d`.
    pub rotation: Option<String>,
    /// Tags.
    pub tags: Vec<Tag>,
}

/// A key, and the version of it that encrypts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyShown {
    /// The key.
    pub key: Key,
    /// The id of the version.
    pub primary: String,
}

/// A UUID.
pub(super) fn new_id(control: &Control) -> String {
    let mut bytes: [u8; 16] = control.random();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let (a, b, c, d, e) = (&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
    format!("{a}-{b}-{c}-{d}-{e}")
}

pub(super) fn shown(tx: &Tx<'_>, key: Key) -> Result<KeyShown, ControlError> {
    let versions = tx.key_versions(&key.id)?;
    let primary = versions.into_iter().find(|one| one.number == key.primary);
    Ok(KeyShown { primary: primary.map(|one| one.id).unwrap_or_default(), key })
}

pub(super) fn check_tags(tags: &[Tag]) -> Result<(), ControlError> {
    let fits = |tag: &Tag| {
        let length = tag.key.chars().count();
        (1..=128).contains(&length) && tag.value.chars().count() <= 128
    };
    let expected = "up to 20 tags with keys of 1 to 128 characters and values of up to 128";
    let holds = tags.len() <= 20 && tags.iter().all(fits);
    if holds { Ok(()) } else { Err(denied(KmsDenied::Invalid("Tags", expected))) }
}

impl Kms<'_> {
    /// Makes a key. Durable by its commit.
    ///
    /// # Errors
    /// Too many, tags or an interval that are none, a key store that cannot be had.
    pub fn create(&self, new: &NewKey, region: &RegionId) -> Result<KeyShown, ControlError> {
        check_tags(&new.tags)?;
        self.make(new, region, self.owner.as_str())
    }

    pub(super) fn make(
        &self,
        new: &NewKey,
        region: &RegionId,
        creator: &str,
    ) -> Result<KeyShown, ControlError> {
        let every = new.rotation.as_deref().map(rotation_days).transpose().map_err(denied)?;
        let (control, now) = (self.control, self.control.now());
        let id = new_id(control);
        let material = stored(control.key_store.create(&id))?;
        let key = Key {
            id,
            account: self.owner.clone(),
            region: region.to_string(),
            creator: creator.to_owned(),
            description: new.description.clone(),
            state: KeyState::Enabled,
            delete_at: None,
            rotation_days: every,
            primary: material.version,
            created_at: now,
            rotated_at: now,
        };
        control.store.write(Durability::Durable, |tx| {
            if tx.keys(self.owner)?.len() as u64 >= KEYS_MAX {
                return Err(denied(KmsDenied::Limit));
            }
            tx.put_key(&key)?;
            tx.insert_key_version(&key.id, &self.version(material))?;
            for tag in &new.tags {
                tx.put_key_tag(&key.id, tag)?;
            }
            shown(tx, key)
        })
    }

    fn version(&self, material: Material) -> KeyVersion {
        KeyVersion {
            id: new_id(self.control),
            number: material.version,
            sealed: material.sealed,
            created_at: self.control.now(),
        }
    }

    /// A key, by its id.
    ///
    /// # Errors
    /// There is none.
    pub fn key(&self, id: &str) -> Result<KeyShown, ControlError> {
        self.control.store.read(|tx| shown(tx, find(tx, self.owner, id)?))
    }

    /// All keys, the oldest first.
    ///
    /// # Errors
    /// A failure.
    pub fn keys(&self) -> Result<Vec<Key>, ControlError> {
        Ok(self.control.store.read(|tx| tx.keys(self.owner))?)
    }

    fn change(
        &self,
        id: &str,
        change: impl FnOnce(Key) -> Result<Key, KmsDenied>,
    ) -> Result<(), ControlError> {
        self.control.store.write(Durability::Durable, |tx| {
            let key = change(find(tx, self.owner, id)?).map_err(denied)?;
            Ok(tx.put_key(&key)?)
        })
    }

    /// Lets a key be used, or no more: from the next call on, once this returns.
    ///
    /// # Errors
    /// There is none, or it waits for its deletion.
    pub fn switch(&self, id: &str, on: bool) -> Result<(), ControlError> {
        self.change(id, |key| key.switched(on))
    }

    /// Has a key go after so many days.
    ///
    /// # Errors
    /// There is none, or no such number of days.
    pub fn schedule_deletion(&self, id: &str, days: u32) -> Result<(), ControlError> {
        let now = self.control.now();
        self.change(id, |key| key.deleted_in(days, now))
    }

    /// Has a key stay that was to go.
    ///
    /// # Errors
    /// There is none, or it was not to go.
    pub fn cancel_deletion(&self, id: &str) -> Result<(), ControlError> {
        self.change(id, Key::kept)
    }

    /// Says whether, and how often, versions are made by themselves.
    ///
    /// # Errors
    /// There is none, it may not be used, or no such interval.
    pub fn set_rotation(&self, id: &str, every: Option<&str>) -> Result<(), ControlError> {
        let days = every.map(rotation_days).transpose().map_err(denied)?;
        self.change(id, |key| {
            key.check_usable()?;
            Ok(Key { rotation_days: days, ..key })
        })
    }

    /// The versions of a key, the oldest first.
    ///
    /// # Errors
    /// There is no such key.
    pub fn versions(&self, id: &str) -> Result<Vec<KeyVersion>, ControlError> {
        self.control.store.read(|tx| {
            find(tx, self.owner, id)?;
            Ok(tx.key_versions(id)?)
        })
    }

    /// Makes a version that encrypts from now on. Older ones still decrypt.
    ///
    /// # Errors
    /// There is none, or it may not be used; a key store that cannot be had.
    pub fn rotate(&self, id: &str) -> Result<KeyVersion, ControlError> {
        // Two at once would be given the same number. Here they wait for each other; where another
        // server was first, it is done again.
        let _one = crate::mutex::lock(&self.control.rotating);
        loop {
            if let Some(version) = self.rotate_once(id)? {
                return Ok(version);
            }
        }
    }

    /// `None` where somebody else has made the version in the meantime.
    fn rotate_once(&self, id: &str) -> Result<Option<KeyVersion>, ControlError> {
        let had = self.control.store.read(|tx| {
            find(tx, self.owner, id)?.check_usable().map_err(denied)?;
            held(tx, id)
        })?;
        let material = stored(self.control.key_store.rotate(id, &had))?;
        let version = self.version(material);
        self.control.store.write(Durability::Durable, |tx| {
            let key = find(tx, self.owner, id)?;
            if tx.key_versions(id)?.iter().any(|one| one.number == version.number) {
                return Ok(None);
            }
            tx.insert_key_version(id, &version)?;
            let (primary, rotated_at) = (version.number, version.created_at);
            tx.put_key(&Key { primary, rotated_at, ..key })?;
            Ok(Some(version))
        })
    }

    /// Deletes a key at once, whatever needs it.
    ///
    /// # Errors
    /// There is none; a key store that cannot be had.
    pub fn destroy(&self, id: &str) -> Result<(), ControlError> {
        self.control.store.write(Durability::Durable, |tx| {
            find(tx, self.owner, id)?;
            Ok::<_, ControlError>(tx.remove_key(id)?)
        })?;
        stored(self.control.key_store.destroy(id))
    }

    /// The tags of a key.
    ///
    /// # Errors
    /// There is no such key.
    pub fn tags(&self, id: &str) -> Result<Vec<Tag>, ControlError> {
        self.control.store.read(|tx| {
            find(tx, self.owner, id)?;
            Ok(tx.key_tags(id)?)
        })
    }

    /// Tags a key.
    ///
    /// # Errors
    /// There is no such key, tags that are none, or too many.
    pub fn tag(&self, id: &str, tags: &[Tag]) -> Result<(), ControlError> {
        check_tags(tags)?;
        self.control.store.write(Durability::Durable, |tx| {
            find(tx, self.owner, id)?;
            tags.iter().try_for_each(|tag| tx.put_key_tag(id, tag))?;
            let few = tx.key_tags(id)?.len() <= PER_KEY_MAX;
            few.then_some(()).ok_or_else(|| denied(KmsDenied::Limit))
        })
    }

    /// Takes tags from a key.
    ///
    /// # Errors
    /// There is no such key.
    pub fn untag(&self, id: &str, names: &[String]) -> Result<(), ControlError> {
        self.control.store.write(Durability::Durable, |tx| {
            find(tx, self.owner, id)?;
            Ok(names.iter().try_for_each(|name| tx.remove_key_tag(id, name))?)
        })
    }
}
