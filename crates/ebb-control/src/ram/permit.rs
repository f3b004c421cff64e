//! Whether somebody may do something.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use ebb_domain::{AccountId, DiskId, Identity, IdentityKind, InstanceId, SnapshotId};
use ebb_policy::{Context, Document, Principal, Request, Verdict, evaluate};
use ebb_store::Tx;

use super::policy::document;
use super::{Caller, Who};
use crate::{Control, ControlError};

/// What somebody wants to do.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    /// Such as `ecs:ResetDisk`.
    pub action: &'a str,
    /// With what, in RAM's names for resources.
    pub resources: &'a [String],
    /// From where.
    pub source_ip: Option<IpAddr>,
    /// Whether by TLS.
    pub secure_transport: bool,
}

/// Someone, and what the policies say that they have.
struct Known {
    name: String,
    principal: Principal,
    documents: Vec<Document>,
}

/// What was read of policies since they last changed, by the id of who has them.
#[derive(Default)]
pub(crate) struct Permits(RwLock<Remembered>);

#[derive(Default)]
struct Remembered {
    /// How often all was forgotten: what was read before the last time is not kept.
    forgotten: u64,
    known: HashMap<String, Arc<Known>>,
}

impl Permits {
    /// Called after a change is committed, here or by another server.
    pub(crate) fn forget(&self) {
        let mut remembered = self.0.write().unwrap_or_else(PoisonError::into_inner);
        remembered.forgotten += 1;
        remembered.known.clear();
    }

    fn get(&self, id: &str) -> (Option<Arc<Known>>, u64) {
        let remembered = self.0.read().unwrap_or_else(PoisonError::into_inner);
        (remembered.known.get(id).cloned(), remembered.forgotten)
    }

    fn keep(&self, id: &str, known: &Arc<Known>, forgotten: u64) {
        let mut remembered = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if remembered.forgotten == forgotten {
            remembered.known.insert(id.to_owned(), Arc::clone(known));
        }
    }
}

impl Control {
    /// Whether who asks may do this: the account itself may do everything, anybody else what their
    /// policies allow, and in a session only what its own policy allows too.
    ///
    /// # Errors
    /// A failure. Someone who is not there any more may do nothing.
    pub fn permits(&self, caller: &Caller, asked: &Asked<'_>) -> Result<bool, ControlError> {
        let limit = match &caller.who {
            Who::Root => return Ok(true),
            Who::User(_) => None,
            Who::Session(session) => session.policy.as_deref(),
        };
        let Some(known) = self.known(caller.identity())? else { return Ok(false) };
        let request = Request {
            action: asked.action,
            resources: asked.resources,
            context: self.context(asked, Some(&known.principal)),
        };
        let allowed = |documents: &[Document]| evaluate(documents, &request) == Verdict::Allow;
        let within = match limit {
            None => true,
            Some(text) => allowed(&[read(text)?]),
        };
        Ok(within && allowed(&known.documents))
    }

    /// What a caller is called: a user's or a role's name; the account's id. Nothing for someone
    /// who is not there any more.
    ///
    /// # Errors
    /// A failure.
    pub fn name_of(&self, caller: &Caller) -> Result<String, ControlError> {
        if caller.who == Who::Root {
            return Ok(caller.account.to_string());
        }
        Ok(self.known(caller.identity())?.map(|known| known.name.clone()).unwrap_or_default())
    }

    /// Where an account's disk, snapshot, instance or key is, by kind and id; the first region
    /// where it is none of those, or is not there. A key may be named by its id or an alias.
    #[must_use]
    pub fn region_of(&self, owner: &AccountId, kind: &str, id: &str) -> String {
        let found = self.store.read(|tx| read_region(tx, owner, kind, id)).ok().flatten();
        let first = || self.regions().first().map(|region| region.id.to_string());
        found.or_else(first).unwrap_or_default()
    }

    pub(super) fn context<'a>(
        &self,
        asked: &Asked<'_>,
        principal: Option<&'a Principal>,
    ) -> Context<'a> {
        Context {
            source_ip: asked.source_ip,
            now_unix_millis: self.now().unix_millis(),
            secure_transport: asked.secure_transport,
            principal,
            ..Context::default()
        }
    }

    /// Whom policies and trusts know the caller as; `None` for the account itself, and for someone
    /// who is not there any more.
    pub(super) fn principal(&self, caller: &Caller) -> Result<Option<Principal>, ControlError> {
        if caller.who == Who::Root {
            return Ok(None);
        }
        Ok(self.known(caller.identity())?.map(|known| known.principal.clone()))
    }

    fn known(&self, id: &str) -> Result<Option<Arc<Known>>, ControlError> {
        let (known, forgotten) = self.permits.get(id);
        if known.is_some() {
            return Ok(known);
        }
        let Some(known) = self.store.read(|tx| read_known(tx, id))?.map(Arc::new) else {
            return Ok(None);
        };
        self.permits.keep(id, &known, forgotten);
        Ok(Some(known))
    }
}

fn read_known(tx: &Tx<'_>, id: &str) -> Result<Option<Known>, ControlError> {
    let Some(one) = tx.identity_by_id(id)? else { return Ok(None) };
    let mut documents = documents_of(tx, &one)?;
    for group in tx.groups_of(id)? {
        documents.extend(documents_of(tx, &group.identity)?);
    }
    let (account, name) = (one.account.to_string(), one.name.clone());
    let principal = match one.kind {
        IdentityKind::Role => Principal::Role { account, name },
        IdentityKind::User | IdentityKind::Group => Principal::User { account, name },
    };
    Ok(Some(Known { name: one.name, principal, documents }))
}

fn documents_of(tx: &Tx<'_>, one: &Identity) -> Result<Vec<Document>, ControlError> {
    let mut documents = Vec::new();
    for attached in tx.attached(&one.id)? {
        if let Some(text) = document(tx, &one.account, &attached.policy)? {
            documents.push(read(&text)?);
        }
    }
    Ok(documents)
}

/// Every document was read before it was kept. One that cannot be read now denies by failing.
fn read(text: &str) -> Result<Document, ControlError> {
    Document::parse(text)
        .map_err(|error| ControlError::Mismatch(format!("a policy that was kept: {error}")))
}

fn read_region(
    tx: &Tx<'_>,
    owner: &AccountId,
    kind: &str,
    id: &str,
) -> Result<Option<String>, ControlError> {
    let found = match kind {
        "disk" => tx.disk(&DiskId::new(id))?.map(|one| (one.account, one.region.to_string())),
        "snapshot" => {
            tx.snapshot(&SnapshotId::new(id))?.map(|one| (one.account, one.region.to_string()))
        }
        "instance" => {
            tx.instance(&InstanceId::new(id))?.map(|one| (one.account, one.region.to_string()))
        }
        "key" | "alias" => {
            let id = match id.starts_with("alias/") {
                true => tx.alias(owner, id)?.unwrap_or_default(),
                false => id.to_owned(),
            };
            tx.key(&id)?.map(|one| (one.account, one.region))
        }
        _ => None,
    };
    Ok(found.filter(|(account, _)| account == owner).map(|(_, region)| region))
}
