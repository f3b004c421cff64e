//! Encrypted disks: which new ones are, by which key, and the data keys that their blocks are
//! encrypted with.
//!
//! ```text
//!   new disk ─► key (named, the region's default, the service's own) ─► new data key, wrapped
//!   snapshot, clone, disk of a snapshot ─► the data key of what they are made from
//!   export is opened ─► data key, unwrapped ─► engine
//! ```
//! - Whether a key may be used is asked by every call that would begin to use it: CreateDisk,
//!   AttachDisk, starting, resetting. What runs goes on, so unwrapping itself does not ask: a
//!   server that starts again serves what was attached.
//! - A data key is in the records, wrapped, as long as a disk or a snapshot has it. Then it is
//!   shredded in the commit that removes the last of them, and nobody can read the blocks.
//! - The engine never keeps a key; it knows one again by its check.

use ebb_domain::{
    AccountId, DISK_TAG, Denied, Disk, DiskKey, Encryption, KmsDenied, NewDisk, RegionId, Snapshot,
    SnapshotId, check_encryption_of_source,
};
use ebb_store::{Durability, Tx};
use ebb_volume::DataKey;

use crate::kms::resolve;
use crate::{Control, ControlError};

/// Bytes of a data key.
pub(crate) const DATA_KEY_BYTES: u32 = 32;

/// What a data key is wrapped for: no other data key's bytes can stand in its place.
pub(crate) fn context(data_key: &str) -> Vec<u8> {
    format!("data key {data_key}").into_bytes()
}

/// The refusals of the key service in the words of an operation of disks.
pub(crate) fn of_disk(error: ControlError) -> ControlError {
    match error {
        ControlError::Denied(Denied::Kms(denied)) => ControlError::Denied(match denied {
            KmsDenied::KeyNotFound | KmsDenied::AliasNotFound => Denied::KeyNotFound,
            _ => Denied::KeyNotEnabled,
        }),
        other => other,
    }
}

impl Control {
    /// Whether an account's new disks are encrypted where nothing is asked.
    ///
    /// # Errors
    /// [`Denied::RegionNotFound`], or a failure.
    pub fn is_encrypted_by_default(
        &self,
        owner: &AccountId,
        region: &RegionId,
    ) -> Result<bool, ControlError> {
        self.region(region)?;
        Ok(self.store.read(|tx| tx.is_encrypted_by_default(owner, region))?)
    }

    /// Says whether disks that are made from now on are. Durable by the commit.
    ///
    /// # Errors
    /// [`Denied::RegionNotFound`], or a failure.
    pub fn encrypt_by_default(
        &self,
        owner: &AccountId,
        region: &RegionId,
        wanted: bool,
    ) -> Result<(), ControlError> {
        self.region(region)?;
        self.store
            .write(Durability::Durable, |tx| Ok(tx.encrypt_by_default(owner, region, wanted)?))
    }

    /// The key that disks are encrypted by which name none: the one that was chosen, else the
    /// service's own, which is made when it is first asked for.
    ///
    /// # Errors
    /// [`Denied::RegionNotFound`], or a failure.
    pub fn default_key(
        &self,
        owner: &AccountId,
        region: &RegionId,
    ) -> Result<String, ControlError> {
        self.region(region)?;
        match self.store.read(|tx| tx.default_key(owner, region))? {
            Some(key) => Ok(key),
            None => self.kms(owner).service_key(region).map_err(of_disk),
        }
    }

    /// Chooses that key; `None`: the service's own. Durable by the commit.
    ///
    /// # Errors
    /// [`Denied::RegionNotFound`]; [`Denied::KeyNotFound`].
    pub fn choose_default_key(
        &self,
        owner: &AccountId,
        region: &RegionId,
        key: Option<&str>,
    ) -> Result<(), ControlError> {
        self.region(region)?;
        let key = key.map(|key| self.kms(owner).resolve(key)).transpose().map_err(of_disk)?;
        self.store.write(Durability::Durable, |tx| {
            Ok(tx.set_default_key(owner, region, key.as_deref())?)
        })
    }

    /// The data key itself. Whether it may be used is not asked here.
    ///
    /// # Errors
    /// [`Denied::KeyNotFound`] where the key that wraps it is gone; a key store that cannot be had.
    pub(crate) fn data_key(
        &self,
        owner: &AccountId,
        encryption: &Encryption,
    ) -> Result<DataKey, ControlError> {
        let id = &encryption.data_key;
        let wrapped = self.store.read(|tx| tx.data_key(id))?.ok_or(Denied::KeyNotFound)?;
        let plain = self.kms(owner).unwrap(&context(id), &wrapped).map_err(of_disk)?;
        let bytes = <[u8; DATA_KEY_BYTES as usize]>::try_from(plain.as_slice());
        let bytes = bytes.map_err(|_| {
            ControlError::Mismatch(format!("the data key {id} is not of {DATA_KEY_BYTES} bytes"))
        })?;
        Ok(DataKey::new(bytes))
    }

    /// The data key of a disk, if it is encrypted.
    pub(crate) fn data_key_of(&self, disk: &Disk) -> Result<Option<DataKey>, ControlError> {
        let encryption = disk.encryption.as_ref();
        encryption.map(|encryption| self.data_key(&disk.account, encryption)).transpose()
    }

    /// Lets the block store use an account's keys, or no more. Durable by the commit.
    ///
    /// # Errors
    /// [`ControlError::Mismatch`] where there is no such account.
    pub fn let_use_keys(&self, owner: &AccountId, may: bool) -> Result<(), ControlError> {
        self.store.write(Durability::Durable, |tx| {
            if tx.account(owner)?.is_none() {
                return Err(ControlError::Mismatch(format!("there is no account {owner}")));
            }
            Ok(tx.let_use_keys(owner, may)?)
        })
    }
}

/// What is known of a key of an account.
pub(crate) fn disk_key(tx: &Tx<'_>, owner: &AccountId, key: &str) -> Result<DiskKey, ControlError> {
    let Some(found) = tx.key(key)?.filter(|found| found.account == *owner) else {
        return Ok(DiskKey::Gone);
    };
    let (name, value) = DISK_TAG;
    let tags = tx.key_tags(key)?;
    Ok(DiskKey::There {
        state: found.state,
        tagged: tags.iter().any(|tag| tag.key == name && tag.value == value),
        granted: tx.may_use_keys(owner)?,
    })
}

/// What is known of the key of a disk.
pub(crate) fn key_of(tx: &Tx<'_>, disk: &Disk) -> Result<DiskKey, ControlError> {
    match &disk.encryption {
        None => Ok(DiskKey::None),
        Some(encryption) => disk_key(tx, &disk.account, &encryption.key),
    }
}

/// What is known of the key of a snapshot.
pub(crate) fn key_of_snapshot(tx: &Tx<'_>, snapshot: &Snapshot) -> Result<DiskKey, ControlError> {
    match &snapshot.encryption {
        None => Ok(DiskKey::None),
        Some(encryption) => disk_key(tx, &snapshot.account, &encryption.key),
    }
}

/// Whether a disk is to be encrypted, `None` where it may be as what it is made of, and the id of
/// the key that it names.
pub(crate) fn asked_encryption(
    tx: &Tx<'_>,
    owner: &AccountId,
    region: &RegionId,
    new: &NewDisk,
) -> Result<(Option<bool>, Option<String>), ControlError> {
    let wanted = new.is_to_be_encrypted(tx.is_encrypted_by_default(owner, region)?)?;
    let asked = (wanted || new.encrypted.is_some()).then_some(wanted);
    let key = new.key.as_ref().map(|key| resolve(tx, owner, key)).transpose().map_err(of_disk)?;
    Ok((asked, key))
}

/// What a disk made from a snapshot is encrypted with: as the snapshot is, if that is what is asked
/// for, and if its key may be used.
pub(crate) fn inherited(
    tx: &Tx<'_>,
    owner: &AccountId,
    region: &RegionId,
    new: &NewDisk,
    source: &SnapshotId,
) -> Result<Option<Encryption>, ControlError> {
    let source = tx.snapshot(source)?.ok_or(Denied::SnapshotNotFound)?.encryption;
    let (asked, key) = asked_encryption(tx, owner, region, new)?;
    check_encryption_of_source(asked, key.as_deref(), source.as_ref())?;
    if let Some(encryption) = &source {
        disk_key(tx, owner, &encryption.key)?.check()?;
    }
    Ok(source)
}

/// As [`inherited`], for a disk of an image: what is to be encrypted otherwise is CopyImage's to
/// make.
pub(crate) fn of_image(
    tx: &Tx<'_>,
    owner: &AccountId,
    region: &RegionId,
    new: &NewDisk,
    source: &SnapshotId,
) -> Result<Option<Encryption>, ControlError> {
    inherited(tx, owner, region, new, source).map_err(|error| match error {
        ControlError::Denied(Denied::SnapshotEncryption) => Denied::ImageEncryption.into(),
        other => other,
    })
}
