//! RAM policy documents: read, and asked whether a request is allowed.
//!
//! ```text
//!   Document::parse ───► evaluate(documents, request) ───► ExplicitDeny, Allow, ImplicitDeny
//!   TrustDocument::parse ───► allows(action, principal, context): who may take a role on
//! ```
//! Documents are checked when they are read, so what is kept can be evaluated without an error.
//! Nothing here reads a clock or a file, or knows a service: actions and resources are strings.
//!
//! The facts are from RAM's documentation (the topics "Policy structure and syntax", "Permission
//! policy elements", "Conditional operators", "How RAM evaluates policies", "Limits", "Modify the
//! trust policy of a RAM role"), each where it is used; a module says so where RAM does not tell
//! and something was decided here.

mod address;
mod condition;
mod context;
mod document;
mod error;
mod evaluate;
mod json;
mod operator;
mod pattern;
mod system;
mod time;
mod trust;

pub use context::{Context, Principal};
pub use document::{DOCUMENT_CHARS, Document, SESSION_CHARS};
pub use error::PolicyError;
pub use evaluate::{Request, Verdict, evaluate};
pub use system::{SYSTEM_POLICIES, SystemPolicy, system_policy};
pub use trust::{TRUST_CHARS, TrustDocument};
