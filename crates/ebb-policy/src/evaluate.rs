//! Whether a request is allowed ("How RAM evaluates policies").
//!
//! A `Deny` wins over every `Allow`, and what nothing allows is denied. Of a request with several
//! resources each must be allowed, be it by another statement, and none denied.

use crate::context::Context;
use crate::document::{Document, Effect};

/// What somebody wants to do.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Such as `ecs:ResetDisk`.
    pub action: &'a str,
    /// Such as `acs:ecs:cn-hangzhou:1234:disk/d-1`. Where there is none the request is for `*`:
    /// an operation that knows no resources is allowed by statements about all of them only.
    pub resources: &'a [String],
    /// From where, when, and from whom.
    pub context: Context<'a>,
}

/// What policies say of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A statement denies it, or one of its resources.
    ExplicitDeny,
    /// It is allowed, and so are all its resources.
    Allow,
    /// Nothing allows it, or not all of its resources.
    ImplicitDeny,
}

/// What all the policies together say of a request.
pub fn evaluate<'a>(
    documents: impl IntoIterator<Item = &'a Document>,
    request: &Request<'_>,
) -> Verdict {
    let all = ["*".to_owned()];
    let resources = if request.resources.is_empty() { &all } else { request.resources };
    let mut allowed = vec![false; resources.len()];
    let statements = documents.into_iter().flat_map(|document| &document.statements);
    for statement in statements.filter(|of| of.is_about(request.action, &request.context)) {
        for (resource, allowed) in resources.iter().zip(&mut allowed) {
            match statement.effect {
                Effect::Deny if statement.covers(resource) => return Verdict::ExplicitDeny,
                Effect::Allow if !*allowed => *allowed = statement.covers(resource),
                _ => {}
            }
        }
    }
    if allowed.contains(&false) { Verdict::ImplicitDeny } else { Verdict::Allow }
}
