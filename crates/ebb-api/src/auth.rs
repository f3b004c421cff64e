//! Whose request it is.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ebb_control::{
    AccessKey, Asked, Caller, Control, ControlError, Entry, SESSION_KEY, Session, Who,
};
use ebb_domain::{AccountId, Timestamp};

use crate::nonce::{self, Nonces};
use crate::refusals::failed;
use crate::signature::Claim;
use crate::{ApiError, time};

/// How far a client's clock may be off, either way.
pub(crate) const SKEW_MILLIS: i64 = 15 * 60 * 1000;

/// What the gateway itself asks of the system behind it. Until [`Authority::permits`] nothing
/// blocks, unless it [is shared](Authority::is_shared).
pub trait Authority: Send + Sync + 'static {
    /// What time it is.
    fn now(&self) -> Timestamp;

    /// Held from before a call reads anything until it has ended.
    fn enter(&self) -> Option<Entry> {
        None
    }

    /// Whether other servers change it too.
    fn is_shared(&self) -> bool;

    /// Has all count from here on that other servers have answered.
    ///
    /// # Errors
    /// A failure.
    fn catch_up(&self) -> Result<(), ControlError>;

    /// The key of that id.
    ///
    /// # Errors
    /// A failure.
    fn access_key(&self, id: &str) -> Result<Option<AccessKey>, ControlError>;

    /// The session that a token makes of a key id, whether or not it has ended.
    fn session(&self, key_id: &str, token: &str) -> Option<Arc<Session>>;

    /// Whether the caller's policies allow something.
    ///
    /// # Errors
    /// A failure.
    fn permits(&self, caller: &Caller, asked: &Asked<'_>) -> Result<bool, ControlError>;

    /// Where the account's resource of that kind and id is; where there is none, the first region.
    fn region_of(&self, account: &AccountId, kind: &str, id: &str) -> String;

    /// What the caller is called: a user's or a role's name; the account's id.
    ///
    /// # Errors
    /// A failure.
    fn name_of(&self, caller: &Caller) -> Result<String, ControlError>;

    /// Keeps that a key has signed a request.
    ///
    /// # Errors
    /// A failure.
    fn key_was_used(&self, id: &str) -> Result<(), ControlError>;
}

impl Authority for Control {
    fn now(&self) -> Timestamp {
        self.now()
    }

    fn enter(&self) -> Option<Entry> {
        Some(self.enter())
    }

    fn is_shared(&self) -> bool {
        self.is_shared()
    }

    fn catch_up(&self) -> Result<(), ControlError> {
        self.catch_up()
    }

    fn access_key(&self, id: &str) -> Result<Option<AccessKey>, ControlError> {
        self.access_key(id)
    }

    fn session(&self, key_id: &str, token: &str) -> Option<Arc<Session>> {
        self.session(key_id, token)
    }

    fn permits(&self, caller: &Caller, asked: &Asked<'_>) -> Result<bool, ControlError> {
        self.permits(caller, asked)
    }

    fn region_of(&self, account: &AccountId, kind: &str, id: &str) -> String {
        self.region_of(account, kind, id)
    }

    fn name_of(&self, caller: &Caller) -> Result<String, ControlError> {
        self.name_of(caller)
    }

    fn key_was_used(&self, id: &str) -> Result<(), ControlError> {
        self.key_was_used(id)
    }
}

/// Key, time, nonce, signature: the first that fails is the answer.
///
/// # Errors
/// 404 `InvalidAccessKeyId.NotFound`; 503 `ServiceUnavailable`; 400 for everything else.
pub(crate) fn authenticate(
    claim: &Claim,
    authority: &impl Authority,
    nonces: &Nonces,
) -> Result<Caller, ApiError> {
    let id = claim.access_key_id.as_str();
    let now = authority.now();
    authority.catch_up().map_err(failed)?;
    let key = key(claim, authority, now)?;
    check_time(&claim.timestamp, now)?;
    if let Err(error) = claim.proof.check(key.secret.expose()) {
        // The nonce comes first; but where it is new, which is nearly always, it is asked about
        // once only.
        let used = nonces.is_used(id, &claim.nonce, now)?;
        return Err(if used { nonce::used() } else { error });
    }
    // Only now, so that a request with a bad signature uses up no one's nonce.
    nonces.use_once(id, &claim.nonce, now)?;
    Ok(key.caller)
}

/// What a request must be signed with.
fn key(claim: &Claim, authority: &impl Authority, now: Timestamp) -> Result<AccessKey, ApiError> {
    let id = claim.access_key_id.as_str();
    if id.starts_with(SESSION_KEY) {
        return session_key(claim, authority, now);
    }
    let key = authority.access_key(id).map_err(failed)?.ok_or_else(|| {
        ApiError::new(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
    })?;
    if !key.active {
        let message = "Specified access key is disabled.";
        return Err(ApiError::new(400, "InvalidAccessKeyId.Inactive", message));
    }
    if claim.security_token.is_some() {
        return Err(mismatch());
    }
    Ok(key)
}

/// The token is what the server sealed, so what it says is true.
fn session_key(
    claim: &Claim,
    authority: &impl Authority,
    now: Timestamp,
) -> Result<AccessKey, ApiError> {
    let Some(token) = claim.security_token.as_deref() else {
        let message = "SecurityToken is mandatory for this action.";
        return Err(ApiError::new(400, "MissingSecurityToken", message));
    };
    if BASE64_STANDARD.decode(token).is_err() {
        let message = "Specified SecurityToken is malformed.";
        return Err(ApiError::new(400, "InvalidSecurityToken.Malformed", message));
    }
    let session = authority.session(&claim.access_key_id, token).ok_or_else(mismatch)?;
    if session.expires_at <= now {
        let message = "Specified SecurityToken is expired.";
        return Err(ApiError::new(400, "InvalidSecurityToken.Expired", message));
    }
    let (secret, account) = (session.secret.clone(), session.account.clone());
    Ok(AccessKey { secret, caller: Caller { account, who: Who::Session(session) }, active: true })
}

fn mismatch() -> ApiError {
    let message = "Specified SecurityToken does not belong to the access key.";
    ApiError::new(400, "InvalidSecurityToken.MismatchWithAccessKey", message)
}

fn check_time(text: &str, now: Timestamp) -> Result<(), ApiError> {
    let time = time::parse(text).ok_or_else(|| {
        let message = "Specified time stamp or date value is not well formatted.";
        ApiError::new(400, "InvalidTimeStamp.Format", message)
    })?;
    if time.unix_millis().abs_diff(now.unix_millis()) > SKEW_MILLIS.unsigned_abs() {
        let message = "Specified time stamp or date value is expired.";
        return Err(ApiError::new(400, "InvalidTimeStamp.Expired", message));
    }
    Ok(())
}
