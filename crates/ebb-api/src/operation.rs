//! An operation: one ECS API.
//!
//! The request struct *is* the operation. Adding one is a struct, a reply, an `impl` and a line in
//! its family's `OPERATIONS` table; routing, the reference page and `ebb call` read that table.
//! There is no registry macro and no match on names: an explicit table greps and sorts, and fails
//! at compile time.

use std::fmt;
use std::sync::Arc;

use ebb_control::{Caller, Control};
use ebb_domain::AccountId;
use serde::Serialize;
use serde_json::Value;

use crate::authorize::Subject;
use crate::peer::Peer;
use crate::{ApiError, FromParams, ParamDef, Params};

/// A family of APIs and the version that names it on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Product {
    /// As error answers name it.
    pub name: &'static str,
    /// The `Version` parameter or `x-acs-version` header.
    pub version: &'static str,
    /// As RAM's actions and resources name it.
    pub code: &'static str,
}

impl Product {
    /// Elastic Compute Service.
    pub const ECS: Self = Self { name: "Ecs", version: "2014-05-26", code: "ecs" };
    /// Which host answers for which product.
    pub const LOCATION: Self = Self { name: "Location", version: "2015-06-12", code: "location" };
    /// Resource Access Management.
    pub const RAM: Self = Self { name: "Ram", version: "2015-05-01", code: "ram" };
    /// Key Management Service.
    pub const KMS: Self = Self { name: "Kms", version: "2016-01-20", code: "kms" };
    /// Security Token Service.
    pub const STS: Self = Self { name: "Sts", version: "2015-04-01", code: "sts" };
}

/// One API. `C` is what stands behind the API; only this crate's tests put something else there.
pub trait Operation<C = Control>: FromParams + Send + 'static {
    /// Where the API belongs.
    const PRODUCT: Product = Product::ECS;
    /// A plain value whose keys are the wire's. RequestId is added to it.
    type Reply: Serialize;

    /// Does it. Runs on a thread that may block.
    ///
    /// # Errors
    /// What the client is told.
    fn call(self, cx: &Context<C>) -> Result<Self::Reply, ApiError>;
}

/// Who calls, and what the call is known by.
pub struct Context<C = Control> {
    /// The use cases.
    pub control: Arc<C>,
    /// The account that the request is about.
    pub account: AccountId,
    /// Who within it signed the request.
    pub caller: Caller,
    /// The other end of the connection.
    pub(crate) peer: Peer,
    /// The id of that key.
    pub access_key_id: String,
    /// The id in the answer and in the log.
    pub request_id: RequestId,
    /// The host that the request was sent to, as its head names it.
    pub host: String,
    /// The `RegionId` parameter as sent, where it was sent and not empty.
    pub region: Option<String>,
    /// What RAM was asked; nothing before it was.
    pub(crate) subject: Subject,
    fingerprint: [u8; 32],
}

/// Who signed a request, with what, and from where.
pub(crate) struct Signed {
    pub(crate) caller: Caller,
    pub(crate) access_key_id: String,
    pub(crate) peer: Peer,
}

impl<C> Context<C> {
    pub(crate) fn new(
        control: Arc<C>,
        Signed { caller, access_key_id, peer }: Signed,
        request_id: RequestId,
        host: &str,
        params: &Params,
    ) -> Self {
        Self {
            control,
            account: caller.account.clone(),
            caller,
            peer,
            access_key_id,
            request_id,
            host: host.to_owned(),
            region: params.get("RegionId").filter(|id| !id.is_empty()).map(str::to_owned),
            subject: Subject::default(),
            fingerprint: params.fingerprint(),
        }
    }

    /// SHA-256 of the sorted parameters without ClientToken: tells whether a request that comes
    /// again with the same token asks for the same.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }
}

/// A request's id: an upper-case UUID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// A new one, at random.
    #[must_use]
    pub fn random() -> Self {
        Self(crate::uuid::random())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

type Invoke<C> = fn(&Params, &Context<C>) -> Result<Value, ApiError>;

/// One line of an `OPERATIONS` table.
pub struct OperationDef<C = Control> {
    /// The `Action`.
    pub name: &'static str,
    /// Where it belongs.
    pub product: Product,
    /// The request struct's doc comment.
    pub doc: &'static str,
    /// What it takes.
    pub params: &'static [ParamDef],
    invoke: Invoke<C>,
    /// Reads the parameters alone.
    #[cfg(fuzzing)]
    read: fn(&Params) -> Result<(), ApiError>,
}

impl<C> OperationDef<C> {
    /// The line for `O`.
    #[must_use]
    pub const fn of<O: Operation<C>>() -> Self {
        Self {
            name: O::NAME,
            product: O::PRODUCT,
            doc: O::DOC,
            params: O::PARAMS,
            invoke: invoke::<C, O>,
            #[cfg(fuzzing)]
            read: |params| O::from_params(params).map(drop),
        }
    }

    /// Reads the parameters alone.
    #[cfg(fuzzing)]
    pub(crate) fn read(&self, params: &Params) -> Result<(), ApiError> {
        (self.read)(params)
    }

    /// Reads the parameters and calls the operation. Blocks.
    pub(crate) fn invoke(&self, params: &Params, cx: &Context<C>) -> Result<Value, ApiError> {
        (self.invoke)(params, cx)
    }
}

fn invoke<C, O: Operation<C>>(params: &Params, cx: &Context<C>) -> Result<Value, ApiError> {
    let reply = O::from_params(params)?.call(cx)?;
    serde_json::to_value(reply)
        .map_err(|error| ApiError::internal(format_args!("{} reply: {error}", O::NAME)))
}
