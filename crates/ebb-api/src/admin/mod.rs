//! The operator's side: what stands in for the cloud's own staff, over a socket in the data
//! directory.
//!
//! HTTP with JSON on a Unix socket that only the server's user can open, so nothing is signed.
//! `POST /` takes a [`Command`] and answers what it changed; `POST /import?…` takes a raw image as
//! its body. Deliberately not here: anything that an API call can do.

mod client;
mod server;

use std::sync::Arc;

use ebb_control::{
    AccountChange, Control, ControlError, DiskVolume, ImportRequest, KeyShown, NewIdentity,
};
use ebb_domain::{
    AccountId, Category, Denied, DiskId, Identity, IdentityKind, InstanceId, PolicyKind,
    PolicyName, SnapshotCategory, Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use client::{AdminClient, AdminError};
pub use server::serve_admin;

/// What the operator asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "command")]
pub enum Command {
    /// Changes an account; what is `None` stays.
    SetAccount {
        /// The root account where it is `None`.
        account: Option<String>,
        /// In fen, 1/100 CNY.
        balance_fen: Option<i64>,
        /// Whether its resources are in arrears.
        arrears: Option<bool>,
        /// Whether the snapshot service is open.
        snapshot_service: Option<bool>,
        /// GiB that its disks may be together; 0 for no end.
        disk_quota_gib: Option<u64>,
    },
    /// Makes an account, and its first access key.
    CreateAccount,
    /// Lists all accounts.
    ListAccounts,
    /// Makes an access key; its secret is told this once.
    CreateKey {
        /// Of the root account where it is `None`.
        account: Option<String>,
        /// Of the account's root user where it is `None`.
        user: Option<String>,
    },
    /// Lists the access keys of an account's root user, or of a user.
    ListKeys {
        /// Of the root account where it is `None`.
        account: Option<String>,
        /// Of the account's root user where it is `None`.
        user: Option<String>,
    },
    /// Makes a user.
    CreateUser {
        /// In the root account where it is `None`.
        account: Option<String>,
        /// What it is called.
        user: String,
        /// Policies of the server's own that it has.
        policies: Vec<String>,
    },
    /// Lists users.
    ListUsers {
        /// Of the root account where it is `None`.
        account: Option<String>,
    },
    /// Deletes a user.
    DeleteUser {
        /// In the root account where it is `None`.
        account: Option<String>,
        /// Which.
        user: String,
    },
    /// Says whether an access key may be used.
    SetKeyActive {
        /// Which.
        key: String,
        /// Whether it may.
        active: bool,
    },
    /// Deletes an access key.
    DeleteKey {
        /// Which.
        key: String,
    },
    /// Lets the block store use an account's keys, or no more.
    LetUseKeys {
        /// The root account where it is `None`.
        account: Option<String>,
        /// Whether it may.
        may: bool,
    },
    /// Deletes a key at once, whatever needs it.
    DestroyKey {
        /// The root account's where it is `None`.
        account: Option<String>,
        /// Which.
        key: String,
    },
    /// Locks an instance for security, or unlocks it.
    LockInstance {
        /// Which.
        instance: String,
        /// Locked or not.
        locked: bool,
    },
    /// Marks an instance as expired, or as renewed.
    ExpireInstance {
        /// Which.
        instance: String,
        /// Expired or not.
        expired: bool,
    },
    /// Issues a certificate that opens the instance's disks over NBD.
    IssueCertificate {
        /// Which.
        instance: String,
        /// How long it is good.
        days: u32,
    },
    /// Tells where a disk's bytes are.
    LocateDisk {
        /// Which.
        disk: String,
    },
    /// Removes the record of a lost machine.
    ForgetInstance {
        /// Which.
        instance: String,
    },
    /// Restricts a category to some accounts.
    RestrictCategory {
        /// Which.
        category: String,
        /// To whom; they need not exist.
        allow: Vec<String>,
    },
    /// Lifts a restriction.
    UnrestrictCategory {
        /// Which.
        category: String,
    },
}

/// A client's certificate and its key, in PEM.
#[derive(Debug)]
pub struct ClientCertificate {
    /// What it shows.
    pub certificate: String,
    /// What it proves that with; nobody else keeps it.
    pub key: String,
    /// The certificate of who issued it: QEMU looks whether the two fit.
    pub authority: String,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

/// Issues a certificate to the instance of this id, good for so many days; or says why not.
pub type Issue = Arc<dyn Fn(&str, u32) -> Result<ClientCertificate, String> + Send + Sync>;

/// Tells where the bytes of a disk are; or says why not.
pub type Locate = Arc<dyn Fn(&DiskVolume) -> Result<Value, String> + Send + Sync>;

/// What commands have done by others than the control plane.
#[derive(Clone)]
pub struct Helpers {
    /// See there.
    pub issue: Issue,
    /// See there.
    pub locate: Locate,
}

/// Which image to import, and as what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportCommand {
    /// The disk it becomes a snapshot of.
    pub disk: String,
    /// RFC 3339.
    pub created_at: String,
    /// May be empty.
    pub name: String,
    /// `standard` or `archive`.
    pub category: String,
    /// The image's length, where it is known: one that is too long is then refused at once.
    pub length_bytes: Option<u64>,
}

/// Why a command was not carried out, for the operator to read.
#[derive(Debug)]
struct Refusal(String);

impl Command {
    /// Carries it out; answers what it changed.
    fn run(&self, control: &Control, helpers: &Helpers) -> Result<Value, Refusal> {
        match self {
            Self::SetAccount {
                account,
                balance_fen,
                arrears,
                snapshot_service,
                disk_quota_gib,
            } => {
                let change = AccountChange {
                    balance_fen: *balance_fen,
                    arrears: *arrears,
                    snapshot_service: *snapshot_service,
                    disk_quota_gib: *disk_quota_gib,
                };
                let id = account.as_deref().map(AccountId::new);
                let now = control.set_account(id.as_ref(), change)?;
                Ok(json!({
                    "account": now.id.as_str(),
                    "balance_fen": now.balance_fen,
                    "arrears": now.arrears,
                    "snapshot_service": if now.snapshot_service { "open" } else { "closed" },
                    "disk_quota_gib": now.disk_quota_gib,
                }))
            }
            Self::CreateAccount => {
                let account = control.create_account()?;
                new_key(control, &account.id, None)
            }
            Self::ListAccounts => {
                let root = control.root();
                let shown = |id: &AccountId| json!({ "account": id.as_str(), "root": id == root });
                let accounts: Vec<Value> = control.accounts()?.iter().map(shown).collect();
                Ok(json!({ "accounts": accounts }))
            }
            Self::CreateKey { account, user } => {
                new_key(control, &whose(control, account.as_deref()), user.as_deref())
            }
            Self::ListKeys { account, user } => {
                let account = whose(control, account.as_deref());
                let keys = control.keys_of(&account, user.as_deref())?;
                let keys: Vec<Value> = keys.iter().map(shown_key).collect();
                Ok(json!({ "account": account.as_str(), "user": user, "keys": keys }))
            }
            Self::SetKeyActive { key, active } => {
                control.set_key_active(key, *active)?;
                Ok(json!({ "access_key_id": key, "active": active }))
            }
            Self::DeleteKey { key } => {
                control.delete_key(key)?;
                Ok(json!({ "access_key_id": key, "deleted": true }))
            }
            Self::CreateUser { account, user, policies } => {
                let account = whose(control, account.as_deref());
                let made = control.create_identity(&account, new_user(user))?;
                for policy in policies {
                    let policy = PolicyName { kind: PolicyKind::System, name: policy.clone() };
                    control.attach_policy(&account, (IdentityKind::User, user), &policy)?;
                }
                Ok(json!({ "account": account.as_str(), "user": user, "id": made.id }))
            }
            Self::ListUsers { account } => {
                let account = whose(control, account.as_deref());
                let users = control.identities(&account, IdentityKind::User, "", usize::MAX)?;
                let users: Vec<Value> = users.iter().map(shown_user).collect();
                Ok(json!({ "account": account.as_str(), "users": users }))
            }
            Self::DeleteUser { account, user } => {
                let account = whose(control, account.as_deref());
                control.delete_identity(&account, IdentityKind::User, user)?;
                Ok(json!({ "account": account.as_str(), "user": user, "deleted": true }))
            }
            Self::LetUseKeys { account, may } => {
                let account = whose(control, account.as_deref());
                control.let_use_keys(&account, *may)?;
                Ok(json!({ "account": account.as_str(), "may_use_keys": may }))
            }
            Self::DestroyKey { account, key } => {
                let account = whose(control, account.as_deref());
                control.kms(&account).destroy(key)?;
                Ok(json!({ "account": account.as_str(), "key": key, "destroyed": true }))
            }
            Self::LockInstance { instance, locked } => {
                control.lock_instance(&InstanceId::new(instance), *locked)?;
                Ok(json!({ "instance": instance, "security_lock": locked }))
            }
            Self::ExpireInstance { instance, expired } => {
                control.expire_instance(&InstanceId::new(instance), *expired)?;
                Ok(json!({ "instance": instance, "expired": expired }))
            }
            Self::IssueCertificate { instance, days } => {
                if !control.has_instance(&InstanceId::new(instance))? {
                    return Err(ControlError::from(Denied::InstanceNotFound).into());
                }
                let issued = (helpers.issue)(instance, *days).map_err(Refusal)?;
                Ok(json!({
                    "instance": instance,
                    "expires_at": crate::time::seconds(issued.expires_at),
                    "certificate": issued.certificate,
                    "key": issued.key,
                    "authority": issued.authority,
                }))
            }
            Self::LocateDisk { disk } => {
                let found = control.disk_volume(&DiskId::new(disk))?;
                (helpers.locate)(&found).map_err(Refusal)
            }
            Self::ForgetInstance { instance } => {
                control.forget_instance(&InstanceId::new(instance))?;
                Ok(json!({ "instance": instance, "forgotten": true }))
            }
            Self::RestrictCategory { category, allow } => {
                let allowed: Vec<AccountId> = allow.iter().map(AccountId::new).collect();
                control.restrict_category(known(category)?, &allowed)?;
                Ok(json!({ "category": category, "restricted": true, "allow": allow }))
            }
            Self::UnrestrictCategory { category } => {
                let was = control.unrestrict_category(known(category)?)?;
                Ok(json!({ "category": category, "restricted": false, "was_restricted": was }))
            }
        }
    }
}

fn whose(control: &Control, account: Option<&str>) -> AccountId {
    account.map_or_else(|| control.root().clone(), AccountId::new)
}

fn new_key(control: &Control, account: &AccountId, user: Option<&str>) -> Result<Value, Refusal> {
    let (id, secret) = control.create_key(account, user)?;
    Ok(json!({
        "account": account.as_str(),
        "user": user,
        "access_key_id": id,
        "access_key_secret": secret.expose(),
    }))
}

fn new_user(name: &str) -> NewIdentity {
    NewIdentity {
        kind: IdentityKind::User,
        name: name.to_owned(),
        display_name: None,
        comments: String::new(),
        trust: String::new(),
        max_session_seconds: None,
    }
}

fn shown_user(user: &Identity) -> Value {
    json!({ "user": user.name, "id": user.id, "created_at": crate::time::seconds(user.created_at) })
}

fn shown_key(key: &KeyShown) -> Value {
    json!({
        "access_key_id": key.id,
        "active": key.active,
        "created_at": key.created_at.map(crate::time::seconds),
        "last_used_at": key.last_used_at.map(crate::time::seconds),
    })
}

fn known(category: &str) -> Result<Category, Refusal> {
    let names: Vec<&str> = Category::ALL.iter().map(|category| category.name()).collect();
    Category::parse(category).ok_or_else(|| {
        Refusal(format!("there is no category {category:?}; there are {}", names.join(", ")))
    })
}

impl ImportCommand {
    fn request(&self) -> Result<ImportRequest, Refusal> {
        let time: jiff::Timestamp = self.created_at.parse().map_err(|_| {
            Refusal(format!("{:?} is not a time like 2026-02-23T12:46:24Z", self.created_at))
        })?;
        let category = match self.category.as_str() {
            "standard" => SnapshotCategory::Standard,
            "archive" => SnapshotCategory::Archive,
            other => return Err(Refusal(format!("{other:?} is neither standard nor archive"))),
        };
        Ok(ImportRequest {
            disk: DiskId::new(&self.disk),
            created_at: ebb_domain::Timestamp::from_unix_millis(time.as_millisecond()),
            name: self.name.clone(),
            category,
        })
    }
}

/// A refusal in the operator's words. Failures are said as they are: nobody else reads them.
impl From<ControlError> for Refusal {
    fn from(error: ControlError) -> Self {
        Self(match error {
            ControlError::Denied(Denied::InstanceNotFound) => "there is no such instance".into(),
            ControlError::Denied(Denied::DiskNotFound) => "there is no such disk".into(),
            ControlError::Denied(Denied::SnapshotNotFound) => {
                "the snapshot was deleted while it was imported".into()
            }
            ControlError::Denied(Denied::CategoryUnsupported) => {
                "a local or ephemeral disk has no snapshots".into()
            }
            ControlError::Denied(Denied::EncryptedStays) => {
                "the disk is encrypted: no bytes come from outside the pool".into()
            }
            ControlError::Denied(Denied::SizeNotOffered) => {
                "the image is longer than the disk".into()
            }
            ControlError::Denied(Denied::Malformed(field)) => {
                format!("the {field:?} is not well formed")
            }
            ControlError::Denied(denied @ (Denied::Ram(_) | Denied::Kms(_))) => {
                crate::refusals::deny("", &denied).message.into_owned()
            }
            other => other.to_string(),
        })
    }
}
