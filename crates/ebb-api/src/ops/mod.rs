//! The operations, one file a family.

pub mod sts;

use crate::OperationDef;

/// Every operation the server answers.
pub static FAMILIES: &[&[OperationDef]] = &[sts::OPERATIONS];
