//! The newer scheme: ACS3-HMAC-SHA256, a MAC over the query, some headers and the body's hash.
//!
//! ```text
//! Authorization: ACS3-HMAC-SHA256 Credential=ID,SignedHeaders=host;x-acs-…,Signature=HEX
//! CanonicalRequest = METHOD \n / \n query \n (name:value \n)… \n SignedHeaders \n SHA-256(body)
//! StringToSign     = ACS3-HMAC-SHA256 \n SHA-256(CanonicalRequest)
//! ```
//!
//! Which headers are signed is the client's choice and differs from SDK to SDK, so its list is used
//! as it is, but [`REQUIRED`] must be on it, and `content-type` where a body's meaning hangs on it:
//! a header that is acted on and not signed could be changed on the way.

use hmac::{Hmac, KeyInit, Mac};
use hyper::HeaderMap;
use sha2::Sha256;

use super::{Claim, hex, mismatch, missing, same, sha256_hex, unsupported};
use crate::ApiError;
use crate::percent::encode;
use crate::wire::Wire;

pub(crate) const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// What every SDK signs and this server acts on. In the order in which they must be listed.
pub(crate) const REQUIRED: [&str; 6] = [
    "host",
    "x-acs-action",
    "x-acs-content-sha256",
    "x-acs-date",
    "x-acs-signature-nonce",
    "x-acs-version",
];

pub(crate) struct Proof {
    canonical_request: String,
    signature: String,
    claimed_hash: String,
    body_hash: String,
}

impl Proof {
    pub(super) fn check(&self, secret: &str) -> Result<(), ApiError> {
        let string_to_sign = string_to_sign(&self.canonical_request);
        if !same(&sign(secret, &string_to_sign), &self.signature) {
            return Err(mismatch(format!(
                "Specified signature does not match our calculation. server StringToSign is \
                 [{string_to_sign}] server CanonicalRequest is [{}]",
                self.canonical_request
            )));
        }
        if self.claimed_hash != self.body_hash {
            return Err(mismatch(format!(
                "The header x-acs-content-sha256 is not the SHA-256 of the body: {}",
                self.body_hash
            )));
        }
        Ok(())
    }
}

/// The three parts of an Authorization header.
struct Authorization<'a> {
    access_key_id: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    fn parse(header: &'a str) -> Result<Self, ApiError> {
        let (algorithm, parts) = header.split_once(' ').unwrap_or((header, ""));
        if algorithm != ALGORITHM {
            return Err(unsupported(algorithm));
        }
        let part = |name: &str| {
            let mut values = parts
                .split(',')
                .filter_map(|part| part.trim().split_once('='))
                .filter_map(|(found, value)| (found == name && !value.is_empty()).then_some(value));
            match (values.next(), values.next()) {
                (Some(value), None) => Ok(value),
                _ => Err(incomplete(&format!("the Authorization header needs one {name}"))),
            }
        };
        Ok(Self {
            access_key_id: part("Credential")?,
            signed_headers: part("SignedHeaders")?,
            signature: part("Signature")?,
        })
    }
}

fn incomplete(why: &str) -> ApiError {
    let message = format!("The request signature does not conform to the standard: {why}.");
    ApiError::new(400, "IncompleteSignature", message)
}

pub(super) fn claim(wire: &Wire, authorization: &str) -> Result<Claim, ApiError> {
    let authorization = Authorization::parse(authorization)?;
    let header = |name: &str| {
        let value = wire.headers.get(name)?.to_str().ok()?.trim();
        (!value.is_empty()).then(|| value.to_owned())
    };
    let need = |name, code| header(name).ok_or_else(|| missing(code, name));
    let timestamp = need("x-acs-date", "MissingTimestamp")?;
    let nonce = need("x-acs-signature-nonce", "MissingSignatureNonce")?;
    let claimed_hash = header("x-acs-content-sha256")
        .ok_or_else(|| incomplete("the header x-acs-content-sha256 is missing"))?;
    let signed: Vec<&str> = authorization.signed_headers.split(';').collect();
    check_signed(&signed, wire)?;
    let canonical_request = canonical_request(
        wire.method.as_str(),
        wire.query.iter().map(|(name, value)| (name.as_str(), value.as_str())),
        &canonical_headers(&signed, &wire.headers)?,
        authorization.signed_headers,
        &claimed_hash,
    );
    Ok(Claim {
        access_key_id: authorization.access_key_id.to_owned(),
        security_token: header("x-acs-security-token"),
        timestamp,
        nonce,
        version: header("x-acs-version"),
        action: header("x-acs-action"),
        proof: super::Proof::V3(Proof {
            canonical_request,
            signature: authorization.signature.to_owned(),
            claimed_hash,
            body_hash: sha256_hex(&wire.body),
        }),
    })
}

fn check_signed(signed: &[&str], wire: &Wire) -> Result<(), ApiError> {
    let body = (!wire.body.is_empty()).then_some("content-type");
    // As soon as it is there it decides, so it has to be signed.
    let token = wire.headers.contains_key("x-acs-security-token").then_some("x-acs-security-token");
    for name in REQUIRED.into_iter().chain(body).chain(token) {
        if !signed.iter().any(|signed| signed.eq_ignore_ascii_case(name)) {
            return Err(incomplete(&format!("the header {name} must be signed")));
        }
        // The canonical form of `a,b` and of `a` and `b` is one: a nonce could be split in two.
        if wire.headers.get_all(name).iter().count() > 1 {
            return Err(incomplete(&format!("the header {name} must be sent once")));
        }
    }
    Ok(())
}

/// The lines `name:value`, sorted by name; a header that comes more than once has its values sorted
/// and joined by commas.
fn canonical_headers(signed: &[&str], headers: &HeaderMap) -> Result<String, ApiError> {
    let mut names: Vec<String> = signed.iter().map(|name| name.to_ascii_lowercase()).collect();
    names.sort_unstable();
    let mut lines = String::new();
    for name in &names {
        let mut values = Vec::new();
        for value in headers.get_all(name.as_str()) {
            let text = std::str::from_utf8(value.as_bytes())
                .map_err(|_| incomplete(&format!("the header {name} is not UTF-8")))?;
            values.push(text.trim());
        }
        if values.is_empty() {
            return Err(incomplete(&format!("the signed header {name} was not sent")));
        }
        values.sort_unstable();
        lines.extend([name, ":", &values.join(","), "\n"]);
    }
    Ok(lines)
}

/// `query` is decoded, in any order. SDKs leave names as they are and encode the values; names are
/// encoded here too, which changes none that ECS has. Left as they are, `A%3D1%26B=2` and
/// `A=1&B=2` would have one signature.
pub(crate) fn canonical_request<'a>(
    method: &str,
    query: impl Iterator<Item = (&'a str, &'a str)>,
    headers: &str,
    signed_headers: &str,
    payload_hash: &str,
) -> String {
    let mut query: Vec<_> = query.collect();
    query.sort_unstable();
    let query: Vec<_> =
        query.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    let query = query.join("&");
    format!("{method}\n/\n{query}\n{headers}\n{signed_headers}\n{payload_hash}")
}

pub(crate) fn string_to_sign(canonical_request: &str) -> String {
    format!("{ALGORITHM}\n{}", sha256_hex(canonical_request.as_bytes()))
}

/// The value of `Signature=`.
pub(crate) fn sign(secret: &str, string_to_sign: &str) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes any key");
    hex(&mac.chain_update(string_to_sign).finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Alibaba Cloud's documentation.
    #[test]
    fn the_documented_example() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256_hex(b""), empty);
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-acs-version", "2014-05-26"),
            ("x-acs-date", "2023-10-26T10:22:32Z"),
            ("host", "ecs.cn-shanghai.aliyuncs.com"),
            ("x-acs-action", "RunInstances"),
            ("x-acs-signature-nonce", "3156853299f313e23d1673dc12e1703d"),
            ("x-acs-content-sha256", empty),
            ("accept", "application/json"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        let query = [
            ("RegionId", "cn-shanghai"),
            ("ImageId", "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd"),
        ];
        let lines = canonical_headers(&REQUIRED, &headers).unwrap();
        let request =
            canonical_request("POST", query.into_iter(), &lines, &REQUIRED.join(";"), empty);
        assert_eq!(
            sign("YourAccessKeySecret", &string_to_sign(&request)),
            "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
        );
    }

    #[test]
    fn canonical_headers_are_sorted_trimmed_and_joined() {
        let mut headers = HeaderMap::new();
        headers.append("x-b", " 2 ".parse().unwrap());
        headers.append("x-b", "1".parse().unwrap());
        headers.append("x-a", "z".parse().unwrap());
        assert_eq!(canonical_headers(&["x-b", "X-A"], &headers).unwrap(), "x-a:z\nx-b:1,2\n");
        let error = canonical_headers(&["x-c"], &headers).unwrap_err();
        assert_eq!((error.status, &*error.code), (400, "IncompleteSignature"));
    }

    #[test]
    fn names_that_would_blur_the_query_are_kept_apart() {
        let canonical =
            |query: &[(&str, &str)]| canonical_request("GET", query.iter().copied(), "", "", "");
        assert_ne!(canonical(&[("A=1&B", "2")]), canonical(&[("A", "1"), ("B", "2")]));
        assert_eq!(canonical(&[("Tag.1.Key", "")]), "GET\n/\nTag.1.Key=\n\n\n");
    }

    #[test]
    fn an_authorization_header_needs_its_three_parts() {
        let code = |header| match Authorization::parse(header) {
            Ok(_) => "ok".to_owned(),
            Err(error) => error.code.into_owned(),
        };
        assert_eq!(code("ACS3-HMAC-SHA256 Credential=a,SignedHeaders=b,Signature=c"), "ok");
        assert_eq!(code("ACS3-HMAC-SHA256 Signature=c, SignedHeaders=b, Credential=a"), "ok");
        for bad in [
            "ACS3-HMAC-SHA256",
            "ACS3-HMAC-SHA256 Credential=a,SignedHeaders=b",
            "ACS3-HMAC-SHA256 Credential=,SignedHeaders=b,Signature=c",
            "ACS3-HMAC-SHA256 Credential=a,SignedHeaders=b,Signature=c,Signature=d",
            "ACS3-HMAC-SHA256 nonsense",
        ] {
            assert_eq!(code(bad), "IncompleteSignature", "{bad}");
        }
        for other in ["ACS3-RSA-SHA256 Credential=a,SignedHeaders=b,Signature=c", "ACS4-X a=b"] {
            assert_eq!(code(other), "InvalidSignatureMethod");
        }
    }
}
