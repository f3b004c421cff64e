//! Policies of permissions: who they are attached to may or may not do what to what.
//!
//! ```text
//!   {"Version": "1",
//!    "Statement": [{"Effect": "Allow" | "Deny",
//!                   "Action" | "NotAction": "ecs:Describe*" | ["ecs:Describe*", ...],
//!                   "Resource" | "NotResource": "*" | ["acs:ecs:*:1234:disk/*", ...],
//!                   "Condition": {...}}]}                       may be left out
//! ```
//! That is the grammar of "Policy structure and syntax"; `NotResource` is in its older versions
//! and nowhere said to be gone. What the grammar does not have is refused, and so is a member that
//! is there twice: what somebody wrote and nothing heeds would be worse than an error.

use crate::condition::Condition;
use crate::context::Context;
use crate::error::PolicyError;
use crate::json::{Json, Node};
use crate::pattern::{self, Case};

/// How long a policy may be ("Limits").
pub const DOCUMENT_CHARS: usize = 6144;
/// How long the policy may be that narrows a session down (AssumeRole's `Policy`).
pub const SESSION_CHARS: usize = 2048;

/// A policy that was checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    pub(crate) statements: Vec<Statement>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Statement {
    pub(crate) effect: Effect,
    actions: Listed,
    resources: Listed,
    conditions: Vec<Condition>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Allow,
    Deny,
}

/// Patterns, and whether what they describe is meant or all else.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Listed {
    patterns: Vec<String>,
    all_else: bool,
}

impl Document {
    /// Reads a policy.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        Self::parse_within(text, DOCUMENT_CHARS)
    }

    /// Reads the policy of a session, which must be shorter.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse_for_session(text: &str) -> Result<Self, PolicyError> {
        Self::parse_within(text, SESSION_CHARS)
    }

    fn parse_within(text: &str, limit: usize) -> Result<Self, PolicyError> {
        let json = Json::parse(text, limit)?;
        let statements = statements(&json.root())?;
        let statements = statements.iter().map(Statement::parse).collect::<Result<_, _>>()?;
        Ok(Self { statements })
    }
}

/// The statements of a document, whichever kind it is.
pub(crate) fn statements<'a>(root: &Node<'a>) -> Result<Vec<Node<'a>>, PolicyError> {
    let [version, statement] = root.only(["Version", "Statement"])?;
    let version = root.required("Version", version)?;
    if version.text()? != "1" {
        return Err(version.refuse("must be \"1\""));
    }
    root.required("Statement", statement)?.list()
}

impl Statement {
    fn parse(node: &Node<'_>) -> Result<Self, PolicyError> {
        let [effect, action, not_action, resource, not_resource, condition] =
            node.only(["Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"])?;
        Ok(Self {
            effect: Effect::parse(&node.required("Effect", effect)?)?,
            actions: Listed::parse(node, "Action", action, not_action, pattern::action)?,
            resources: Listed::parse(node, "Resource", resource, not_resource, pattern::resource)?,
            conditions: Condition::parse(condition)?,
        })
    }

    /// Whether it is about such a request, whatever the resource.
    pub(crate) fn is_about(&self, action: &str, context: &Context<'_>) -> bool {
        self.actions.has(action, Case::Ignored)
            && self.conditions.iter().all(|condition| condition.holds(context))
    }

    pub(crate) fn covers(&self, resource: &str) -> bool {
        self.resources.has(resource, Case::Counts)
    }
}

impl Effect {
    pub(crate) fn parse(node: &Node<'_>) -> Result<Self, PolicyError> {
        match node.text()? {
            "Allow" => Ok(Self::Allow),
            "Deny" => Ok(Self::Deny),
            _ => Err(node.refuse("must be \"Allow\" or \"Deny\"")),
        }
    }
}

impl Listed {
    fn parse(
        statement: &Node<'_>,
        name: &str,
        these: Option<Node<'_>>,
        all_but: Option<Node<'_>>,
        one: fn(&Node<'_>) -> Result<String, PolicyError>,
    ) -> Result<Self, PolicyError> {
        let (node, all_else) = match (these, all_but) {
            (Some(node), None) => (node, false),
            (None, Some(node)) => (node, true),
            (None, None) => return Err(statement.refuse(format!("lacks {name} or Not{name}"))),
            (Some(_), Some(_)) => {
                return Err(statement.refuse(format!("has both {name} and Not{name}")));
            }
        };
        let patterns = node.one_or_more()?.iter().map(one).collect::<Result<_, _>>()?;
        Ok(Self { patterns, all_else })
    }

    fn has(&self, text: &str, case: Case) -> bool {
        let described = self.patterns.iter().any(|pattern| pattern::matches(pattern, text, case));
        described != self.all_else
    }
}
