//! RAM: users, groups, roles, policies and access keys (Version 2015-05-01).
//!
//! The shapes are those of the official SDK's models. A list is in the order of its names and goes
//! on behind its Marker, which is the last name of the page.
//!
//! Deliberately not here: logins, MFA devices, e-mail addresses and phone numbers, which belong to
//! a console, and tags.

pub mod attachment;
pub mod group;
pub mod key;
pub mod policy;
pub mod role;
pub mod user;

use ebb_domain::{RamDenied, RamField, Timestamp};
use serde_json::{Value, json};

use crate::refusals::refused;
use crate::time::seconds;
use crate::{ApiError, Scalar, integer_in};

/// The answer to a refusal of RAM: no code of it depends on the operation.
fn ram(error: ebb_control::ControlError) -> ApiError {
    refused("RAM")(error)
}

fn malformed(field: RamField) -> ApiError {
    ram(ebb_control::ControlError::Denied(RamDenied::Malformed(field).into()))
}

fn date(time: Timestamp) -> Value {
    json!(seconds(time))
}

/// What the reply tells that is about something new: not when it was changed.
fn created(mut shown: Value) -> Value {
    shown.as_object_mut().expect("what is shown is an object").remove("UpdateDate");
    shown
}

/// How many entries a page has: 100 where nothing is given.
#[derive(Debug, Clone, Copy)]
pub struct MaxItems(usize);

impl Default for MaxItems {
    fn default() -> Self {
        Self(100)
    }
}

impl Scalar for MaxItems {
    const KIND: crate::Kind = crate::Kind::Integer;

    fn parse(raw: &str, key: &str) -> Result<Self, ApiError> {
        integer_in(raw, key, 1..=1000).map(Self).map_err(|_| malformed(RamField::MaxItems))
    }
}

/// A page of a list: `{"Users": {"User": […]}, "IsTruncated": …, "Marker": …}`. One entry more than
/// the page has tells that there are more.
fn page<T>(
    (list, entry): (&str, &str),
    mut found: Vec<T>,
    most: MaxItems,
    name: impl Fn(&T) -> String,
    show: impl Fn(&T) -> Value,
) -> Value {
    let more = found.len() > most.0;
    found.truncate(most.0);
    let marker = found.last().filter(|_| more).map(name);
    let shown: Vec<Value> = found.iter().map(show).collect();
    let mut reply = json!({ "IsTruncated": more, list: { entry: shown } });
    if let Some(marker) = marker {
        reply["Marker"] = json!(marker);
    }
    reply
}

impl MaxItems {
    /// What is asked of the records: one more than is shown.
    fn and_one(self) -> usize {
        self.0 + 1
    }
}
