//! Signatures: both schemes, for checking and for signing.
//!
//! ```text
//! Authorization: ACS3-… → v3    parameter Signature → v1    neither → v1, which says what is
//! missing
//! ```
//!
//! The header `x-acs-action` tells nothing: clients of the older scheme send it too.

pub(crate) mod v1;
pub(crate) mod v3;

use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::wire::Wire;
use crate::{ApiError, Params};

/// What a request says about itself; nothing in it is to be believed before [`Proof::check`].
pub(crate) struct Claim {
    pub(crate) access_key_id: String,
    pub(crate) security_token: Option<String>,
    pub(crate) timestamp: String,
    pub(crate) nonce: String,
    pub(crate) version: Option<String>,
    pub(crate) action: Option<String>,
    pub(crate) proof: Proof,
}

/// A signature and what it was made over.
pub(crate) enum Proof {
    V1(v1::Proof),
    V3(v3::Proof),
}

impl Claim {
    /// Reads what the scheme needs.
    ///
    /// # Errors
    /// 400 `Missing…`, `IncompleteSignature`, `InvalidSignatureMethod`.
    pub(crate) fn read(wire: &Wire, params: &Params) -> Result<Self, ApiError> {
        match wire.authorization() {
            Some(authorization) => v3::claim(wire, authorization),
            None => v1::claim(wire, params),
        }
    }
}

impl Proof {
    /// # Errors
    /// 400 `SignatureDoesNotMatch`, with what should have been signed.
    pub(crate) fn check(&self, secret: &str) -> Result<(), ApiError> {
        match self {
            Self::V1(proof) => proof.check(secret),
            Self::V3(proof) => proof.check(secret),
        }
    }
}

/// The gateway's error for a system parameter or header that is not there.
fn missing(code: &'static str, name: &str) -> ApiError {
    ApiError::new(400, code, format!("{name} is mandatory for this action."))
}

fn mismatch(message: String) -> ApiError {
    ApiError::new(400, "SignatureDoesNotMatch", message)
}

fn unsupported(method: &str) -> ApiError {
    let message = format!("The signature method is not supported: {method}");
    ApiError::new(400, "InvalidSignatureMethod", message)
}

/// Takes the same time wherever the two first differ.
fn same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string");
        text
    })
}

/// Lower-case hex of the SHA-256.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}
