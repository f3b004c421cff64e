//! What a condition may ask of a request, and who makes it.
//!
//! ```text
//!   acs:SourceIp          an address
//!   acs:CurrentTime       a time, of whole seconds as RAM writes it (2012-11-11T23:59:59Z)
//!   acs:SecureTransport   true or false
//!   acs:MFAPresent        true or false
//!   acs:PrincipalARN      acs:ram::1234:user/alice, acs:ram::1234:role/reader
//!   others                what a service adds: sts:ExternalId, acs:ResourceTag/team
//! ```
//! RAM does not say whether the case of a key counts, and writes some in two ways itself. Here it
//! does not, up to a `/`: a `Deny` that never applies because of a letter is the worse mistake.
//! What follows the `/` is the name of a tag, whose case counts.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

/// Where a request comes from, when, and from whom.
#[derive(Clone, Debug, Default)]
pub struct Context<'a> {
    /// `acs:SourceIp`, if it is known.
    pub source_ip: Option<IpAddr>,
    /// `acs:CurrentTime`, in milliseconds since 1970.
    pub now_unix_millis: i64,
    /// `acs:SecureTransport`: whether it came by TLS.
    pub secure_transport: bool,
    /// `acs:MFAPresent`. A request that is signed with an access key has no such key in RAM, not
    /// even `false`: that is `None`.
    pub mfa: Option<bool>,
    /// `acs:PrincipalARN`, if it is a user or a role.
    pub principal: Option<&'a Principal>,
    /// Keys of a service and their values. They take no place of those above.
    pub more: &'a [(String, String)],
}

/// Who may be trusted or makes a request. The account itself is none of them: policies do not
/// bind it, and it may take no role on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Principal {
    /// A user of an account.
    User {
        /// The account's id.
        account: String,
        /// The user's name.
        name: String,
    },
    /// Somebody who has taken a role on.
    Role {
        /// The account's id.
        account: String,
        /// The role's name.
        name: String,
    },
    /// A service, such as `ecs.aliyuncs.com`.
    Service(String),
    /// An identity provider, such as `acs:ram::1234:saml-provider/office`.
    Federated(String),
}

impl fmt::Display for Principal {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User { account, name } => write!(to, "acs:ram::{account}:user/{name}"),
            Self::Role { account, name } => write!(to, "acs:ram::{account}:role/{name}"),
            Self::Service(name) | Self::Federated(name) => to.write_str(name),
        }
    }
}

/// What a request has for a key.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    Text(Cow<'a, str>),
    Time(i64),
    Flag(bool),
    Address(IpAddr),
}

impl Found<'_> {
    /// As operators of strings see it; a time has many forms, so they do not see it.
    pub(crate) fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Flag(true) => Some(Cow::Borrowed("true")),
            Self::Flag(false) => Some(Cow::Borrowed("false")),
            Self::Address(address) => Some(Cow::Owned(address.to_string())),
            Self::Time(_) => None,
        }
    }
}

impl Context<'_> {
    pub(crate) fn find(&self, key: &str) -> Option<Found<'_>> {
        let is = |known| key.eq_ignore_ascii_case(known);
        if is("acs:SourceIp") {
            return self.source_ip.map(|address| Found::Address(address.to_canonical()));
        }
        if is("acs:CurrentTime") {
            return Some(Found::Time(self.now_unix_millis.div_euclid(1000).saturating_mul(1000)));
        }
        if is("acs:SecureTransport") {
            return Some(Found::Flag(self.secure_transport));
        }
        if is("acs:MFAPresent") {
            return self.mfa.map(Found::Flag);
        }
        if is("acs:PrincipalARN") {
            return match self.principal? {
                Principal::Service(_) => None,
                principal => Some(Found::Text(Cow::Owned(principal.to_string()))),
            };
        }
        let (_, value) = self.more.iter().find(|(known, _)| same_key(known, key))?;
        Some(Found::Text(Cow::Borrowed(value)))
    }
}

fn same_key(one: &str, other: &str) -> bool {
    match (one.split_once('/'), other.split_once('/')) {
        (Some((one, one_tag)), Some((other, other_tag))) => {
            one.eq_ignore_ascii_case(other) && one_tag == other_tag
        }
        (None, None) => one.eq_ignore_ascii_case(other),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_whatever_their_case_but_for_tags() {
        let more = [("acs:ResourceTag/Team".to_owned(), "dev".to_owned())];
        let context = Context { more: &more, ..Context::default() };
        assert!(context.find("ACS:securetransport").is_some());
        assert!(context.find("acs:resourcetag/Team").is_some());
        assert!(context.find("acs:ResourceTag/team").is_none());
        assert!(context.find("acs:ResourceTag").is_none() && context.find("x/Team").is_none());
    }

    #[test]
    fn what_is_not_known_is_not_there() {
        let context = Context::default();
        for key in ["acs:SourceIp", "acs:MFAPresent", "acs:PrincipalARN", "sts:ExternalId"] {
            assert!(context.find(key).is_none(), "{key}");
        }
    }

    #[test]
    fn the_time_has_no_fraction_and_never_overflows() {
        for (now, whole) in [(1_999, 1_000), (-1, -1_000), (i64::MAX, i64::MAX / 1000 * 1000)] {
            let context = Context { now_unix_millis: now, ..Context::default() };
            assert!(
                matches!(context.find("acs:CurrentTime"), Some(Found::Time(at)) if at == whole)
            );
        }
        let earliest = Context { now_unix_millis: i64::MIN, ..Context::default() };
        assert!(earliest.find("acs:CurrentTime").is_some());
    }

    #[test]
    fn more_takes_no_place_of_what_the_server_knows() {
        let more = [("acs:MFAPresent".to_owned(), "true".to_owned())];
        let context = Context { more: &more, ..Context::default() };
        assert!(context.find("acs:MFAPresent").is_none());
    }
}
