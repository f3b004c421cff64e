//! Users, groups, roles, and the policies that they have.
//!
//! All of an account are few, and each is changed in the transaction that reads it, so no row has a
//! version of its own.

mod identity;
mod policy;

use ebb_domain::{Identity, PolicyName, Timestamp};

/// Someone, and since when they are where they were looked for: in a group, or under a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentitySince {
    /// Who.
    pub identity: Identity,
    /// Since when.
    pub since: Timestamp,
}

/// A policy, and since when it is attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicySince {
    /// Which.
    pub policy: PolicyName,
    /// Since when.
    pub since: Timestamp,
}
