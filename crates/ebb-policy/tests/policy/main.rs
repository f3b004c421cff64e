//! Documents from the outside: what is read and what is refused, and what they say of requests.

#![allow(clippy::unwrap_used, reason = "tests")]

mod evaluation;
mod grammar;
mod naive;
mod same;
mod system;
mod trust;

use ebb_policy::{Context, Document, Request, Verdict, evaluate};

/// A document of these statements.
fn document(statements: &str) -> Document {
    let text = format!(r#"{{"Version":"1","Statement":[{statements}]}}"#);
    Document::parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// What a document says of an action with these resources, and nothing known of who asks.
fn asked(document: &Document, action: &str, resources: &[&str]) -> Verdict {
    asked_in(document, action, resources, Context::default())
}

fn asked_in(
    document: &Document,
    action: &str,
    resources: &[&str],
    context: Context<'_>,
) -> Verdict {
    let resources: Vec<String> = resources.iter().copied().map(str::to_owned).collect();
    evaluate([document], &Request { action, resources: &resources, context })
}
