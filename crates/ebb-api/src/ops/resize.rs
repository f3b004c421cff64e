//! ResizeDisk (api.md §3.3).

use ebb_api_derive::Params;
use ebb_control::ResizeDisk as Request;
use ebb_domain::{DiskId, ResizeType};

use super::common::{Done, Token, client_token, scope};
use crate::refusals::{deny, refused};
use crate::{ApiError, Context, Operation, OperationDef};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[OperationDef::of::<ResizeDisk>()];

/// Makes a disk larger. DescribeDisks and whoever connects have the new size at once.
#[derive(Debug, Params)]
pub struct ResizeDisk {
    /// Which.
    pub disk_id: DiskId,
    /// In GiB; more than it has, and no more than its category comes in.
    pub new_size: i64,
    /// `offline`, or `online` while its instance runs.
    #[param(name = "Type")]
    pub kind: Option<String>,
    /// The same request again does nothing more.
    pub client_token: Option<Token>,
}

impl Operation for ResizeDisk {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let kind = ResizeType::parse(self.kind.as_deref())
            .map_err(|denied| deny("ResizeDisk", &denied))?;
        let request = Request {
            disk: self.disk_id,
            size_gib: self.new_size,
            kind,
            token: client_token(cx, "ResizeDisk", self.client_token.map(|token| token.0)),
        };
        cx.control.resize_disk(&scope(cx), &request).map_err(refused("ResizeDisk"))?;
        Ok(Done {})
    }
}
