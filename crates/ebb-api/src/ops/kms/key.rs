//! Keys.

use ebb_api_derive::Params;
use ebb_control::{KmsKeyShown, NewKey};
use ebb_domain::{Key, Timestamp};
use serde_json::{Value, json};

use super::super::common::Done;
use super::tag::tags;
use super::{Number, Size, arn, invalid, kms, named, page, region, service, unsupported};
use crate::time::seconds;
use crate::{ApiError, Context, Operation, OperationDef, Product};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[
    OperationDef::of::<CreateKey>(),
    OperationDef::of::<DescribeKey>(),
    OperationDef::of::<ListKeys>(),
    OperationDef::of::<EnableKey>(),
    OperationDef::of::<DisableKey>(),
    OperationDef::of::<ScheduleKeyDeletion>(),
    OperationDef::of::<CancelKeyDeletion>(),
];

fn time(time: Option<Timestamp>) -> Value {
    json!(time.map(seconds).unwrap_or_default())
}

fn key_arn(key: &Key) -> String {
    arn(&key.region, key.account.as_str(), &format!("key/{}", key.id))
}

fn metadata(shown: &KmsKeyShown) -> Value {
    let key = &shown.key;
    let interval = key.rotation_days.map(|days| format!("{}s", u64::from(days) * 86400));
    json!({
        "KeyId": key.id,
        "Arn": key_arn(key),
        "KeyState": key.state.as_str(),
        "KeySpec": "Aliyun_AES_256",
        "KeyUsage": "ENCRYPT/DECRYPT",
        "Origin": "Aliyun_KMS",
        "ProtectionLevel": "SOFTWARE",
        "Creator": key.creator,
        "Description": key.description,
        "CreationDate": seconds(key.created_at),
        "DeleteDate": time(key.delete_at),
        "MaterialExpireTime": "",
        "PrimaryKeyVersion": shown.primary,
        "LastRotationDate": seconds(key.rotated_at),
        "NextRotationDate": time(key.next_rotation()),
        "RotationInterval": interval.unwrap_or_default(),
        "AutomaticRotation": if key.rotation_days.is_some() { "Enabled" } else { "Disabled" },
        "DKMSInstanceId": "",
    })
}

/// Makes a key.
#[derive(Debug, Params)]
pub struct CreateKey {
    /// What for.
    pub description: Option<String>,
    /// `ENCRYPT/DECRYPT`.
    pub key_usage: Option<String>,
    /// `Aliyun_KMS`.
    pub origin: Option<String>,
    /// `SOFTWARE`.
    pub protection_level: Option<String>,
    /// `Aliyun_AES_256`.
    pub key_spec: Option<String>,
    /// Whether versions are made by themselves.
    pub enable_automatic_rotation: Option<bool>,
    /// How often: `7d` to `730d`.
    pub rotation_interval: Option<String>,
    /// A JSON list of `TagKey` and `TagValue`.
    pub tags: Option<String>,
}

impl Operation for CreateKey {
    const PRODUCT: Product = Product::KMS;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let is = |given: &Option<String>, only: &str| given.as_deref().is_none_or(|v| v == only);
        if !is(&self.key_usage, "ENCRYPT/DECRYPT")
            || !is(&self.origin, "Aliyun_KMS")
            || !is(&self.protection_level, "SOFTWARE")
            || !is(&self.key_spec, "Aliyun_AES_256")
        {
            return Err(unsupported());
        }
        let rotation = match (self.enable_automatic_rotation, self.rotation_interval) {
            (Some(true), None) => {
                return Err(invalid("RotationInterval", "one, as rotation is automatic"));
            }
            (Some(true), interval) => interval,
            _ => None,
        };
        let new = NewKey {
            description: self.description.unwrap_or_default(),
            rotation,
            tags: self.tags.as_deref().map(tags).transpose()?.unwrap_or_default(),
        };
        let made = service(cx).create(&new, &region(cx)?).map_err(kms)?;
        Ok(json!({ "KeyMetadata": metadata(&made) }))
    }
}

/// Tells about a key.
#[derive(Debug, Params)]
pub struct DescribeKey {
    /// Its id, its ARN, or an alias.
    pub key_id: String,
}

impl Operation for DescribeKey {
    const PRODUCT: Product = Product::KMS;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let id = named(cx, "DescribeKey", &self.key_id)?;
        let shown = service(cx).key(&id).map_err(kms)?;
        let mut metadata = metadata(&shown);
        metadata["DeletionProtection"] = json!("Disabled");
        metadata["DeletionProtectionDescription"] = json!("");
        Ok(json!({ "KeyMetadata": metadata }))
    }
}

/// Lists keys, the oldest first.
#[derive(Debug, Params)]
pub struct ListKeys {
    /// From 1.
    pub page_number: Option<Number>,
    /// 1 to 100; 10 where nothing is given.
    pub page_size: Option<Size>,
}

impl Operation for ListKeys {
    const PRODUCT: Product = Product::KMS;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let keys = service(cx).keys().map_err(kms)?;
        let show = |key: &Key| json!({ "KeyId": key.id, "KeyArn": key_arn(key) });
        let all: Vec<Value> = keys.iter().map(show).collect();
        Ok(page(("Keys", "Key"), &all, (self.page_number, self.page_size)))
    }
}

/// Lets a key be used again.
#[derive(Debug, Params)]
pub struct EnableKey {
    /// Its id, its ARN, or an alias.
    pub key_id: String,
}

impl Operation for EnableKey {
    const PRODUCT: Product = Product::KMS;
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let id = named(cx, "EnableKey", &self.key_id)?;
        service(cx).switch(&id, true).map_err(kms)?;
        Ok(Done {})
    }
}

/// Has a key be used no more.
#[derive(Debug, Params)]
pub struct DisableKey {
    /// Its id, its ARN, or an alias.
    pub key_id: String,
}

impl Operation for DisableKey {
    const PRODUCT: Product = Product::KMS;
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let id = named(cx, "DisableKey", &self.key_id)?;
        service(cx).switch(&id, false).map_err(kms)?;
        Ok(Done {})
    }
}

/// Has a key go after some days. It is used no more meanwhile.
#[derive(Debug, Params)]
pub struct ScheduleKeyDeletion {
    /// Its id, its ARN, or an alias.
    pub key_id: String,
    /// 7 to 366.
    pub pending_window_in_days: u32,
}

impl Operation for ScheduleKeyDeletion {
    const PRODUCT: Product = Product::KMS;
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let id = named(cx, "ScheduleKeyDeletion", &self.key_id)?;
        service(cx).schedule_deletion(&id, self.pending_window_in_days).map_err(kms)?;
        Ok(Done {})
    }
}

/// Has a key stay that was to go, and be used again.
#[derive(Debug, Params)]
pub struct CancelKeyDeletion {
    /// Its id, its ARN, or an alias.
    pub key_id: String,
}

impl Operation for CancelKeyDeletion {
    const PRODUCT: Product = Product::KMS;
    type Reply = Done;

    fn call(self, cx: &Context) -> Result<Done, ApiError> {
        let id = named(cx, "CancelKeyDeletion", &self.key_id)?;
        service(cx).cancel_deletion(&id).map_err(kms)?;
        Ok(Done {})
    }
}
