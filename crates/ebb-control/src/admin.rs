//! The operator's side: what no API call of an account can do.

use ebb_domain::{Account, AccountId, Category, Denied, InstanceId};
use ebb_store::Durability;

use crate::{Control, ControlError};

/// `ebb admin account set`: what is `None` stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AccountChange {
    /// In fen, 1/100 CNY.
    pub balance_fen: Option<i64>,
    /// On or off.
    pub arrears: Option<bool>,
    /// Open or closed.
    pub snapshot_service: Option<bool>,
    /// GiB that its disks may be together; 0 for no end.
    pub disk_quota_gib: Option<u64>,
}

impl Control {
    /// Changes an account; `None` is the root account.
    ///
    /// # Errors
    /// [`ControlError::Mismatch`] where there is no such account.
    pub fn set_account(
        &self,
        id: Option<&AccountId>,
        change: AccountChange,
    ) -> Result<Account, ControlError> {
        let id = id.unwrap_or(self.root());
        self.store.write(Durability::Durable, |tx| {
            let mut account = tx
                .account(id)?
                .ok_or_else(|| ControlError::Mismatch(format!("there is no account {id}")))?;
            account.balance_fen = change.balance_fen.unwrap_or(account.balance_fen);
            account.arrears = change.arrears.unwrap_or(account.arrears);
            account.snapshot_service = change.snapshot_service.unwrap_or(account.snapshot_service);
            if let Some(quota) = change.disk_quota_gib {
                account.disk_quota_gib = Some(quota).filter(|quota| *quota > 0);
            }
            tx.put_account(&account)?;
            Ok(account)
        })
    }

    /// Locks an instance for security, or unlocks it.
    ///
    /// # Errors
    /// [`Denied::InstanceNotFound`], or a failure.
    pub fn lock_instance(&self, id: &InstanceId, locked: bool) -> Result<(), ControlError> {
        self.store.write(Durability::Durable, |tx| {
            let mut instance = tx.instance(id)?.ok_or(Denied::InstanceNotFound)?;
            instance.security_lock = locked;
            Ok(tx.save_instance(&instance)?)
        })
    }

    /// Marks an instance as expired, or as renewed.
    ///
    /// # Errors
    /// [`Denied::InstanceNotFound`], or a failure.
    pub fn expire_instance(&self, id: &InstanceId, expired: bool) -> Result<(), ControlError> {
        self.store.write(Durability::Durable, |tx| {
            let mut instance = tx.instance(id)?.ok_or(Denied::InstanceNotFound)?;
            instance.expired = expired;
            Ok(tx.save_instance(&instance)?)
        })
    }

    /// Removes the record of a lost machine. Its disks stay In_use and answer no more, until
    /// DetachDisk with the instance's id.
    ///
    /// # Errors
    /// [`Denied::InstanceNotFound`], or a failure.
    pub fn forget_instance(&self, id: &InstanceId) -> Result<(), ControlError> {
        self.store.write::<_, ControlError>(Durability::Durable, |tx| {
            tx.instance(id)?.ok_or(Denied::InstanceNotFound)?;
            Ok(tx.remove_instance(id)?)
        })?;
        self.settle_disks(id)
    }

    /// Whether there is such an instance.
    ///
    /// # Errors
    /// A failure.
    pub fn has_instance(&self, id: &InstanceId) -> Result<bool, ControlError> {
        Ok(self.store.read(|tx| tx.instance(id))?.is_some())
    }

    /// Restricts a category to the accounts named, which need not exist.
    ///
    /// # Errors
    /// A failure.
    pub fn restrict_category(
        &self,
        category: Category,
        allowed: &[AccountId],
    ) -> Result<(), ControlError> {
        self.store.write(Durability::Durable, |tx| Ok(tx.restrict_category(category, allowed)?))
    }

    /// Lifts a category's restriction; answers whether there was one.
    ///
    /// # Errors
    /// A failure.
    pub fn unrestrict_category(&self, category: Category) -> Result<bool, ControlError> {
        self.store.write(Durability::Durable, |tx| Ok(tx.unrestrict_category(category)?))
    }
}
