//! The one error type of the API: what the five fields of an error answer are made from.

use std::borrow::Cow;
use std::fmt::Display;

/// A refusal as the client sees it. The pipeline adds RequestId, HostId and Recommend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{status} {code}: {message}")]
pub struct ApiError {
    /// The HTTP status. SDKs retry from 500 on and take 404 for "not there".
    pub status: u16,
    /// The ECS code, such as `InvalidDiskId.NotFound`.
    pub code: Cow<'static, str>,
    /// One sentence for people.
    pub message: Cow<'static, str>,
    /// What the log says and the client does not see.
    detail: Option<String>,
}

impl ApiError {
    /// A refusal.
    pub fn new(
        status: u16,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, code: code.into(), message: message.into(), detail: None }
    }

    /// A mandatory parameter that is absent or empty: 400 `MissingParameter`.
    #[must_use]
    pub fn missing(key: &str) -> Self {
        Self::missing_as("MissingParameter", key)
    }

    /// As [`ApiError::missing`], for the operations that have a code of their own for it.
    #[must_use]
    pub fn missing_as(code: &'static str, key: &str) -> Self {
        Self::new(
            400,
            code,
            format!(
                "The input parameter \"{key}\" that is mandatory for processing this request is \
                 not supplied."
            ),
        )
    }

    /// A value that its type does not take: 400 `InvalidParameter`. `expected` completes the
    /// sentence "Expected …".
    #[must_use]
    pub fn invalid(key: &str, expected: &str) -> Self {
        Self::new(
            400,
            "InvalidParameter",
            format!("The specified parameter \"{key}\" is not valid. Expected {expected}."),
        )
    }

    /// A fault of ours: 500 `InternalError`. `detail` goes to the log, not to the client.
    #[must_use]
    pub fn internal(detail: impl Display) -> Self {
        let message = "The request processing has failed due to some unknown error.";
        Self { detail: Some(detail.to_string()), ..Self::new(500, "InternalError", message) }
    }

    /// Something that the server needs is away for the moment: 503 `ServiceUnavailable`. `detail`
    /// goes to the log, not to the client.
    #[must_use]
    pub fn unavailable(detail: impl Display) -> Self {
        let message = "The request has failed due to a temporary failure of the server.";
        Self { detail: Some(detail.to_string()), ..Self::new(503, "ServiceUnavailable", message) }
    }

    /// As [`ApiError::unavailable`], where the change may have been made all the same.
    #[must_use]
    pub fn outcome_unknown(detail: impl Display) -> Self {
        let message = "The request has failed due to a temporary failure of the server. Whether \
                       it was done is not known: look before asking again.";
        Self { message: message.into(), ..Self::unavailable(detail) }
    }

    /// What the log says beyond the message.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }
}
