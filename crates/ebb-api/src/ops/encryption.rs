//! Whether new disks are encrypted where nothing else is asked (api.md §3.6).

use ebb_api_derive::Params;
use ebb_domain::RegionId;
use serde::Serialize;

use super::common::Done;
use crate::refusals::refused;
use crate::{ApiError, Context, Operation, OperationDef};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[
    OperationDef::of::<EnableDiskEncryptionByDefault>(),
    OperationDef::of::<DisableDiskEncryptionByDefault>(),
    OperationDef::of::<DescribeDiskEncryptionByDefaultStatus>(),
    OperationDef::of::<DescribeDiskDefaultKMSKeyId>(),
    OperationDef::of::<ModifyDiskDefaultKMSKeyId>(),
    OperationDef::of::<ResetDiskDefaultKMSKeyId>(),
];

/// Has every new disk of the account in a region encrypted.
#[derive(Debug, Params)]
pub struct EnableDiskEncryptionByDefault {
    /// Where.
    pub region_id: RegionId,
}

impl Operation for EnableDiskEncryptionByDefault {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        cx.control
            .encrypt_by_default(&cx.account, &self.region_id, true)
            .map_err(refused("EnableDiskEncryptionByDefault"))?;
        Ok(Done {})
    }
}

/// Has only those encrypted that ask for it.
#[derive(Debug, Params)]
pub struct DisableDiskEncryptionByDefault {
    /// Where.
    pub region_id: RegionId,
}

impl Operation for DisableDiskEncryptionByDefault {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        cx.control
            .encrypt_by_default(&cx.account, &self.region_id, false)
            .map_err(refused("DisableDiskEncryptionByDefault"))?;
        Ok(Done {})
    }
}

/// Whether new disks are encrypted.
#[derive(Debug, Params)]
pub struct DescribeDiskEncryptionByDefaultStatus {
    /// Where.
    pub region_id: RegionId,
}

/// Whether they are.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeDiskEncryptionByDefaultStatusReply {
    encrypted: bool,
}

impl Operation for DescribeDiskEncryptionByDefaultStatus {
    type Reply = DescribeDiskEncryptionByDefaultStatusReply;

    fn call(self, cx: &Context) -> Result<DescribeDiskEncryptionByDefaultStatusReply, ApiError> {
        let encrypted = cx
            .control
            .is_encrypted_by_default(&cx.account, &self.region_id)
            .map_err(refused("DescribeDiskEncryptionByDefaultStatus"))?;
        Ok(DescribeDiskEncryptionByDefaultStatusReply { encrypted })
    }
}

/// The key that new disks are encrypted by.
#[derive(Debug, Params)]
pub struct DescribeDiskDefaultKMSKeyId {
    /// Where.
    pub region_id: RegionId,
}

/// The service's own key where none was chosen; it is made when it is first asked for.
#[derive(Debug, Serialize)]
pub struct DescribeDiskDefaultKMSKeyIdReply {
    #[serde(rename = "KMSKeyId")]
    kms_key_id: String,
}

impl Operation for DescribeDiskDefaultKMSKeyId {
    type Reply = DescribeDiskDefaultKMSKeyIdReply;

    fn call(self, cx: &Context) -> Result<DescribeDiskDefaultKMSKeyIdReply, ApiError> {
        let key = cx.control.default_key(&cx.account, &self.region_id);
        let kms_key_id = key.map_err(refused("DescribeDiskDefaultKMSKeyId"))?;
        Ok(DescribeDiskDefaultKMSKeyIdReply { kms_key_id })
    }
}

/// Chooses the key that new disks are encrypted by which name none.
#[derive(Debug, Params)]
pub struct ModifyDiskDefaultKMSKeyId {
    /// Where.
    pub region_id: RegionId,
    /// Which.
    #[param(name = "KMSKeyId")]
    pub kms_key_id: String,
}

impl Operation for ModifyDiskDefaultKMSKeyId {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        cx.control
            .choose_default_key(&cx.account, &self.region_id, Some(&self.kms_key_id))
            .map_err(refused("ModifyDiskDefaultKMSKeyId"))?;
        Ok(Done {})
    }
}

/// Goes back to the service's own key.
#[derive(Debug, Params)]
pub struct ResetDiskDefaultKMSKeyId {
    /// Where.
    pub region_id: RegionId,
}

impl Operation for ResetDiskDefaultKMSKeyId {
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        cx.control
            .choose_default_key(&cx.account, &self.region_id, None)
            .map_err(refused("ResetDiskDefaultKMSKeyId"))?;
        Ok(Done {})
    }
}
