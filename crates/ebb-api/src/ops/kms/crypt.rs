//! Encrypting and decrypting.

use ebb_api_derive::Params;
use ebb_control::{DataKeySize, Encrypted};
use serde_json::{Value, json};

use super::{Base64, EncryptionContext, base64, invalid, kms, may, named, service};
use crate::{ApiError, Context, Operation, OperationDef, Product};

/// The family.
pub const OPERATIONS: &[OperationDef] = &[
    OperationDef::of::<Encrypt>(),
    OperationDef::of::<Decrypt>(),
    OperationDef::of::<ReEncrypt>(),
    OperationDef::of::<GenerateDataKey>(),
    OperationDef::of::<GenerateDataKeyWithoutPlaintext>(),
];

fn shown(made: &Encrypted) -> Value {
    json!({
        "KeyId": made.key,
        "KeyVersionId": made.version,
        "CiphertextBlob": base64(&made.blob),
    })
}

/// Encrypts up to 6 KiB.
#[derive(Debug, Params)]
pub struct Encrypt {
    /// The key's id, its ARN, or an alias.
    pub key_id: String,
    /// What, in base64.
    pub plaintext: Base64,
    /// A JSON object of texts, without which it is not decrypted.
    pub encryption_context: Option<EncryptionContext>,
}

impl Operation for Encrypt {
    const PRODUCT: Product = Product::KMS;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let id = named(cx, "Encrypt", &self.key_id)?;
        let context = EncryptionContext::of(self.encryption_context);
        Ok(shown(&service(cx).encrypt(&id, &context, &self.plaintext.0).map_err(kms)?))
    }
}

/// Decrypts. The ciphertext says with which key.
#[derive(Debug, Params)]
pub struct Decrypt {
    /// What, in base64.
    pub ciphertext_blob: Base64,
    /// As it was encrypted with.
    pub encryption_context: Option<EncryptionContext>,
}

impl Operation for Decrypt {
    const PRODUCT: Product = Product::KMS;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let (service, blob) = (service(cx), &self.ciphertext_blob.0);
        may(cx, "Decrypt", &service.key_of(blob).map_err(kms)?)?;
        let context = EncryptionContext::of(self.encryption_context);
        let opened = service.decrypt(&context, blob).map_err(kms)?;
        Ok(json!({
            "KeyId": opened.key,
            "KeyVersionId": opened.version,
            "Plaintext": base64(&opened.blob),
        }))
    }
}

/// Decrypts and encrypts with another key; the plaintext stays here.
#[derive(Debug, Params)]
pub struct ReEncrypt {
    /// What, in base64.
    pub ciphertext_blob: Base64,
    /// As it was encrypted with.
    pub source_encryption_context: Option<EncryptionContext>,
    /// The new key's id, its ARN, or an alias.
    pub destination_key_id: String,
    /// A JSON object of texts, without which it is not decrypted again.
    pub destination_encryption_context: Option<EncryptionContext>,
}

impl Operation for ReEncrypt {
    const PRODUCT: Product = Product::KMS;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let (service, blob) = (service(cx), &self.ciphertext_blob.0);
        may(cx, "ReEncrypt", &service.key_of(blob).map_err(kms)?)?;
        let id = named(cx, "ReEncrypt", &self.destination_key_id)?;
        let from = EncryptionContext::of(self.source_encryption_context);
        let opened = service.decrypt(&from, blob).map_err(kms)?;
        let to = EncryptionContext::of(self.destination_encryption_context);
        Ok(shown(&service.encrypt(&id, &to, &opened.blob).map_err(kms)?))
    }
}

/// How long a data key is: as KeySpec or NumberOfBytes says, 32 bytes where neither does.
fn size(spec: Option<&str>, bytes: Option<u32>) -> Result<DataKeySize, ApiError> {
    let bytes = match (spec, bytes) {
        (_, Some(bytes)) if bytes > 0 => bytes,
        (None | Some("AES_256"), _) => 32,
        (Some("AES_128"), _) => 16,
        (Some(_), _) => return Err(invalid("KeySpec", "AES_256 or AES_128")),
    };
    DataKeySize::of(bytes).map_err(kms)
}

/// Makes a data key: random bytes, and the same encrypted.
#[derive(Debug, Params)]
pub struct GenerateDataKey {
    /// The key's id, its ARN, or an alias.
    pub key_id: String,
    /// `AES_256` or `AES_128`.
    pub key_spec: Option<String>,
    /// 1 to 1024, in the place of KeySpec.
    pub number_of_bytes: Option<u32>,
    /// A JSON object of texts, without which it is not decrypted.
    pub encryption_context: Option<EncryptionContext>,
}

impl Operation for GenerateDataKey {
    const PRODUCT: Product = Product::KMS;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let size = size(self.key_spec.as_deref(), self.number_of_bytes)?;
        let id = named(cx, "GenerateDataKey", &self.key_id)?;
        let context = EncryptionContext::of(self.encryption_context);
        let (plain, made) = service(cx).data_key(&id, &context, size).map_err(kms)?;
        let mut reply = shown(&made);
        reply["Plaintext"] = base64(&plain);
        Ok(reply)
    }
}

/// Makes a data key, of which only the encrypted bytes are told.
#[derive(Debug, Params)]
pub struct GenerateDataKeyWithoutPlaintext {
    /// The key's id, its ARN, or an alias.
    pub key_id: String,
    /// `AES_256` or `AES_128`.
    pub key_spec: Option<String>,
    /// 1 to 1024, in the place of KeySpec.
    pub number_of_bytes: Option<u32>,
    /// A JSON object of texts, without which it is not decrypted.
    pub encryption_context: Option<EncryptionContext>,
}

impl Operation for GenerateDataKeyWithoutPlaintext {
    const PRODUCT: Product = Product::KMS;
    type Reply = Value;

    fn call(self, cx: &Context) -> Result<Value, ApiError> {
        let size = size(self.key_spec.as_deref(), self.number_of_bytes)?;
        let id = named(cx, "GenerateDataKeyWithoutPlaintext", &self.key_id)?;
        let context = EncryptionContext::of(self.encryption_context);
        let (_plain, made) = service(cx).data_key(&id, &context, size).map_err(kms)?;
        Ok(shown(&made))
    }
}
