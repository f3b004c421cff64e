//! Who makes a request, once its signature is known to be right.

use std::sync::Arc;

use ebb_domain::{AccountId, Timestamp};

use crate::Secret;

/// Who makes a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The account that the request is about.
    pub account: AccountId,
    /// Who within it.
    pub who: Who,
}

/// Who within an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// The account itself, which no policy binds.
    Root,
    /// A user, by id.
    User(String),
    /// Somebody who has taken a role on.
    Session(Arc<Session>),
}

/// A role that was taken on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The access key id that goes with it.
    pub key_id: String,
    /// What its holder signs with.
    pub secret: Secret,
    /// The role's account.
    pub account: AccountId,
    /// The role's id.
    pub role: String,
    /// What its holder called it.
    pub name: String,
    /// When it ends.
    pub expires_at: Timestamp,
    /// What it may at most, beside what the role may: a policy document.
    pub policy: Option<String>,
}

impl Caller {
    /// The account itself.
    #[must_use]
    pub fn root(account: AccountId) -> Self {
        Self { account, who: Who::Root }
    }

    /// Its name for people and policies, given what the user or role is called.
    #[must_use]
    pub fn arn(&self, name: &str) -> String {
        let account = &self.account;
        match &self.who {
            Who::Root => format!("acs:ram::{account}:root"),
            Who::User(_) => format!("acs:ram::{account}:user/{name}"),
            Who::Session(session) => {
                format!("acs:ram::{account}:assumed-role/{name}/{}", session.name)
            }
        }
    }

    /// The id of the user or role; the account's where it is neither.
    #[must_use]
    pub fn identity(&self) -> &str {
        match &self.who {
            Who::Root => self.account.as_str(),
            Who::User(id) => id,
            Who::Session(session) => &session.role,
        }
    }
}
