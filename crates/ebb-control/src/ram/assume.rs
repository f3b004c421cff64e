//! Taking a role on: credentials that end by themselves.
//!
//! ```text
//!   token = base64 of seal(master key, "session STS.…", version │ account │ role │ name │
//!                          expires │ secret │ policy), a line each
//! ```
//! Nothing is kept: whoever shows the token shows what the server sealed. The role is looked up at
//! every request, so deleting it ends its sessions, and what it may counts as it is then.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ebb_domain::{
    AccountId, Identity, IdentityKind, RamDenied, RamField, RamThing, SESSION_SECONDS, Timestamp,
    check_session_name,
};
use ebb_policy::{Document, TrustDocument};

use super::permit::Asked;
use super::{Caller, Session, Who, check, denied};
use crate::{Control, ControlError, Secret, random_text};

/// What access key ids of sessions begin with.
pub const SESSION_KEY: &str = "STS.";

const VERSION: &str = "1";

/// A role to take on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssumeRole {
    /// `acs:ram::1234567890123456:role/name`.
    pub role_arn: String,
    /// What the session is called.
    pub session_name: String,
    /// For how long; an hour, or as long as the role allows, where nothing is given.
    pub seconds: Option<i64>,
    /// What the session may at most.
    pub policy: Option<String>,
}

/// What a session is signed with, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The session.
    pub session: Session,
    /// What goes with every request.
    pub token: String,
    /// The role as it is now.
    pub role: Identity,
}

fn context(key_id: &str) -> String {
    format!("session {key_id}")
}

/// The account and the name in a role's ARN.
fn parse_arn(arn: &str) -> Option<(AccountId, &str)> {
    let (account, name) = arn.strip_prefix("acs:ram::")?.split_once(":role/")?;
    Some((AccountId::new(account), name))
}

impl Control {
    /// Takes a role on. Whether the caller's own policies allow it was asked before.
    ///
    /// # Errors
    /// The role is not there, does not trust who asks, or not for so long; who asks is the account
    /// itself; a policy that is none.
    pub fn assume_role(
        &self,
        caller: &Caller,
        wanted: &AssumeRole,
        asked: &Asked<'_>,
    ) -> Result<Credentials, ControlError> {
        let malformed = |field| denied(RamDenied::Malformed(field));
        check(check_session_name(&wanted.session_name))?;
        let arn = parse_arn(&wanted.role_arn);
        let (owner, name) = arn.ok_or_else(|| malformed(RamField::RoleArn))?;
        let seconds = wanted.seconds.map(|seconds| {
            let seconds = u32::try_from(seconds).ok();
            seconds.filter(|seconds| SESSION_SECONDS.contains(seconds))
        });
        let seconds =
            seconds.map(|s| s.ok_or_else(|| malformed(RamField::Duration))).transpose()?;
        if let Some(policy) = &wanted.policy {
            Document::parse_for_session(policy)
                .map_err(|error| denied(RamDenied::Document(error.to_string())))?;
        }
        if caller.who == Who::Root {
            return Err(denied(RamDenied::RootAssumes));
        }
        let role = self.store.read(|tx| tx.identity(&owner, IdentityKind::Role, name))?;
        let role = role
            .ok_or_else(|| denied(RamDenied::NotFound(RamThing::Identity(IdentityKind::Role))))?;
        self.check_trust(caller, &role, asked)?;
        let most = role.max_session_seconds;
        let seconds = seconds.unwrap_or_else(|| most.min(3600));
        if seconds > most {
            return Err(denied(RamDenied::TooLong));
        }
        let session = Session {
            key_id: format!("{SESSION_KEY}{}", random_text(self.entropy(), 24)),
            secret: Secret::new(random_text(self.entropy(), 44)),
            account: role.account.clone(),
            role: role.id.clone(),
            name: wanted.session_name.clone(),
            expires_at: self.now().plus_seconds(seconds.into()),
            policy: wanted.policy.clone(),
        };
        Ok(Credentials { token: self.seal_session(&session), session, role })
    }

    fn check_trust(
        &self,
        caller: &Caller,
        role: &Identity,
        asked: &Asked<'_>,
    ) -> Result<(), ControlError> {
        let may_not = || denied(RamDenied::MayNotAssume);
        let principal = self.principal(caller)?.ok_or_else(may_not)?;
        let trust = TrustDocument::parse(&role.trust)
            .map_err(|error| ControlError::Mismatch(format!("a trust that was kept: {error}")))?;
        let context = self.context(asked, Some(&principal));
        let trusted = trust.allows("sts:AssumeRole", &principal, &context);
        trusted.then_some(()).ok_or_else(may_not)
    }

    fn seal_session(&self, session: &Session) -> String {
        let expires = session.expires_at.unix_millis().to_string();
        let policy = session.policy.as_deref().unwrap_or_default();
        let lines = [
            VERSION,
            session.account.as_str(),
            &session.role,
            &session.name,
            &expires,
            session.secret.expose(),
            policy,
        ];
        let plain = lines.join("\n");
        BASE64_STANDARD.encode(self.keys.seal(
            self.random(),
            &context(&session.key_id),
            plain.as_bytes(),
        ))
    }

    /// The session of a token that goes with this access key id; `None` where the two do not
    /// belong together. It may have ended.
    #[must_use]
    pub fn session(&self, key_id: &str, token: &str) -> Option<Arc<Session>> {
        let sealed = BASE64_STANDARD.decode(token).ok()?;
        let plain = String::from_utf8(self.keys.unseal(&context(key_id), &sealed)?).ok()?;
        let mut lines = plain.splitn(7, '\n');
        let mut next = || lines.next();
        if next()? != VERSION {
            return None;
        }
        Some(Arc::new(Session {
            key_id: key_id.to_owned(),
            account: AccountId::new(next()?),
            role: next()?.to_owned(),
            name: next()?.to_owned(),
            expires_at: Timestamp::from_unix_millis(next()?.parse().ok()?),
            secret: Secret::new(next()?),
            policy: next().filter(|policy| !policy.is_empty()).map(str::to_owned),
        }))
    }
}
