//! Accounts: who owns what, and whether they may go on.

use crate::{AccountId, Denied};

/// An account, as far as the rules look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id, 16 digits.
    pub id: AccountId,
    /// Balance in fen (1/100 CNY); below zero stops what costs money.
    pub balance_fen: i64,
    /// Set by the operator: its pay-as-you-go disks and instances are in arrears.
    pub arrears: bool,
    /// Whether the snapshot service has been opened.
    pub snapshot_service: bool,
    /// How many GiB its disks may be together; `None` where there is no end.
    pub disk_quota_gib: Option<u64>,
}

impl Account {
    /// What every new account starts with.
    #[must_use]
    pub fn new(id: AccountId) -> Self {
        Self {
            id,
            balance_fen: 1_000_000,
            arrears: false,
            snapshot_service: true,
            disk_quota_gib: None,
        }
    }

    /// Refuses where the account cannot pay.
    ///
    /// # Errors
    /// [`Denied::NotEnoughBalance`].
    pub fn check_balance(&self) -> Result<(), Denied> {
        if self.balance_fen < 0 { Err(Denied::NotEnoughBalance) } else { Ok(()) }
    }

    /// Refuses disks that would be too many GiB together.
    ///
    /// # Errors
    /// [`Denied::DiskQuota`].
    pub fn check_disk_quota(&self, gib_together: u64) -> Result<(), Denied> {
        match self.disk_quota_gib {
            Some(most) if gib_together > most => Err(Denied::DiskQuota),
            _ => Ok(()),
        }
    }

    /// Refuses what needs the snapshot service.
    ///
    /// # Errors
    /// [`Denied::NotEnoughBalance`], [`Denied::SnapshotServiceClosed`].
    pub fn check_snapshot_service(&self) -> Result<(), Denied> {
        self.check_balance()?;
        if self.snapshot_service { Ok(()) } else { Err(Denied::SnapshotServiceClosed) }
    }
}
