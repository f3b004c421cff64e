//! Whose request it is.

use ebb_control::{AccessKey, Control};
use ebb_domain::{AccountId, Timestamp};

use crate::nonce::{self, Nonces};
use crate::signature::Claim;
use crate::{ApiError, time};

/// How far a client's clock may be off, either way.
pub(crate) const SKEW_MILLIS: i64 = 15 * 60 * 1000;

/// What the gateway itself asks of the system behind it. Neither call may block.
pub trait Authority: Send + Sync + 'static {
    /// What time it is.
    fn now(&self) -> Timestamp;

    /// The key of that id.
    fn access_key(&self, id: &str) -> Option<AccessKey>;
}

impl Authority for Control {
    fn now(&self) -> Timestamp {
        self.now()
    }

    fn access_key(&self, id: &str) -> Option<AccessKey> {
        self.access_key(id)
    }
}

/// Key, time, nonce, signature: the first that fails is the answer.
///
/// # Errors
/// 404 `InvalidAccessKeyId.NotFound`; 400 for everything else.
pub(crate) fn authenticate(
    claim: &Claim,
    authority: &impl Authority,
    nonces: &Nonces,
) -> Result<AccountId, ApiError> {
    let id = claim.access_key_id.as_str();
    let key = authority.access_key(id).ok_or_else(|| {
        ApiError::new(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
    })?;
    if !key.active {
        let message = "Specified access key is disabled.";
        return Err(ApiError::new(400, "InvalidAccessKeyId.Inactive", message));
    }
    if claim.security_token.is_some() {
        // There are no temporary keys here, so no token belongs to any key.
        let message = "Specified SecurityToken does not belong to the access key.";
        let code = "InvalidSecurityToken.MismatchWithAccessKey";
        return Err(ApiError::new(400, code, message));
    }
    let now = authority.now();
    check_time(&claim.timestamp, now)?;
    if nonces.is_used(id, &claim.nonce, now) {
        return Err(nonce::used());
    }
    claim.proof.check(key.secret.expose())?;
    // Only now, so that a request with a bad signature uses up no one's nonce; and again whether
    // it was used, because another may have come in between.
    nonces.use_once(id, &claim.nonce, now)?;
    Ok(key.account)
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
