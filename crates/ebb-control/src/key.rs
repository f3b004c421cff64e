//! Access keys.

use std::fmt;

use ebb_domain::AccountId;

/// A secret: it never shows itself in a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps it.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for computing a signature.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What an access key id stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// What its holder signs with.
    pub secret: Secret,
    /// Whose it is.
    pub account: AccountId,
    /// Whether it may be used.
    pub active: bool,
}
