//! What becomes of a disk's key, as most operations of ECS tell it: rows for their tables. Which of
//! them an operation has is the protocol's own, with two statuses for the same here and there.

use super::{Refusal, row};

const NO_SERVICE_CODE: &str = "InvalidParameter.KmsNotEnabled";
const NO_SERVICE_TEXT: &str = "Failed to perform this operation because KMS is not activated.";
const NEEDS_SERVICE_TEXT: &str = "The specified operation need enable KMS.";
const NOT_FOUND_CODE: &str = "InvalidParameter.KMSKeyId.NotFound";
const NOT_FOUND_TEXT: &str = "The specified KMSKeyId does not exist.";
const UNAUTHORIZED_CODE: &str = "InvalidParameter.KMSKeyId.CMKUnauthorized";
const FORBIDDEN_TEXT: &str = "This operation for kmsKeyId is forbidden by KMS. If you need \
                              further assistance, you can contact the KMS Technical Support.";

/// The engine has no encryption, which is what a client can tell of it.
pub(super) const NO_SERVICE: Refusal = row(400, NO_SERVICE_CODE, NO_SERVICE_TEXT);
/// The same, in other words.
pub(super) const NEEDS_SERVICE: Refusal = row(403, NO_SERVICE_CODE, NEEDS_SERVICE_TEXT);
pub(super) const NEEDS_SERVICE_400: Refusal = row(400, NO_SERVICE_CODE, NEEDS_SERVICE_TEXT);

pub(super) const NOT_FOUND: Refusal = row(404, NOT_FOUND_CODE, NOT_FOUND_TEXT);
pub(super) const NOT_FOUND_403: Refusal = row(403, NOT_FOUND_CODE, NOT_FOUND_TEXT);

pub(super) const NOT_ENABLED: Refusal =
    row(403, "InvalidParameter.KMSKeyId.CMKNotEnabled", "The CMK needs to be enabled.");

/// The key lacks ECS's tag.
pub(super) const NOT_TAGGED: Refusal =
    row(403, UNAUTHORIZED_CODE, "The CMK needs to be added ECS tag.");
/// The same, in other words.
pub(super) const FORBIDDEN: Refusal = row(403, UNAUTHORIZED_CODE, FORBIDDEN_TEXT);
pub(super) const FORBIDDEN_400: Refusal = row(400, UNAUTHORIZED_CODE, FORBIDDEN_TEXT);

/// The operator lets the service use no keys of the account.
pub(super) const SERVICE_REVOKED: Refusal = row(
    403,
    "InvalidParameter.KMSKeyId.KMSUnauthorized",
    "ECS service have no right to access your KMS.",
);
