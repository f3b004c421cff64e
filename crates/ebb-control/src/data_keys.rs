//! New data keys: for what a call makes that is encrypted and shares nothing with what was there.
//!
//! ```text
//!   ┌► transaction ─► says which it wants ─► has them, or wants none ─► kept, committed
//!   │                                    └─► lacks some ─► nothing changed
//!   └──────────────────────── they are made ◄───────────────────┘
//! ```
//! They are made between two transactions, as the key store may be elsewhere and is never asked
//! within one. So what forbids a call is told before what is wrong with a key, and a call that is
//! refused leaves no data key behind. Whether each key may be used is asked again by the
//! transaction that keeps what was made.

use ebb_domain::{AccountId, Denied, Encryption, NewDisk, RegionId};
use ebb_store::{Durability, StoreError, Tx};

use crate::encryption::{DATA_KEY_BYTES, context, disk_key, of_disk};
use crate::{Control, ControlError, DataKeySize};

/// What one disk asks for.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    region: RegionId,
    /// The key that is named; the region's default where it is `None`.
    key: Option<String>,
}

/// A data key that is not in the records yet.
struct NewDataKey {
    encryption: Encryption,
    wrapped: Vec<u8>,
}

/// The data keys of one call.
pub(crate) struct DataKeys {
    /// In the order in which this attempt asked.
    wanted: Vec<Wanted>,
    /// What the attempt before asked for, and what was made for it.
    made_for: Vec<Wanted>,
    made: Vec<NewDataKey>,
}

/// Why an attempt changed nothing.
pub(crate) enum Halt {
    /// Data keys are to be made first.
    Lacking,
    Because(ControlError),
}

impl From<ControlError> for Halt {
    fn from(error: ControlError) -> Self {
        Self::Because(error)
    }
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Because(error.into())
    }
}

impl From<Denied> for Halt {
    fn from(denied: Denied) -> Self {
        Self::Because(denied.into())
    }
}

impl DataKeys {
    /// What a disk that shares nothing is encrypted with; `None` for one that is not to be, and
    /// for one whose data key is yet to be made, of which [`DataKeys::keep`] lets nothing remain.
    pub(crate) fn of_new(
        &mut self,
        tx: &Tx<'_>,
        owner: &AccountId,
        region: &RegionId,
        new: &NewDisk,
    ) -> Result<Option<Encryption>, ControlError> {
        if !new.is_to_be_encrypted(tx.is_encrypted_by_default(owner, region)?)? {
            return Ok(None);
        }
        Ok(self.by_key(region, new.key.as_deref()))
    }

    /// The same for what is to be encrypted in any case.
    pub(crate) fn by_key(&mut self, region: &RegionId, key: Option<&str>) -> Option<Encryption> {
        let made = self.made.get(self.wanted.len()).map(|made| made.encryption.clone());
        self.wanted.push(Wanted { region: region.clone(), key: key.map(str::to_owned) });
        made
    }

    /// Puts them into the records. To be called once all that the call makes is checked.
    pub(crate) fn keep(&self, tx: &Tx<'_>, owner: &AccountId) -> Result<(), Halt> {
        if self.wanted != self.made_for {
            return Err(Halt::Lacking);
        }
        for NewDataKey { encryption, wrapped } in &self.made {
            disk_key(tx, owner, &encryption.key)?.check()?;
            tx.insert_data_key(owner, &encryption.data_key, wrapped)?;
        }
        Ok(())
    }
}

impl Control {
    /// Commits what `attempt` makes with the data keys that it asks for.
    ///
    /// # Errors
    /// Those of `attempt`; a key that is not there or may not be used for disks;
    /// [`Denied::EncryptionUnavailable`].
    pub(crate) fn write_with_data_keys<T>(
        &self,
        owner: &AccountId,
        durability: Durability,
        mut attempt: impl FnMut(&Tx<'_>, &mut DataKeys) -> Result<T, Halt>,
    ) -> Result<T, ControlError> {
        let mut keys = DataKeys { wanted: Vec::new(), made_for: Vec::new(), made: Vec::new() };
        // Twice at most, unless somebody changes what is encrypted by default in between.
        loop {
            match self.store.write(durability, |tx| attempt(tx, &mut keys)) {
                Ok(made) => return Ok(made),
                Err(Halt::Because(error)) => return Err(error),
                Err(Halt::Lacking) => {}
            }
            if !self.engine.encrypts() {
                return Err(Denied::EncryptionUnavailable.into());
            }
            let made_for = std::mem::take(&mut keys.wanted);
            let made = made_for.iter().map(|wanted| self.new_data_key(owner, wanted));
            let made = made.collect::<Result<_, _>>()?;
            keys = DataKeys { wanted: Vec::new(), made_for, made };
        }
    }

    fn new_data_key(&self, owner: &AccountId, wanted: &Wanted) -> Result<NewDataKey, ControlError> {
        let kms = self.kms(owner);
        let key = match &wanted.key {
            Some(key) => kms.resolve(key).map_err(of_disk)?,
            None => self.default_key(owner, &wanted.region)?,
        };
        self.store.read(|tx| Ok::<_, ControlError>(disk_key(tx, owner, &key)?.check()?))?;
        let data_key: [u8; 16] = self.random();
        let data_key = format!("dk-{:032x}", u128::from_be_bytes(data_key));
        let size = DataKeySize::of(DATA_KEY_BYTES)?;
        let (_, made) = kms.data_key(&key, &context(&data_key), size).map_err(of_disk)?;
        Ok(NewDataKey { encryption: Encryption { key, data_key }, wrapped: made.blob })
    }
}
