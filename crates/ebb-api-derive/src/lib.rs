//! Derives an operation's typed parameters.
//!
//! ```text
//! #[derive(Params)]
//! struct CreateDisk {
//!     region_id: RegionId,                       RegionId, required
//!     #[param(name = "KMSKeyId")]                the name, where it is not the field's
//!     kms_key_id: Option<String>,
//!     #[param(missing = "MissingDiskSize")]      the code, or a `fn(&str) -> ApiError`, for one
//!     size: u32,                                 parameter that is not there
//!     #[param(required)]                         at least one entry of a list
//!     tag: Vec<Tag>,
//!     #[param(flat)]                             SystemDisk.Size, SystemDisk.Category
//!     system_disk: Option<SystemDisk>,
//! }
//! ```
//!
//! What a type takes is not known here: the shapes are impls of `ebb_api::Field`, so that the
//! compiler checks them and this macro stays a listing of fields.

mod expand;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Implements `ebb_api::FromParams` for a struct with named fields; see the crate's page.
#[proc_macro_derive(Params, attributes(param))]
pub fn derive_params(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand::expand(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}
