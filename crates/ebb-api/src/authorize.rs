//! What a request is about, in RAM's words, and whether its caller may do it.
//!
//! ```text
//!   ResetDisk DiskId=d-1 SnapshotId=s-1
//!     └► ecs:ResetDisk   acs:ecs:cn-hangzhou:1234:disk/d-1
//!                        acs:ecs:cn-hangzhou:1234:snapshot/s-1
//! ```
//! The resources are read off the parameters by their names, wherever they are: `DiskId`,
//! `DiskId.2`, `Disk.1.DiskId` and `DiskIds` all name disks, so a parameter that comes with a later
//! operation is not forgotten. What makes something new, or names nothing, is about all of a kind
//! (`disk/*`), told by the operation's name.
//!
//! The region is that of the request, else that of the resource where it is this account's, else
//! the server's first. In ECS a request cannot choose it: naming another region than the
//! resource's finds nothing. Keys are found in any, so theirs is always their own.

use ebb_control::{Asked, Caller, Who};

use crate::auth::Authority;
use crate::operation::Product;
use crate::peer::Peer;
use crate::refusals::failed;
use crate::{ApiError, Params};

/// What names a resource: the parameter, and the kind of resource in RAM's words.
const ECS: &[(&str, &str)] = &[
    ("DiskId", "disk"),
    ("SourceDiskId", "disk"),
    ("InstanceId", "instance"),
    ("SnapshotId", "snapshot"),
    ("SnapshotGroupId", "snapshotgroup"),
    ("SnapshotLinkId", "snapshot"),
    ("AutoSnapshotPolicyId", "snapshotpolicy"),
    ("ImageId", "image"),
    ("SecurityGroupId", "securitygroup"),
    ("VpcId", "vpc"),
    ("VSwitchId", "vswitch"),
    ("TaskId", "task"),
];

const RAM: &[(&str, &str)] =
    &[("UserName", "user"), ("GroupName", "group"), ("RoleName", "role"), ("PolicyName", "policy")];

const KMS: &[(&str, &str)] = &[
    ("KeyId", "key"),
    ("DestinationKeyId", "key"),
    ("SourceKeyId", "key"),
    ("AliasName", "alias"),
];

/// What operations that name nothing are about, by a part of their name: the first that fits.
const NOUNS: &[(&str, &str)] = &[
    ("AutoSnapshotPolic", "snapshotpolicy"),
    ("SnapshotGroup", "snapshotgroup"),
    ("Snapshot", "snapshot"),
    ("Disk", "disk"),
    ("Image", "image"),
    ("Instance", "instance"),
    ("SecurityGroup", "securitygroup"),
    ("VSwitch", "vswitch"),
    ("Vpc", "vpc"),
    ("Task", "task"),
    ("AccessKey", "user"),
    ("User", "user"),
    ("Group", "group"),
    ("Role", "role"),
    ("Polic", "policy"),
    ("Alias", "alias"),
    ("Key", "key"),
];

/// The kind of what an operation makes, or of all that it is about where it names nothing.
fn noun(operation: &str) -> Option<&'static str> {
    NOUNS.iter().find(|(part, _)| operation.contains(part)).map(|(_, kind)| *kind)
}

fn makes(operation: &str) -> bool {
    ["Create", "Run", "Clone", "Copy", "Import"].iter().any(|verb| operation.starts_with(verb))
}

/// The last part of a parameter's name that is no number: `DiskId` of `Disk.1.DiskId` and of
/// `DiskId.2`.
fn last_part(name: &str) -> &str {
    let numbered = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    name.rsplit('.').find(|part| !numbered(part)).unwrap_or(name)
}

/// The kinds and ids of what a request names.
fn named(product: Product, params: &Params) -> Vec<(String, String)> {
    let table = match product {
        Product::ECS => ECS,
        Product::RAM => RAM,
        Product::KMS => KMS,
        _ => &[],
    };
    let kind_given = params.get("ResourceType").unwrap_or_default().to_lowercase();
    let mut found = Vec::new();
    for (name, value) in params.iter().filter(|(_, value)| !value.is_empty()) {
        let part = last_part(name);
        if part == "ResourceId" && !kind_given.is_empty() {
            found.push((kind_given.clone(), value.to_owned()));
            continue;
        }
        let one = table.iter().find(|(known, _)| known.eq_ignore_ascii_case(part));
        if let Some((_, kind)) = one {
            found.push(((*kind).to_owned(), value.to_owned()));
            continue;
        }
        let singular = part.strip_suffix('s').unwrap_or_default();
        let several = table.iter().find(|(known, _)| known.eq_ignore_ascii_case(singular));
        if let Some((_, kind)) = several {
            found.extend(ids_in(value).into_iter().map(|id| ((*kind).to_owned(), id)));
        }
    }
    found
}

/// Who somebody is, they may always ask. With which key something was encrypted, only the
/// ciphertext tells: Decrypt asks by itself.
const ASK_THEMSELVES: &[&str] = &["GetCallerIdentity", "Decrypt"];

/// The ids in a list, or the one that the value is: `DiskIds` may be `DiskIds.1` too.
fn ids_in(value: &str) -> Vec<String> {
    match serde_json::from_str::<Vec<serde_json::Value>>(value) {
        Err(_) => vec![value.to_owned()],
        Ok(ids) => {
            ids.iter().map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned)).collect()
        }
    }
}

/// All that a request is about. `region_of` tells where something is that a request names without
/// a region.
fn resources(
    account: &str,
    (product, operation): (Product, &str),
    params: &Params,
    region_of: impl Fn(&str, &str) -> String,
) -> Vec<String> {
    if let (Product::STS, Some(arn)) = (product, params.get("RoleArn")) {
        return vec![arn.to_owned()];
    }
    let mut found = named(product, params);
    let what = noun(operation).unwrap_or("*");
    let names_one = found.iter().any(|(kind, _)| kind == what);
    if found.is_empty() || (makes(operation) && !names_one) {
        found.push((what.to_owned(), "*".to_owned()));
    }
    let given = params.get("RegionId").filter(|region| !region.is_empty());
    let region = |kind: &str, id: &str| match (product, given) {
        (Product::RAM, _) => "*".to_owned(),
        // A key is found whatever region is given, so only its own counts.
        (Product::KMS, _) if id != "*" => region_of(kind, id),
        (_, Some(region)) => region.to_owned(),
        (_, None) => region_of(kind, id),
    };
    let arn = |(kind, id): &(String, String)| {
        let service = match kind.as_str() {
            "vpc" | "vswitch" => "vpc",
            "key" | "alias" => "kms",
            _ => product.code,
        };
        // Keys are named by their ARN too.
        let id = match (kind.as_str(), id.rsplit_once(":key/")) {
            ("key", Some((_, id))) => id,
            _ => id,
        };
        let what = match kind.as_str() {
            "*" => "*".to_owned(),
            "key" | "alias" if id.starts_with("alias/") => id.to_owned(),
            _ => format!("{kind}/{id}"),
        };
        format!("acs:{service}:{}:{account}:{what}", region(kind, id))
    };
    found.iter().map(arn).collect()
}

/// What RAM is asked about a request. Also what the audit log says that it was about.
#[derive(Default)]
pub(crate) struct Subject {
    action: String,
    pub(crate) resources: Vec<String>,
}

impl Subject {
    /// What policies are asked about. May block.
    pub(crate) fn of(
        authority: &impl Authority,
        caller: &Caller,
        (product, operation): (Product, &str),
        params: &Params,
    ) -> Self {
        let account = &caller.account;
        // The account itself is asked nothing, and nothing is looked up for it.
        let region_of = |kind: &str, id: &str| match caller.who {
            Who::Root => "*".to_owned(),
            _ => authority.region_of(account, kind, id),
        };
        let about = (product, operation);
        Self::new(product, operation, resources(account.as_str(), about, params, region_of))
    }

    pub(crate) fn new(product: Product, operation: &str, resources: Vec<String>) -> Self {
        Self { action: format!("{}:{operation}", product.code), resources }
    }

    /// What a request is about, where nothing is looked up.
    #[cfg(fuzzing)]
    pub(crate) fn unlooked(account: &str, about: (Product, &str), params: &Params) -> Self {
        Self::new(about.0, about.1, resources(account, about, params, |_, _| "*".to_owned()))
    }

    pub(crate) fn asked(&self, peer: Peer) -> Asked<'_> {
        Asked {
            action: &self.action,
            resources: &self.resources,
            source_ip: Some(peer.address.ip()),
            secure_transport: peer.tls,
        }
    }
}

/// Refuses what the caller's policies do not allow. May block.
///
/// # Errors
/// 403: `Forbidden.RAM` in ECS, `NoPermission` in RAM and STS, `Forbidden.NoPermission` in KMS.
pub(crate) fn authorize(
    authority: &impl Authority,
    caller: &Caller,
    (product, operation): (Product, &str),
    subject: &Subject,
    peer: Peer,
) -> Result<(), ApiError> {
    if ASK_THEMSELVES.contains(&operation) {
        return Ok(());
    }
    permitted(authority, caller, product, subject, peer)
}

/// As [`authorize`], for what an operation asks by itself.
///
/// # Errors
/// As [`authorize`].
pub(crate) fn permitted(
    authority: &impl Authority,
    caller: &Caller,
    product: Product,
    subject: &Subject,
    peer: Peer,
) -> Result<(), ApiError> {
    match authority.permits(caller, &subject.asked(peer)) {
        Ok(true) => Ok(()),
        Ok(false) => Err(forbidden(product)),
        Err(failure) => Err(failed(failure)),
    }
}

/// The refusal of a product.
fn forbidden(product: Product) -> ApiError {
    let (code, message) = match product {
        Product::RAM | Product::STS => (
            "NoPermission",
            "You are not authorized to do this action. You should be authorized by RAM.",
        ),
        Product::KMS => {
            ("Forbidden.NoPermission", "This operation is forbidden by permission system.")
        }
        _ => (
            "Forbidden.RAM",
            "User not authorized to operate on the specified resource, or this API doesn't \
             support RAM.",
        ),
    };
    ApiError::new(403, code, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named_by(product: Product, pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        named(product, &Params::from_pairs(pairs.iter().copied()).expect("no name twice"))
    }

    #[test]
    fn resources_are_named_wherever_they_are() {
        let disk = |id: &str| ("disk".to_owned(), id.to_owned());
        for pairs in [
            &[("DiskId", "d-1")][..],
            &[("diskId", "d-1")],
            &[("DiskId.1", "d-1")],
            &[("Disk.3.DiskId", "d-1")],
            &[("DiskIds", "[\"d-1\"]")],
            &[("ResourceType", "Disk"), ("ResourceId.1", "d-1")],
        ] {
            assert_eq!(named_by(Product::ECS, pairs), [disk("d-1")], "{pairs:?}");
        }
        let two = named_by(Product::ECS, &[("DiskIds", "[\"d-1\",\"d-2\"]")]);
        assert_eq!(two, [disk("d-1"), disk("d-2")]);
        assert_eq!(named_by(Product::ECS, &[("DiskIds.1", "d-1")]), [disk("d-1")]);
        assert_eq!(named_by(Product::ECS, &[("DiskIds.2", "[\"d-1\"]")]), [disk("d-1")]);
        assert!(named_by(Product::ECS, &[("DiskName", "d-1")]).is_empty());
        assert!(named_by(Product::RAM, &[("DiskId", "d-1")]).is_empty());
    }

    #[test]
    fn what_names_nothing_is_about_all_of_a_kind() {
        for (operation, kind) in [
            ("CreateDisk", Some("disk")),
            ("DescribeAutoSnapshotPolicyEx", Some("snapshotpolicy")),
            ("ListUsers", Some("user")),
            ("DescribeRegions", None),
        ] {
            assert_eq!(noun(operation), kind, "{operation}");
        }
    }

    fn about(product: Product, operation: &str, pairs: &[(&str, &str)]) -> Vec<String> {
        let params = Params::from_pairs(pairs.iter().copied()).expect("no name twice");
        resources("1", (product, operation), &params, |_, _| "own".to_owned())
    }

    #[test]
    fn what_makes_something_is_about_all_of_its_kind_unless_it_names_one() {
        let made = about(Product::ECS, "CreateSnapshot", &[("DiskId", "d-1")]);
        assert_eq!(made, ["acs:ecs:own:1:disk/d-1", "acs:ecs:own:1:snapshot/*"]);
        let made = about(Product::KMS, "CreateKeyVersion", &[("KeyId", "k")]);
        assert_eq!(made, ["acs:kms:own:1:key/k"]);
        assert_eq!(about(Product::ECS, "DescribeRegions", &[]), ["acs:ecs:own:1:*"]);
    }

    #[test]
    fn a_key_has_its_own_region_and_an_alias_is_asked_too() {
        let both = [("KeyId", "k"), ("AliasName", "alias/two"), ("RegionId", "other")];
        let found = about(Product::KMS, "UpdateAlias", &both);
        assert_eq!(found, ["acs:kms:own:1:alias/two", "acs:kms:own:1:key/k"]);
        let arn = [("KeyId", "acs:kms:other:1:key/k")];
        assert_eq!(about(Product::KMS, "DescribeKey", &arn), ["acs:kms:own:1:key/k"]);
    }
}
