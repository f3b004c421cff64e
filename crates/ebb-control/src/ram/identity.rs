//! Users, groups and roles: made, changed, listed, deleted; and who is in which group.

use ebb_domain::{
    AccountId, IDENTITIES_MAX, Identity, IdentityKind, RamDenied, RamThing,
    SESSION_SECONDS_DEFAULT, check_identity_name, check_identity_texts,
};
use ebb_policy::TrustDocument;
use ebb_store::IdentitySince;

use super::{check, denied, find, new_id};
use crate::{Control, ControlError};

/// A user, a group or a role that is to be. What its kind has not stays empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewIdentity {
    /// What it is.
    pub kind: IdentityKind,
    /// Its name.
    pub name: String,
    /// What people call a user; its name where nothing is given.
    pub display_name: Option<String>,
    /// Comments, or a role's description.
    pub comments: String,
    /// Who may take a role on.
    pub trust: String,
    /// How long a role may be taken on.
    pub max_session_seconds: Option<u32>,
}

/// What becomes of an identity; what is not given stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdentityChange {
    /// Another name.
    pub name: Option<String>,
    /// Another display name.
    pub display_name: Option<String>,
    /// Other comments.
    pub comments: Option<String>,
    /// Others may take the role on.
    pub trust: Option<String>,
    /// For longer or shorter.
    pub max_session_seconds: Option<u32>,
}

impl Control {
    /// Makes a user, a group or a role.
    ///
    /// # Errors
    /// A name that is none or taken, a text that is too long, a trust that is none, too many.
    pub fn create_identity(
        &self,
        owner: &AccountId,
        new: NewIdentity,
    ) -> Result<Identity, ControlError> {
        let (kind, now) = (new.kind, self.now());
        let called = match kind {
            IdentityKind::User => new.display_name.unwrap_or_else(|| new.name.clone()),
            IdentityKind::Group | IdentityKind::Role => String::new(),
        };
        let one = Identity {
            id: new_id(self),
            account: owner.clone(),
            kind,
            name: new.name,
            display_name: called,
            comments: new.comments,
            trust: new.trust,
            max_session_seconds: new.max_session_seconds.unwrap_or(SESSION_SECONDS_DEFAULT),
            created_at: now,
            updated_at: now,
        };
        check_all(&one)?;
        self.change_ram(|tx| {
            let thing = RamThing::Identity(kind);
            if tx.identity(owner, kind, &one.name)?.is_some() {
                return Err(denied(RamDenied::Exists(thing)));
            }
            if tx.count_identities(owner, kind)? >= IDENTITIES_MAX {
                return Err(denied(RamDenied::Limit(thing)));
            }
            Ok(tx.put_identity(&one)?)
        })?;
        Ok(one)
    }

    /// The identity of that name.
    ///
    /// # Errors
    /// There is none.
    pub fn identity(
        &self,
        owner: &AccountId,
        kind: IdentityKind,
        name: &str,
    ) -> Result<Identity, ControlError> {
        self.store.read(|tx| find(tx, owner, kind, name))
    }

    /// The identity of that id, where it is still there.
    ///
    /// # Errors
    /// A failure.
    pub fn identity_by_id(&self, id: &str) -> Result<Option<Identity>, ControlError> {
        Ok(self.store.read(|tx| tx.identity_by_id(id))?)
    }

    /// At most so many of a kind behind a name, in the order of their names.
    ///
    /// # Errors
    /// A failure.
    pub fn identities(
        &self,
        owner: &AccountId,
        kind: IdentityKind,
        behind: &str,
        most: usize,
    ) -> Result<Vec<Identity>, ControlError> {
        Ok(self.store.read(|tx| tx.identities(owner, kind, behind, most))?)
    }

    /// Changes an identity. Its policies, keys and members stay, also where its name changes.
    ///
    /// # Errors
    /// As [`Control::create_identity`], or there is none.
    pub fn change_identity(
        &self,
        owner: &AccountId,
        kind: IdentityKind,
        name: &str,
        change: IdentityChange,
    ) -> Result<Identity, ControlError> {
        let now = self.now();
        self.change_ram(|tx| {
            let was = find(tx, owner, kind, name)?;
            let new_name = change.name.unwrap_or_else(|| was.name.clone());
            let one = Identity {
                display_name: change.display_name.unwrap_or(was.display_name),
                comments: change.comments.unwrap_or(was.comments),
                trust: change.trust.unwrap_or(was.trust),
                max_session_seconds: change.max_session_seconds.unwrap_or(was.max_session_seconds),
                name: new_name,
                updated_at: now,
                ..was
            };
            check_all(&one)?;
            if one.name != name && tx.identity(owner, kind, &one.name)?.is_some() {
                return Err(denied(RamDenied::Exists(RamThing::Identity(kind))));
            }
            tx.put_identity(&one)?;
            Ok(one)
        })
    }

    /// Deletes an identity that nothing belongs to any more.
    ///
    /// # Errors
    /// It has keys, policies, or members or groups; or there is none.
    pub fn delete_identity(
        &self,
        owner: &AccountId,
        kind: IdentityKind,
        name: &str,
    ) -> Result<(), ControlError> {
        self.change_ram(|tx| {
            let one = find(tx, owner, kind, name)?;
            let in_use = |what| Err(denied(RamDenied::InUse(kind.as_str(), what)));
            match kind {
                IdentityKind::User if !tx.access_keys_of_user(&one.id)?.is_empty() => {
                    return in_use("AccessKey");
                }
                IdentityKind::User if !tx.groups_of(&one.id)?.is_empty() => return in_use("Group"),
                IdentityKind::Group if !tx.members(&one.id)?.is_empty() => return in_use("User"),
                _ => {}
            }
            if !tx.attached(&one.id)?.is_empty() {
                return in_use("Policy");
            }
            Ok(tx.remove_identity(&one.id)?)
        })
    }

    /// Puts a user into a group.
    ///
    /// # Errors
    /// One of them is not there, or they are together.
    pub fn add_to_group(
        &self,
        owner: &AccountId,
        user: &str,
        group: &str,
    ) -> Result<(), ControlError> {
        let now = self.now();
        self.change_ram(|tx| {
            let user = find(tx, owner, IdentityKind::User, user)?;
            let group = find(tx, owner, IdentityKind::Group, group)?;
            let added = tx.add_member(&group.id, &user.id, now)?;
            let exists = || denied(RamDenied::Exists(RamThing::Member));
            added.then_some(()).ok_or_else(exists)
        })
    }

    /// Takes a user out of a group.
    ///
    /// # Errors
    /// One of them is not there, or they are not together.
    pub fn remove_from_group(
        &self,
        owner: &AccountId,
        user: &str,
        group: &str,
    ) -> Result<(), ControlError> {
        self.change_ram(|tx| {
            let user = find(tx, owner, IdentityKind::User, user)?;
            let group = find(tx, owner, IdentityKind::Group, group)?;
            let removed = tx.remove_member(&group.id, &user.id)?;
            let missing = || denied(RamDenied::NotFound(RamThing::Member));
            removed.then_some(()).ok_or_else(missing)
        })
    }

    /// The groups of a user, or the users of a group, since when.
    ///
    /// # Errors
    /// There is no such user or group.
    pub fn together_with(
        &self,
        owner: &AccountId,
        kind: IdentityKind,
        name: &str,
    ) -> Result<Vec<IdentitySince>, ControlError> {
        self.store.read(|tx| {
            let one = find(tx, owner, kind, name)?;
            Ok(match kind {
                IdentityKind::Group => tx.members(&one.id)?,
                IdentityKind::User | IdentityKind::Role => tx.groups_of(&one.id)?,
            })
        })
    }
}

fn check_all(one: &Identity) -> Result<(), ControlError> {
    check(check_identity_name(one.kind, &one.name))?;
    check(check_identity_texts(one))?;
    if one.kind == IdentityKind::Role {
        TrustDocument::parse(&one.trust)
            .map_err(|error| denied(RamDenied::Document(error.to_string())))?;
    }
    Ok(())
}
