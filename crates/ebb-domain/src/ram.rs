//! Who there is within an account: users, groups and roles, and the policies attached to them.
//!
//! ```text
//!   user ──in──► group ──has──┐
//!     └────────────has────────┼──► policy ──default──► version ──► document
//!   role ──────────has────────┘
//!     └── trust: who may take the role on
//! ```
//! What a document says is not known here (`ebb-policy` reads them). Names and limits are those of
//! the RAM documentation.

use crate::{AccountId, Timestamp};

/// Access keys that a user may have.
pub const USER_KEYS_MAX: usize = 2;
/// Versions that a policy may have.
pub const POLICY_VERSIONS_MAX: usize = 5;
/// Policies that may be attached to a user, a group or a role.
pub const ATTACHMENTS_MAX: usize = 20;
/// Users, groups, roles or policies of one kind in an account.
pub const IDENTITIES_MAX: u64 = 1000;
/// The most bytes of a policy document.
pub const DOCUMENT_BYTES_MAX: usize = 6144;
/// How long a role may be taken on, in seconds: at least, and at most.
pub const SESSION_SECONDS: std::ops::RangeInclusive<u32> = 900..=43200;
/// How long a role may be taken on where it does not say.
pub const SESSION_SECONDS_DEFAULT: u32 = 3600;

/// What an identity is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IdentityKind {
    /// One who has access keys.
    User,
    /// Users who have what it has.
    Group,
    /// What is taken on for a while.
    Role,
}

impl IdentityKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::User, Self::Group, Self::Role];

    /// As records and errors name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
            Self::Role => "Role",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A user, a group or a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// 18 digits, never given again.
    pub id: String,
    /// Whose it is.
    pub account: AccountId,
    /// What it is.
    pub kind: IdentityKind,
    /// Its name: one of its kind in an account. It may change.
    pub name: String,
    /// What people call a user.
    pub display_name: String,
    /// Comments, of a role its description.
    pub comments: String,
    /// Who may take a role on: a trust document.
    pub trust: String,
    /// How long a role may be taken on, in seconds.
    pub max_session_seconds: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Identity {
    /// Its name for policies, as the RAM documentation writes it.
    #[must_use]
    pub fn arn(&self) -> String {
        format!("acs:ram::{}:{}/{}", self.account, self.kind.as_str().to_lowercase(), self.name)
    }
}

/// Where a policy comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PolicyKind {
    /// The server's own, the same in every account.
    System,
    /// Made in an account.
    Custom,
}

impl PolicyKind {
    /// As the API names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "System",
            Self::Custom => "Custom",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::System, Self::Custom].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Which policy.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyName {
    /// Where it comes from.
    pub kind: PolicyKind,
    /// Its name: one of its kind in an account.
    pub name: String,
}

/// A policy of an account, without its documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Whose it is.
    pub account: AccountId,
    /// Its name.
    pub name: String,
    /// What for.
    pub description: String,
    /// The version that counts.
    pub default_version: u32,
    /// The last number that a version was given.
    pub newest_version: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A version of a policy: it never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyVersion {
    /// Its number, from 1.
    pub version: u32,
    /// What it says.
    pub document: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What RAM looks for or finds in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RamThing {
    /// A user, a group or a role.
    Identity(IdentityKind),
    /// A policy.
    Policy,
    /// A version of a policy.
    PolicyVersion,
    /// An access key of a user.
    AccessKey,
    /// A user's being in a group.
    Member,
    /// A policy's being attached.
    Attachment(IdentityKind),
}

/// What a name or a text is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RamField {
    /// A user's, a group's or a role's name.
    Name(IdentityKind),
    /// A policy's name.
    PolicyName,
    /// A user's DisplayName.
    DisplayName,
    /// Comments, or a description.
    Comments,
    /// MaxSessionDuration.
    MaxSession,
    /// PolicyType.
    PolicyType,
    /// An access key's Status.
    KeyStatus,
    /// A version's id.
    VersionId,
    /// Where a list goes on.
    Marker,
    /// How many entries a list has.
    MaxItems,
    /// RoleArn.
    RoleArn,
    /// RoleSessionName.
    SessionName,
    /// DurationSeconds.
    Duration,
}

/// Why RAM or STS refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RamDenied {
    /// There is none.
    NotFound(RamThing),
    /// There is one.
    Exists(RamThing),
    /// Something of the second sort is still there.
    InUse(&'static str, &'static str),
    /// There are as many as there may be.
    Limit(RamThing),
    /// Not well formed.
    Malformed(RamField),
    /// A document that is none, and why.
    Document(String),
    /// The version that counts is not deleted.
    DefaultVersion,
    /// A session for longer than the role allows.
    TooLong,
    /// The role does not trust who asks, or they may not.
    MayNotAssume,
    /// The root user takes on no role.
    RootAssumes,
}

/// Whether a name is one: letters, digits and some signs, 1 to so many.
fn is_name(name: &str, signs: &str, most: usize) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || signs.contains(c);
    (1..=most).contains(&name.len()) && name.chars().all(allowed)
}

/// Whether a user, a group or a role may have this name.
///
/// # Errors
/// [`RamDenied::Malformed`].
pub fn check_identity_name(kind: IdentityKind, name: &str) -> Result<(), RamDenied> {
    let signs = match kind {
        IdentityKind::Role => "-",
        IdentityKind::User | IdentityKind::Group => ".-_",
    };
    let holds = is_name(name, signs, 64);
    if holds { Ok(()) } else { Err(RamDenied::Malformed(RamField::Name(kind))) }
}

/// Whether a policy may have this name.
///
/// # Errors
/// [`RamDenied::Malformed`].
pub fn check_policy_name(name: &str) -> Result<(), RamDenied> {
    if is_name(name, "-", 128) { Ok(()) } else { Err(RamDenied::Malformed(RamField::PolicyName)) }
}

/// Whether the texts of an identity are not too long.
///
/// # Errors
/// [`RamDenied::Malformed`].
pub fn check_identity_texts(identity: &Identity) -> Result<(), RamDenied> {
    let most = match identity.kind {
        IdentityKind::Role => 1024,
        IdentityKind::User | IdentityKind::Group => 128,
    };
    let display = identity.display_name.chars().count() <= 128;
    display.then_some(()).ok_or(RamDenied::Malformed(RamField::DisplayName))?;
    let comments = identity.comments.chars().count() <= most;
    comments.then_some(()).ok_or(RamDenied::Malformed(RamField::Comments))?;
    let session = SESSION_SECONDS.contains(&identity.max_session_seconds);
    session.then_some(()).ok_or(RamDenied::Malformed(RamField::MaxSession))
}

/// Whether a role's session may have this name: 2 to 64 characters.
///
/// # Errors
/// [`RamDenied::Malformed`].
pub fn check_session_name(name: &str) -> Result<(), RamDenied> {
    let holds = name.len() >= 2 && is_name(name, ".@-_", 64);
    if holds { Ok(()) } else { Err(RamDenied::Malformed(RamField::SessionName)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_letters_digits_and_some_signs() {
        use IdentityKind::{Group, Role, User};
        for (kind, name) in [(User, "a.b-c_1"), (Group, "ops"), (Role, "backup-1")] {
            assert_eq!(check_identity_name(kind, name), Ok(()), "{name}");
        }
        let long = "a".repeat(65);
        for (kind, name) in
            [(User, ""), (User, "a b"), (User, "é"), (Role, "a_b"), (Group, "a/b"), (User, &long)]
        {
            let denied = Err(RamDenied::Malformed(RamField::Name(kind)));
            assert_eq!(check_identity_name(kind, name), denied, "{name:?}");
        }
        assert_eq!(check_policy_name("disk-reset"), Ok(()));
        assert!(check_policy_name("disk reset").is_err());
        assert_eq!(check_session_name("ci@host"), Ok(()));
        assert!(check_session_name("c").is_err());
    }
}
