//! Who may do what within an account: RAM's users, groups, roles and policies, and STS's sessions.
//!
//! ```text
//!   access key ──► Caller: root │ user │ session of a role
//!                     │
//!                  permits ──► their documents, from memory ──► ebb-policy
//!                     │              ▲ forgotten with every change of the records, seen.rs
//!                  use case
//! ```
//! - Each change is one transaction, synced, and counts for every request that comes after its
//!   answer.
//! - A session is in no record: its token is what it is, sealed with the master key. It ends with
//!   its time, or with its role.
//!
//! Deliberately not here: the root user is bound by no policy (RAM); names of the wire (ebb-api).

mod assume;
mod caller;
mod identity;
mod permit;
mod policy;

pub use assume::{AssumeRole, Credentials, SESSION_KEY};
pub use caller::{Caller, Session, Who};
pub use identity::{IdentityChange, NewIdentity};
pub use permit::Asked;
pub(crate) use permit::Permits;
pub use policy::{PolicyShown, VersionShown};

use ebb_domain::{AccountId, Identity, IdentityKind, RamDenied, RamThing};
use ebb_store::{Durability, Tx};

use crate::{Control, ControlError};

impl Control {
    /// Changes records of RAM: durable by this commit, and what was known of them is forgotten.
    fn change_ram<T>(
        &self,
        change: impl FnOnce(&Tx<'_>) -> Result<T, ControlError>,
    ) -> Result<T, ControlError> {
        let changed = self.store.write(Durability::Durable, |tx| {
            tx.begin_generation()?;
            change(tx)
        });
        self.permits.forget();
        changed
    }
}

/// The identity of that name.
fn find(
    tx: &Tx<'_>,
    owner: &AccountId,
    kind: IdentityKind,
    name: &str,
) -> Result<Identity, ControlError> {
    let found = tx.identity(owner, kind, name)?;
    found.ok_or_else(|| denied(RamDenied::NotFound(RamThing::Identity(kind))))
}

fn denied(denied: RamDenied) -> ControlError {
    ControlError::Denied(denied.into())
}

fn check(rule: Result<(), RamDenied>) -> Result<(), ControlError> {
    rule.map_err(denied)
}

/// 18 digits, the first of them not 0.
fn new_id(control: &Control) -> String {
    let number = u64::from_be_bytes(control.random());
    (100_000_000_000_000_000 + number % 900_000_000_000_000_000).to_string()
}
