//! Client tokens: the same request again is the same resource, not a second one (api.md §1.9).

use ebb_domain::{AccountId, Denied};
use ebb_store::{TokenRow, Tx};

use crate::{Control, ControlError};

/// Seconds that a token is remembered.
const KEPT_SECONDS: i64 = 7 * 24 * 3600;

/// A token, and what it was given with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientToken {
    /// The operation: a token of one is unknown to the other.
    pub action: &'static str,
    /// The token, up to 64 characters.
    pub token: String,
    /// A digest of the request's other parameters.
    pub fingerprint: [u8; 32],
}

impl Control {
    /// What the first call with this token made, if there was one.
    pub(crate) fn replay(
        &self,
        tx: &Tx<'_>,
        account: &AccountId,
        token: Option<&ClientToken>,
    ) -> Result<Option<Vec<String>>, ControlError> {
        let Some(token) = token else { return Ok(None) };
        match tx.token(account, token.action, &token.token)? {
            None => Ok(None),
            Some(row) if row.fingerprint != token.fingerprint => Err(Denied::TokenMismatch.into()),
            Some(row) => Ok(Some(row.result)),
        }
    }

    /// Remembers what a call with this token makes, in the transaction that makes it.
    pub(crate) fn remember(
        &self,
        tx: &Tx<'_>,
        account: &AccountId,
        token: Option<&ClientToken>,
        result: Vec<String>,
    ) -> Result<(), ControlError> {
        let Some(token) = token else { return Ok(()) };
        let at = self.now();
        tx.purge_tokens(at.plus_seconds(-KEPT_SECONDS))?;
        let row = TokenRow { fingerprint: token.fingerprint, result, at };
        Ok(tx.put_token(account, token.action, &token.token, &row)?)
    }

    /// Forgets a token whose call came to nothing.
    pub(crate) fn forget(
        &self,
        tx: &Tx<'_>,
        account: &AccountId,
        token: Option<&ClientToken>,
    ) -> Result<(), ControlError> {
        let Some(token) = token else { return Ok(()) };
        Ok(tx.remove_token(account, token.action, &token.token)?)
    }
}
