//! What the key service refuses: one match from [`KmsDenied`] to the answer, as a code means the
//! same in every operation there. Codes, statuses and messages are the service's own, but for those
//! that its metadata does not have: an alias that is taken, a ciphertext that is none.

use ebb_domain::KmsDenied;

use crate::ApiError;

/// The answer.
pub(super) fn refuse(denied: &KmsDenied) -> ApiError {
    let state = |code, state| {
        let message = format!("The request was rejected because the key state is {state}.");
        ApiError::new(409, code, message)
    };
    match denied {
        KmsDenied::KeyNotFound => {
            ApiError::new(404, "Forbidden.KeyNotFound", "The specified Key is not found.")
        }
        KmsDenied::AliasNotFound => {
            ApiError::new(404, "Forbidden.AliasNotFound", "The specified Alias is not found.")
        }
        KmsDenied::AliasExists => {
            ApiError::new(409, "Rejected.AliasExists", "The specified Alias already exists.")
        }
        KmsDenied::Disabled => state("Rejected.Disabled", "Disabled"),
        KmsDenied::PendingDeletion => state("Rejected.PendingDeletion", "PendingDeletion"),
        KmsDenied::Unavailable => state("Rejected.Unavailable", "Unavailable"),
        KmsDenied::Limit => {
            let message = "The request was rejected because user create resource limit was \
                           exceeded";
            ApiError::new(400, "Rejected.LimitExceeded", message)
        }
        KmsDenied::Invalid(parameter, expected) => {
            let message =
                format!("The specified parameter {parameter} is not valid: expected {expected}.");
            ApiError::new(400, "InvalidParameter", message)
        }
        KmsDenied::Ciphertext => {
            let message = "The specified parameter CiphertextBlob is not valid: it was not made \
                           with this key and EncryptionContext.";
            ApiError::new(400, "InvalidParameter", message)
        }
        KmsDenied::Unsupported => {
            ApiError::new(400, "UnsupportedOperation", "This action is not supported.")
        }
    }
}
