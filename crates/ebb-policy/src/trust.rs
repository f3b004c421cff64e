//! Trust policies: who may take a role on.
//!
//! ```text
//!   {"Version": "1",
//!    "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
//!                   "Principal": {"RAM": ["acs:ram::1234:root"]},
//!                   "Condition": {...}}]}                       may be left out
//! ```
//! "Modify the trust policy of a RAM role" has three kinds of principal:
//!
//! ```text
//!   RAM         acs:ram::1234:root           each user and role of the account, not the account
//!               acs:ram::1234:user/alice
//!               acs:ram::1234:role/reader
//!               *                            users and roles of every account
//!   Service     ecs.aliyuncs.com
//!   Federated   acs:ram::1234:saml-provider/office, or oidc-provider
//! ```
//! Trust is one half: a user or role must be allowed the action by its own policies as well, which
//! the caller asks of [`evaluate`](crate::evaluate). RAM writes no wildcards into principals but
//! that `*`, so others are refused. Its documentation does not say how long such a policy may be,
//! only that there is a limit; 2048 is what it has had for policies of all kinds.

use crate::condition::Condition;
use crate::context::{Context, Principal};
use crate::document::{Effect, statements};
use crate::error::PolicyError;
use crate::json::{Json, Node};
use crate::pattern::{self, Case};

/// How long a trust policy may be.
pub const TRUST_CHARS: usize = 2048;

/// A trust policy that was checked.
#[derive(Clone, Debug, PartialEq)]
pub struct TrustDocument {
    statements: Vec<Statement>,
}

#[derive(Clone, Debug, PartialEq)]
struct Statement {
    effect: Effect,
    actions: Vec<String>,
    trusted: Vec<Trusted>,
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Trusted {
    /// Users and roles of every account.
    Anyone,
    /// Users and roles of one.
    Account(String),
    One(Principal),
}

/// Reads a value of one of the members of `Principal`.
type Reader = fn(&Node<'_>) -> Result<Trusted, PolicyError>;

impl TrustDocument {
    /// Reads a trust policy.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let json = Json::parse(text, TRUST_CHARS)?;
        let statements = statements(&json.root())?;
        let statements = statements.iter().map(Statement::parse).collect::<Result<_, _>>()?;
        Ok(Self { statements })
    }

    /// Whether it lets somebody do this, which is `sts:AssumeRole` or one of its kin. The context
    /// is what conditions are asked about; its principal need not be there.
    #[must_use]
    pub fn allows(&self, action: &str, principal: &Principal, context: &Context<'_>) -> bool {
        let about: Vec<Effect> = self
            .statements
            .iter()
            .filter(|statement| statement.is_about(action, principal, context))
            .map(|statement| statement.effect)
            .collect();
        about.contains(&Effect::Allow) && !about.contains(&Effect::Deny)
    }
}

impl Statement {
    fn parse(node: &Node<'_>) -> Result<Self, PolicyError> {
        let [effect, action, principal, condition] =
            node.only(["Effect", "Action", "Principal", "Condition"])?;
        let effect = Effect::parse(&node.required("Effect", effect)?)?;
        let actions = node.required("Action", action)?.one_or_more()?;
        let actions = actions.iter().map(pattern::action).collect::<Result<_, _>>()?;
        let principal = node.required("Principal", principal)?;
        let [ram, service, federated] = principal.only(["RAM", "Service", "Federated"])?;
        let mut trusted = Vec::new();
        let readers: [(_, Reader); 3] =
            [(ram, Trusted::ram), (service, Trusted::service), (federated, Trusted::federated)];
        for (member, read) in readers {
            let Some(member) = member else { continue };
            for value in member.one_or_more()? {
                trusted.push(read(&value)?);
            }
        }
        let conditions = Condition::parse(condition)?;
        Ok(Self { effect, actions, trusted, conditions })
    }

    fn is_about(&self, action: &str, principal: &Principal, context: &Context<'_>) -> bool {
        self.actions.iter().any(|pattern| pattern::matches(pattern, action, Case::Ignored))
            && self.trusted.iter().any(|trusted| trusted.is(principal))
            && self.conditions.iter().all(|condition| condition.holds(context))
    }
}

impl Trusted {
    fn ram(node: &Node<'_>) -> Result<Self, PolicyError> {
        let text = pattern::printable(node)?;
        if text == "*" {
            return Ok(Self::Anyone);
        }
        let refuse = || node.refuse("must be `*` or like `acs:ram::1234:root` or `...:user/alice`");
        let (account, rest) = account(text).ok_or_else(refuse)?;
        if rest == "root" {
            return Ok(Self::Account(account));
        }
        let principal = match rest.split_once('/').filter(|(_, name)| is_name(name)) {
            Some(("user", name)) => Principal::User { account, name: name.to_owned() },
            Some(("role", name)) => Principal::Role { account, name: name.to_owned() },
            _ => return Err(refuse()),
        };
        Ok(Self::One(principal))
    }

    fn service(node: &Node<'_>) -> Result<Self, PolicyError> {
        let text = pattern::printable(node)?;
        if !is_name(text) {
            return Err(node.refuse("must be like `ecs.aliyuncs.com`"));
        }
        Ok(Self::One(Principal::Service(text.to_owned())))
    }

    fn federated(node: &Node<'_>) -> Result<Self, PolicyError> {
        let text = pattern::printable(node)?;
        let provider = account(text).and_then(|(_, rest)| rest.split_once('/'));
        match provider.filter(|(_, name)| is_name(name)) {
            Some(("saml-provider" | "oidc-provider", _)) => {
                Ok(Self::One(Principal::Federated(text.to_owned())))
            }
            _ => Err(node.refuse("must be like `acs:ram::1234:saml-provider/office`")),
        }
    }

    fn is(&self, principal: &Principal) -> bool {
        match (self, principal) {
            (Self::One(trusted), _) => trusted == principal,
            (_, Principal::Service(_) | Principal::Federated(_)) => false,
            (Self::Anyone, _) => true,
            (
                Self::Account(id),
                Principal::User { account, .. } | Principal::Role { account, .. },
            ) => id == account,
        }
    }
}

/// The account of `acs:ram::1234:...`, and what follows.
fn account(text: &str) -> Option<(String, &str)> {
    let (account, rest) = text.strip_prefix("acs:ram::")?.split_once(':')?;
    let id = !account.is_empty() && account.bytes().all(|digit| digit.is_ascii_digit());
    id.then(|| (account.to_owned(), rest))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(['*', '?', ':', '/'])
}
