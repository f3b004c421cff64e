//! Policies and their versions, and what they are attached to.

use ebb_domain::{
    ATTACHMENTS_MAX, AccountId, IDENTITIES_MAX, IdentityKind, POLICY_VERSIONS_MAX, Policy,
    PolicyKind, PolicyName, PolicyVersion, RamDenied, RamThing, Timestamp, check_policy_name,
};
use ebb_policy::{Document, SYSTEM_POLICIES, SystemPolicy, system_policy};
use ebb_store::{IdentitySince, PolicySince, Tx};

use super::{check, denied, find};
use crate::{Control, ControlError};

/// A policy as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyShown {
    /// Which.
    pub policy: PolicyName,
    /// What for.
    pub description: String,
    /// The version that counts.
    pub default_version: u32,
    /// How many have it.
    pub attachments: usize,
    /// When it was made; the server's own are as old as time is told.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A version of a policy as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionShown {
    /// The version.
    pub version: PolicyVersion,
    /// Whether it counts.
    pub is_default: bool,
}

/// When the server's own policies were made, as far as anybody is told.
const ALWAYS: Timestamp = Timestamp::from_unix_millis(0);

fn missing(thing: RamThing) -> ControlError {
    denied(RamDenied::NotFound(thing))
}

/// An account's own policy.
fn find_policy(tx: &Tx<'_>, owner: &AccountId, name: &str) -> Result<Policy, ControlError> {
    tx.policy(owner, name)?.ok_or_else(|| missing(RamThing::Policy))
}

fn must_exist(tx: &Tx<'_>, owner: &AccountId, policy: &PolicyName) -> Result<(), ControlError> {
    match policy.kind {
        PolicyKind::System => system_policy(&policy.name).map(drop),
        PolicyKind::Custom => tx.policy(owner, &policy.name)?.map(drop),
    }
    .ok_or_else(|| missing(RamThing::Policy))
}

fn own(policy: &Policy) -> PolicyName {
    PolicyName { kind: PolicyKind::Custom, name: policy.name.clone() }
}

fn shown(tx: &Tx<'_>, owner: &AccountId, policy: Policy) -> Result<PolicyShown, ControlError> {
    let name = own(&policy);
    Ok(PolicyShown {
        attachments: tx.who_has(owner, &name)?.len(),
        policy: name,
        description: policy.description,
        default_version: policy.default_version,
        created_at: policy.created_at,
        updated_at: policy.updated_at,
    })
}

fn system_shown(
    tx: &Tx<'_>,
    owner: &AccountId,
    policy: &SystemPolicy,
) -> Result<PolicyShown, ControlError> {
    let name = PolicyName { kind: PolicyKind::System, name: policy.name.to_owned() };
    Ok(PolicyShown {
        attachments: tx.who_has(owner, &name)?.len(),
        policy: name,
        description: policy.description.to_owned(),
        default_version: 1,
        created_at: ALWAYS,
        updated_at: ALWAYS,
    })
}

fn check_document(text: &str) -> Result<(), ControlError> {
    let parsed = Document::parse(text).map(drop);
    parsed.map_err(|error| denied(RamDenied::Document(error.to_string())))
}

/// What a policy says: of the server's own, or of an account's, the version that counts.
pub(super) fn document(
    tx: &Tx<'_>,
    owner: &AccountId,
    policy: &PolicyName,
) -> Result<Option<String>, ControlError> {
    if policy.kind == PolicyKind::System {
        return Ok(system_policy(&policy.name).map(|policy| policy.document.to_owned()));
    }
    let Some(known) = tx.policy(owner, &policy.name)? else { return Ok(None) };
    let versions = tx.policy_versions(owner, &policy.name)?;
    let counts = versions.into_iter().find(|one| one.version == known.default_version);
    Ok(counts.map(|version| version.document))
}

impl Control {
    /// Makes a policy with its first version.
    ///
    /// # Errors
    /// A name that is none or taken, a document that is none, too many.
    pub fn create_policy(
        &self,
        owner: &AccountId,
        name: &str,
        description: &str,
        document: &str,
    ) -> Result<Policy, ControlError> {
        check(check_policy_name(name))?;
        check_document(document)?;
        let now = self.now();
        let policy = Policy {
            account: owner.clone(),
            name: name.to_owned(),
            description: description.to_owned(),
            default_version: 1,
            newest_version: 1,
            created_at: now,
            updated_at: now,
        };
        let first = PolicyVersion { version: 1, document: document.to_owned(), created_at: now };
        self.change_ram(|tx| {
            if system_policy(name).is_some() || tx.policy(owner, name)?.is_some() {
                return Err(denied(RamDenied::Exists(RamThing::Policy)));
            }
            if tx.policies(owner)?.len() as u64 >= IDENTITIES_MAX {
                return Err(denied(RamDenied::Limit(RamThing::Policy)));
            }
            tx.put_policy(&policy)?;
            Ok(tx.insert_policy_version(owner, name, &first)?)
        })?;
        Ok(policy)
    }

    /// A policy.
    ///
    /// # Errors
    /// There is none.
    pub fn policy(
        &self,
        owner: &AccountId,
        policy: &PolicyName,
    ) -> Result<PolicyShown, ControlError> {
        self.store.read(|tx| match policy.kind {
            PolicyKind::Custom => shown(tx, owner, find_policy(tx, owner, &policy.name)?),
            PolicyKind::System => {
                let known = system_policy(&policy.name).ok_or_else(|| missing(RamThing::Policy))?;
                system_shown(tx, owner, known)
            }
        })
    }

    /// All policies of a kind, or of both, in the order of their names.
    ///
    /// # Errors
    /// A failure.
    pub fn policies(
        &self,
        owner: &AccountId,
        kind: Option<PolicyKind>,
    ) -> Result<Vec<PolicyShown>, ControlError> {
        let mut all = self.store.read(|tx| {
            let mut all = Vec::new();
            if kind != Some(PolicyKind::Custom) {
                for policy in SYSTEM_POLICIES {
                    all.push(system_shown(tx, owner, policy)?);
                }
            }
            if kind != Some(PolicyKind::System) {
                for policy in tx.policies(owner)? {
                    all.push(shown(tx, owner, policy)?);
                }
            }
            Ok::<_, ControlError>(all)
        })?;
        all.sort_by(|a, b| a.policy.name.cmp(&b.policy.name));
        Ok(all)
    }

    /// Deletes a policy that nobody has, and that has one version, or all of it where `cascading`.
    ///
    /// # Errors
    /// It is not there, or it is in use.
    pub fn delete_policy(
        &self,
        owner: &AccountId,
        name: &str,
        cascading: bool,
    ) -> Result<(), ControlError> {
        self.change_ram(|tx| {
            let policy = find_policy(tx, owner, name)?;
            for one in tx.who_has(owner, &own(&policy))? {
                if !cascading {
                    let who = one.identity.kind.as_str();
                    return Err(denied(RamDenied::InUse("Policy", who)));
                }
                tx.detach_policy(&one.identity.id, &own(&policy))?;
            }
            if !cascading && tx.policy_versions(owner, name)?.len() > 1 {
                return Err(denied(RamDenied::InUse("Policy", "Version")));
            }
            Ok(tx.remove_policy(owner, name)?)
        })
    }

    /// Adds a version; where `rotate`, in the place of the oldest that does not count if there are
    /// as many as there may be.
    ///
    /// # Errors
    /// The policy is not there, the document is none, too many versions.
    pub fn create_policy_version(
        &self,
        owner: &AccountId,
        name: &str,
        document: &str,
        (counts, rotate): (bool, bool),
    ) -> Result<VersionShown, ControlError> {
        check_document(document)?;
        let now = self.now();
        self.change_ram(|tx| {
            let mut policy = find_policy(tx, owner, name)?;
            let versions = tx.policy_versions(owner, name)?;
            if versions.len() >= POLICY_VERSIONS_MAX {
                let oldest = versions.iter().find(|one| one.version != policy.default_version);
                let Some(oldest) = oldest.filter(|_| rotate) else {
                    return Err(denied(RamDenied::Limit(RamThing::PolicyVersion)));
                };
                tx.remove_policy_version(owner, name, oldest.version)?;
            }
            policy.newest_version += 1;
            policy.updated_at = now;
            if counts {
                policy.default_version = policy.newest_version;
            }
            let version = PolicyVersion {
                version: policy.newest_version,
                document: document.to_owned(),
                created_at: now,
            };
            tx.put_policy(&policy)?;
            tx.insert_policy_version(owner, name, &version)?;
            Ok(VersionShown { version, is_default: counts })
        })
    }

    /// The versions of a policy, the oldest first.
    ///
    /// # Errors
    /// There is no such policy.
    pub fn policy_versions(
        &self,
        owner: &AccountId,
        policy: &PolicyName,
    ) -> Result<Vec<VersionShown>, ControlError> {
        if policy.kind == PolicyKind::System {
            let known = system_policy(&policy.name).ok_or_else(|| missing(RamThing::Policy))?;
            let document = known.document.to_owned();
            let version = PolicyVersion { version: 1, document, created_at: ALWAYS };
            return Ok(vec![VersionShown { version, is_default: true }]);
        }
        self.store.read(|tx| {
            let known = find_policy(tx, owner, &policy.name)?;
            let versions = tx.policy_versions(owner, &policy.name)?.into_iter();
            let shown = versions.map(|version| VersionShown {
                is_default: version.version == known.default_version,
                version,
            });
            Ok(shown.collect())
        })
    }

    /// Makes another version the one that counts.
    ///
    /// # Errors
    /// The policy or the version is not there.
    pub fn set_default_version(
        &self,
        owner: &AccountId,
        name: &str,
        version: u32,
    ) -> Result<(), ControlError> {
        let now = self.now();
        self.change_ram(|tx| {
            let policy = find_policy(tx, owner, name)?;
            let versions = tx.policy_versions(owner, name)?;
            if versions.iter().all(|one| one.version != version) {
                return Err(missing(RamThing::PolicyVersion));
            }
            let policy = Policy { default_version: version, updated_at: now, ..policy };
            Ok(tx.put_policy(&policy)?)
        })
    }

    /// Deletes a version that does not count.
    ///
    /// # Errors
    /// It counts, or is not there.
    pub fn delete_policy_version(
        &self,
        owner: &AccountId,
        name: &str,
        version: u32,
    ) -> Result<(), ControlError> {
        self.change_ram(|tx| {
            if find_policy(tx, owner, name)?.default_version == version {
                return Err(denied(RamDenied::DefaultVersion));
            }
            let removed = tx.remove_policy_version(owner, name, version)?;
            removed.then_some(()).ok_or_else(|| missing(RamThing::PolicyVersion))
        })
    }

    /// Attaches a policy.
    ///
    /// # Errors
    /// One of them is not there, it is attached, or too many are.
    pub fn attach_policy(
        &self,
        owner: &AccountId,
        (kind, name): (IdentityKind, &str),
        policy: &PolicyName,
    ) -> Result<(), ControlError> {
        let now = self.now();
        self.change_ram(|tx| {
            let one = find(tx, owner, kind, name)?;
            must_exist(tx, owner, policy)?;
            let thing = RamThing::Attachment(kind);
            if !tx.attach_policy(&one.id, policy, now)? {
                return Err(denied(RamDenied::Exists(thing)));
            }
            let few = tx.attached(&one.id)?.len() <= ATTACHMENTS_MAX;
            few.then_some(()).ok_or_else(|| denied(RamDenied::Limit(thing)))
        })
    }

    /// Detaches a policy.
    ///
    /// # Errors
    /// One of them is not there, or it is not attached.
    pub fn detach_policy(
        &self,
        owner: &AccountId,
        (kind, name): (IdentityKind, &str),
        policy: &PolicyName,
    ) -> Result<(), ControlError> {
        self.change_ram(|tx| {
            let one = find(tx, owner, kind, name)?;
            must_exist(tx, owner, policy)?;
            let detached = tx.detach_policy(&one.id, policy)?;
            detached.then_some(()).ok_or_else(|| missing(RamThing::Attachment(kind)))
        })
    }

    /// The policies of a user, a group or a role, since when.
    ///
    /// # Errors
    /// There is no such identity.
    pub fn policies_of(
        &self,
        owner: &AccountId,
        kind: IdentityKind,
        name: &str,
    ) -> Result<Vec<(PolicyShown, Timestamp)>, ControlError> {
        let attached: Vec<PolicySince> = self
            .store
            .read(|tx| Ok::<_, ControlError>(tx.attached(&find(tx, owner, kind, name)?.id)?))?;
        attached.into_iter().map(|one| Ok((self.policy(owner, &one.policy)?, one.since))).collect()
    }

    /// Who has a policy, since when.
    ///
    /// # Errors
    /// There is no such policy.
    pub fn who_has_policy(
        &self,
        owner: &AccountId,
        policy: &PolicyName,
    ) -> Result<Vec<IdentitySince>, ControlError> {
        self.store.read(|tx| {
            must_exist(tx, owner, policy)?;
            Ok(tx.who_has(owner, policy)?)
        })
    }
}
