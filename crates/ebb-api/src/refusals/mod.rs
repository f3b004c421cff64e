//! From a rule's refusal to what the client reads.
//!
//! Two steps, and each can be proofread: [`code_of`] is one exhaustive match from
//! [`Denied`] to the code, and the tables hold (operation, code) → (status, message), because
//! IncorrectInstanceStatus is 400 in AttachDisk and 403 in ResetDisk. A test compares the tables
//! with the service's own catalogue of errors.

mod code;
mod disk;
mod disk_key;
mod image;
mod instance;
mod kms;
mod network;
mod other;
mod ram;
#[cfg(test)]
mod reachable;
mod snapshot;
#[cfg(test)]
mod tests;

use ebb_control::{ControlError, Outage};
use ebb_domain::Denied;

use crate::ApiError;
use code::code_of;

/// What one operation refuses.
#[derive(Debug, Clone, Copy)]
struct Refusals {
    operation: &'static str,
    rows: &'static [Refusal],
}

/// One refusal.
#[derive(Debug, Clone, Copy)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// The code.
    pub code: &'static str,
    /// The message.
    pub message: &'static str,
}

const fn of(operation: &'static str, rows: &'static [Refusal]) -> Refusals {
    Refusals { operation, rows }
}

const fn row(status: u16, code: &'static str, message: &'static str) -> Refusal {
    Refusal { status, code, message }
}

/// Codes that mean the same in every operation (api.md §1.8), used where its own table has none.
#[rustfmt::skip]
const COMMON: &[Refusal] = &[
    row(400, "DryRunOperation", "Request validation has been passed with DryRun flag set."),
    row(400, "InvalidRegionId.MalFormed", "The specified RegionId is not valid."),
    row(404, "InvalidRegionId.NotFound", "The specified RegionId does not exist."),
    row(400, "IdempotentParameterMismatch", "The specified clientToken is used."),
    row(403, "IdempotentProcessing", "The previous idempotent request(s) is still processing."),
    row(403, "Operation.Conflict", "The operation may conflicts with others."),
    row(400, "InvalidParameter",
        "The specified parameter Tag.N is not valid: up to 20, each key once, 1 to 128 long."),
    row(400, "InvalidNextToken", "The specified NextToken is not one that this server gave."),
];

/// What any operation answers to a fault of ours.
pub const INTERNAL_ERROR: Refusal =
    row(500, "InternalError", "The request processing has failed due to some unknown error.");

/// What an operation refuses, beyond [`COMMON`].
#[must_use]
pub fn refusals(operation: &str) -> &'static [Refusal] {
    let tables =
        [disk::TABLE, snapshot::TABLE, image::TABLE, instance::TABLE, network::TABLE, other::TABLE];
    let mut all = tables.into_iter().flatten();
    all.find(|refusals| refusals.operation == operation).map_or(&[], |refusals| refusals.rows)
}

/// What the client of `operation` is told.
pub(crate) fn refused(operation: &'static str) -> impl Fn(ControlError) -> ApiError {
    move |error| match error {
        ControlError::Denied(denied) => deny(operation, &denied),
        failure => failed(failure),
    }
}

/// The answer to a failure, which no client can do anything about but try again.
pub(crate) fn failed(failure: ControlError) -> ApiError {
    match failure.outage() {
        Some(Outage::Unchanged) => ApiError::unavailable(failure),
        Some(Outage::OutcomeUnknown) => ApiError::outcome_unknown(failure),
        None => ApiError::internal(failure),
    }
}

/// The answer to a refusal.
pub(crate) fn deny(operation: &'static str, denied: &Denied) -> ApiError {
    match denied {
        Denied::Missing(parameter) => return ApiError::missing(parameter),
        Denied::Ram(denied) => return ram::refuse(denied),
        Denied::Kms(denied) => return kms::refuse(denied),
        _ => {}
    }
    let code = code_of(operation, denied);
    let row = refusals(operation).iter().chain(COMMON).find(|row| row.code == code);
    match row {
        Some(row) => ApiError::new(row.status, row.code, row.message),
        // A test tries every refusal that an operation can meet, so this is a rule that was added
        // without its row: a fault of ours, and logged as one.
        None => ApiError::internal(format_args!("{operation} has no row for {denied:?}: {code}")),
    }
}
