//! The older scheme: a MAC over the sorted parameters, in the parameter `Signature`.
//!
//! ```text
//! StringToSign = METHOD & %2F & percent(name=percent(value)&…)   of query and form, but Signature
//! Signature    = base64(HMAC-SHA1(secret + "&", StringToSign))
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;

use super::{Claim, mismatch, missing, same, unsupported};
use crate::percent::encode;
use crate::wire::Wire;
use crate::{ApiError, Params};

/// The MAC's hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    HmacSha1,
    HmacSha256,
}

pub(crate) struct Proof {
    method: Method,
    string_to_sign: String,
    signature: String,
}

impl Proof {
    pub(super) fn check(&self, secret: &str) -> Result<(), ApiError> {
        if same(&sign(self.method, secret, &self.string_to_sign), &self.signature) {
            return Ok(());
        }
        // One SDK compares what follows the first colon with its own string, to tell a wrong
        // secret from a mangled request.
        Err(mismatch(format!(
            "Specified signature is not matched with our calculation. server string to sign is:{}",
            self.string_to_sign
        )))
    }
}

pub(super) fn claim(wire: &Wire, params: &Params) -> Result<Claim, ApiError> {
    let text = |name| params.get(name).filter(|value| !value.is_empty()).map(str::to_owned);
    let need = |name, code| text(name).ok_or_else(|| missing(code, name));
    let access_key_id = need("AccessKeyId", "MissingAccessKeyId")?;
    let signature = need("Signature", "MissingSignature")?;
    let method = need("SignatureMethod", "MissingSignatureMethod")?;
    let version = need("SignatureVersion", "MissingSignatureVersion")?;
    let timestamp = need("Timestamp", "MissingTimestamp")?;
    let nonce = need("SignatureNonce", "MissingSignatureNonce")?;
    if let Some(kind) = text("SignatureType") {
        return Err(unsupported(&kind));
    }
    if version != "1.0" {
        return Err(unsupported(&format!("SignatureVersion {version}")));
    }
    let method = match method.as_str() {
        "HMAC-SHA1" => Method::HmacSha1,
        "HMAC-SHA256" => Method::HmacSha256,
        other => return Err(unsupported(other)),
    };
    let signed = wire.pairs().filter(|(name, _)| *name != "Signature");
    Ok(Claim {
        access_key_id,
        security_token: text("SecurityToken"),
        timestamp,
        nonce,
        version: text("Version"),
        action: text("Action"),
        proof: super::Proof::V1(Proof {
            method,
            string_to_sign: string_to_sign(wire.method.as_str(), signed),
            signature,
        }),
    })
}

/// `pairs` are decoded, in any order, without `Signature`.
pub(crate) fn string_to_sign<'a>(
    method: &str,
    pairs: impl Iterator<Item = (&'a str, &'a str)>,
) -> String {
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort_unstable();
    let canonical: Vec<_> =
        pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    format!("{method}&%2F&{}", encode(&canonical.join("&")))
}

/// The value of `Signature`.
pub(crate) fn sign(method: Method, secret: &str, string_to_sign: &str) -> String {
    let key = format!("{secret}&");
    match method {
        Method::HmacSha1 => mac::<Hmac<Sha1>>(&key, string_to_sign),
        Method::HmacSha256 => mac::<Hmac<Sha256>>(&key, string_to_sign),
    }
}

fn mac<M: Mac + KeyInit>(key: &str, text: &str) -> String {
    let mac = <M as KeyInit>::new_from_slice(key.as_bytes()).expect("HMAC takes any key");
    STANDARD.encode(mac.chain_update(text).finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Alibaba Cloud's documentation.
    const REGIONS: &[(&str, &str)] = &[
        ("Timestamp", "2016-02-23T12:46:24Z"),
        ("Format", "XML"),
        ("AccessKeyId", "testid"),
        ("Action", "DescribeRegions"),
        ("SignatureMethod", "HMAC-SHA1"),
        ("SignatureNonce", "3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf"),
        ("Version", "2014-05-26"),
        ("SignatureVersion", "1.0"),
    ];

    fn signature(method: &str, more: &[(&str, &str)]) -> String {
        let text = string_to_sign(method, REGIONS.iter().chain(more).copied());
        sign(Method::HmacSha1, "testsecret", &text)
    }

    #[test]
    fn the_documented_example() {
        assert_eq!(signature("GET", &[]), "OLeaidS1JvxuMvnyHOwuJ+uX5qY=");
        let canonical = "AccessKeyId%3Dtestid%26Action%3DDescribeRegions%26Format%3DXML\
                         %26SignatureMethod%3DHMAC-SHA1%26SignatureNonce%3D3ee8c1b8-83d3-44af-a94f\
                         -4e0ad82fd6cf%26SignatureVersion%3D1.0%26Timestamp%3D2016-02-23T12%253A46\
                         %253A24Z%26Version%3D2014-05-26";
        assert_eq!(string_to_sign("GET", REGIONS.iter().copied()), format!("GET&%2F&{canonical}"));
    }

    #[test]
    fn reserved_characters_and_empty_values_are_signed() {
        let more = [("Description", "a b*c~d/é+&="), ("SignatureType", "")];
        assert_eq!(signature("POST", &more), "58pJFOR4EUP+IGFWQSNdBf1Em2Q=");
    }
}
