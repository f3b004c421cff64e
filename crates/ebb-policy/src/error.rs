//! What is wrong with a document, and where.

use std::fmt;

/// A document was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// Such as `Statement[0].Effect`; empty where it is the document as a whole.
    at: String,
    what: String,
}

impl PolicyError {
    pub(crate) fn new(at: impl Into<String>, what: impl Into<String>) -> Self {
        Self { at: at.into(), what: what.into() }
    }

    /// Where in the document: `Statement[0].Effect`, or nothing if it is all of it.
    #[must_use]
    pub fn at(&self) -> &str {
        &self.at
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = if self.at.is_empty() { "the document" } else { &self.at };
        write!(to, "{at}: {}", self.what)
    }
}

impl std::error::Error for PolicyError {}
