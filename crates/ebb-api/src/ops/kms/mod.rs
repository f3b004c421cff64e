//! The key service (Version 2016-01-20; api.md §3.10): symmetric keys, whose material never leaves
//! the server.
//!
//! Deliberately not here: asymmetric keys, imported material, secrets, certificates, instances of
//! the service, key policies.

pub mod alias;
pub mod crypt;
pub mod key;
pub mod tag;
pub mod version;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ebb_control::{ControlError, Kms, Who};
use ebb_domain::{KmsDenied, RegionId};
use serde_json::{Map, Value, json};

use crate::authorize::{Subject, permitted};
use crate::refusals::refused;
use crate::{ApiError, Context, Product, Scalar, integer_in};

/// The answer to a refusal of the key service: no code of it depends on the operation.
fn kms(error: ControlError) -> ApiError {
    refused("KMS")(error)
}

fn invalid(parameter: &'static str, expected: &'static str) -> ApiError {
    kms(ControlError::Denied(KmsDenied::Invalid(parameter, expected).into()))
}

fn unsupported() -> ApiError {
    kms(ControlError::Denied(KmsDenied::Unsupported.into()))
}

/// The key service as the caller's account sees it.
fn service(cx: &Context) -> Kms<'_> {
    cx.control.kms(&cx.account)
}

/// Where a key is made: in the region of the request, else the server's first.
fn region(cx: &Context) -> Result<RegionId, ApiError> {
    let regions = cx.control.regions();
    let is_meant = |id: &RegionId| cx.region.as_deref().is_none_or(|given| id.as_str() == given);
    let found = regions.iter().map(|region| &region.id).find(|id| is_meant(id));
    found.cloned().ok_or_else(|| invalid("RegionId", "a region of this server"))
}

/// The id of the key that is named. One that is named by an alias must be allowed by its id too,
/// which nobody knew before.
fn named(cx: &Context, operation: &str, name: &str) -> Result<String, ApiError> {
    let id = service(cx).resolve(name).map_err(kms)?;
    if id != name {
        may(cx, operation, &id)?;
    }
    Ok(id)
}

/// Refuses what the caller's policies do not allow with a key.
fn may(cx: &Context, operation: &str, key: &str) -> Result<(), ApiError> {
    // Nothing is looked up for the account itself.
    if cx.caller.who == Who::Root {
        return Ok(());
    }
    let region = cx.control.region_of(&cx.account, "key", key);
    let resource = format!("acs:kms:{region}:{}:key/{key}", cx.account);
    let subject = Subject::new(Product::KMS, operation, vec![resource]);
    permitted(&*cx.control, &cx.caller, Product::KMS, &subject, cx.peer)
}

/// A key's ARN.
fn arn(region: &str, account: &str, kind_and_id: &str) -> String {
    format!("acs:kms:{region}:{account}:{kind_and_id}")
}

/// Bytes in base64.
#[derive(Debug, Clone)]
pub struct Base64(Vec<u8>);

impl Scalar for Base64 {
    fn parse(raw: &str, key: &str) -> Result<Self, ApiError> {
        let decoded = BASE64_STANDARD.decode(raw);
        decoded.map(Self).map_err(|_| ApiError::invalid(key, "base64 with padding"))
    }
}

fn base64(bytes: &[u8]) -> Value {
    json!(BASE64_STANDARD.encode(bytes))
}

/// EncryptionContext: a JSON object of texts. What is authenticated is the same object with its
/// names in order, so that the order in which a client wrote them does not matter.
#[derive(Debug, Clone, Default)]
pub struct EncryptionContext(Vec<u8>);

impl Scalar for EncryptionContext {
    fn parse(raw: &str, key: &str) -> Result<Self, ApiError> {
        let malformed = |_| ApiError::invalid(key, "a JSON object whose values are texts");
        let pairs: BTreeMap<String, String> = serde_json::from_str(raw).map_err(malformed)?;
        if pairs.is_empty() {
            return Ok(Self::default());
        }
        Ok(Self(serde_json::to_vec(&pairs).expect("a map of texts is JSON")))
    }
}

impl EncryptionContext {
    fn of(given: Option<Self>) -> Vec<u8> {
        given.unwrap_or_default().0
    }
}

/// PageNumber of the key service.
#[derive(Debug, Clone, Copy)]
pub struct Number(usize);

/// PageSize of the key service: 1 to 100.
#[derive(Debug, Clone, Copy)]
pub struct Size(usize);

impl Scalar for Number {
    const KIND: crate::Kind = crate::Kind::Integer;

    fn parse(raw: &str, key: &str) -> Result<Self, ApiError> {
        integer_in(raw, key, 1..=1_000_000).map(Self)
    }
}

impl Scalar for Size {
    const KIND: crate::Kind = crate::Kind::Integer;

    fn parse(raw: &str, key: &str) -> Result<Self, ApiError> {
        integer_in(raw, key, 1..=100).map(Self)
    }
}

/// A page of all there is; 10 entries where nothing is given.
fn page(
    (list, entry): (&str, &str),
    all: &[Value],
    (number, size): (Option<Number>, Option<Size>),
) -> Value {
    let (number, size) = (number.map_or(1, |one| one.0), size.map_or(10, |one| one.0));
    let shown: Vec<&Value> = all.iter().skip((number - 1) * size).take(size).collect();
    let mut reply = Map::new();
    reply.insert("PageNumber".into(), json!(number));
    reply.insert("PageSize".into(), json!(size));
    reply.insert("TotalCount".into(), json!(all.len()));
    reply.insert(list.into(), json!({ entry: shown }));
    Value::Object(reply)
}
