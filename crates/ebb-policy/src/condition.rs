//! The condition of a statement.
//!
//! ```text
//!   "Condition": {"IpAddress": {"acs:SourceIp": ["192.0.2.0/24", "203.0.113.2"]},
//!                 "Bool": {"acs:SecureTransport": "true"}}
//! ```
//! All operators and all their keys must hold; the values of a key are alternatives ("Permission
//! policy elements"). Of a key that a request lacks RAM's documentation says nothing, but that
//! there is no operator for it. Nothing is equal to it here, like it, before it or within it; so
//! the negations, which are described as no more than that, hold. They are written into `Deny`
//! mostly, and there it is the careful side: who does not tell where they come from is not let in.

use crate::context::Context;
use crate::error::PolicyError;
use crate::json::Node;
use crate::operator::{Operand, Operator};

/// One operator and one key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition {
    operator: Operator,
    key: String,
    operands: Vec<Operand>,
}

impl Condition {
    /// Those of a `Condition`, none if there is no such member.
    pub(crate) fn parse(node: Option<Node<'_>>) -> Result<Vec<Self>, PolicyError> {
        let mut conditions = Vec::new();
        let Some(node) = node else { return Ok(conditions) };
        for (name, keys) in node.members()? {
            let operator = Operator::named(name)
                .ok_or_else(|| keys.refuse("is not an operator of conditions"))?;
            for (key, values) in keys.members()? {
                if !key.contains(':') {
                    return Err(values.refuse("must be a key like `acs:SourceIp`"));
                }
                let values = values.one_or_more()?;
                let operands = values.iter().map(|value| {
                    let text = value.text()?;
                    operator.operand(text).map_err(|what| value.refuse(what))
                });
                let operands = operands.collect::<Result<_, _>>()?;
                conditions.push(Self { operator, key: key.to_owned(), operands });
            }
        }
        Ok(conditions)
    }

    pub(crate) fn holds(&self, context: &Context<'_>) -> bool {
        self.operator.holds(&self.operands, context.find(&self.key).as_ref())
    }
}
