//! A request's way up to its operation, for the fuzz targets: all that reads what a stranger sends.
//!
//! An input is a request: a line with method and target, lines with headers, an empty line, a body.
//! Deliberately not here: hyper's own reading of HTTP, and what operations do.

use bytes::Bytes;
use hyper::Request;
use hyper::http::request::Parts;

use crate::authorize::Subject;
use crate::operation::RequestId;
use crate::signature::Claim;
use crate::wire::{self, Wire};
use crate::{ApiError, OperationDef, Params, Product, ops};

/// Reads a request, and holds it against every property that has no need of a server.
///
/// # Panics
/// Where one does not hold.
pub fn check(input: &[u8]) {
    let Some((head, body)) = request(input) else { return };
    let format = wire::format(&head, &body);
    if let Err(error) = read(&head, body) {
        assert!((400..500).contains(&error.status), "{error}");
        let id = RequestId::random();
        let text = format.failure(&error, &id, wire::host(&head), Product::ECS.name);
        assert!(text.contains(id.as_str()));
    }
}

fn request(input: &[u8]) -> Option<(Parts, Bytes)> {
    let at = input.windows(2).position(|pair| pair == b"\n\n")?;
    let (head, body) = (std::str::from_utf8(&input[..at]).ok()?, &input[at + 2..]);
    let mut lines = head.lines();
    let (method, target) = lines.next()?.split_once(' ')?;
    let mut builder = Request::builder().method(method).uri(target);
    for line in lines {
        let (name, value) = line.split_once(": ")?;
        builder = builder.header(name, value);
    }
    let (parts, ()) = builder.body(()).ok()?.into_parts();
    Some((parts, Bytes::copy_from_slice(body)))
}

fn read(head: &Parts, body: Bytes) -> Result<(), ApiError> {
    wire::check_line(head)?;
    let wire = Wire::read(head, body)?;
    let params = Params::from_pairs(wire.pairs())?;
    let business = params.business();
    for operation in ops::FAMILIES.iter().copied().flatten() {
        if wire.pairs().any(|(name, value)| name == "Action" && value == operation.name) {
            read_as(operation, &business)?;
        }
    }
    let claim = Claim::read(&wire, &params)?;
    claim.proof.check("secret")
}

/// What the operation takes, and what it is about: never nothing, so that a policy is asked.
fn read_as(operation: &OperationDef, params: &Params) -> Result<(), ApiError> {
    let about = (operation.product, operation.name);
    let subject = Subject::unlooked("1234567890123456", about, params);
    assert!(!subject.resources.is_empty(), "{} is about nothing", operation.name);
    operation.read(params)
}

/// Requests of each family, in both signatures' forms.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let form = "content-type: application/x-www-form-urlencoded";
    let v1 = "AccessKeyId=testid&SignatureMethod=HMAC-SHA1&SignatureVersion=1.0&SignatureNonce=1\
              &Timestamp=2026-01-01T00%3A00%3A00Z&Signature=c2lnbmF0dXJl";
    let v3 = "Authorization: ACS3-HMAC-SHA256 Credential=testid,SignedHeaders=host;x-acs-action,\
              Signature=00\nhost: ecs.test\nx-acs-action: ResetDisk\nx-acs-version: 2014-05-26\n\
              x-acs-date: 2026-01-01T00:00:00Z\nx-acs-signature-nonce: 1\nx-acs-content-sha256: 00";
    let asks = [
        "Action=ResetDisk&Version=2014-05-26&DiskId=d-1&SnapshotId=s-1",
        "Action=DescribeDisks&Version=2014-05-26&RegionId=r&DiskIds=%5B%22d-1%22%5D&PageSize=10",
        "Action=RunInstances&Version=2014-05-26&DataDisk.1.Size=20&SystemDisk.Category=cloud",
        "Action=TagResources&Version=2014-05-26&ResourceType=disk&ResourceId.1=d&Tag.1.Key=k",
        "Action=CreatePolicy&Version=2015-05-01&PolicyName=p&PolicyDocument=%7B%7D",
        "Action=Encrypt&Version=2016-01-20&KeyId=k&Plaintext=AA%3D%3D&EncryptionContext=%7B%7D",
        "Action=AssumeRole&Version=2015-04-01&RoleArn=a&RoleSessionName=s&DurationSeconds=900",
    ];
    let mut seeds = vec![format!("POST /?DiskId=d-1&SnapshotId=s-1\n{v3}\n\n").into_bytes()];
    for ask in asks {
        seeds.push(format!("GET /?{ask}&{v1}\nhost: ecs.test\n\n").into_bytes());
        seeds.push(format!("POST /?Format=JSON\n{form}\n\n{ask}&{v1}").into_bytes());
    }
    seeds
}
