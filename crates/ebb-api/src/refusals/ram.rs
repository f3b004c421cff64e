//! What RAM and STS refuse. There a code means the same in every operation, so there is no table
//! of operations: one match from [`RamDenied`] to the answer. Codes and statuses are those of the
//! RAM and STS references.

use ebb_domain::{IdentityKind, RamDenied, RamField, RamThing};

use crate::ApiError;

/// As codes name it.
fn name(thing: RamThing) -> &'static str {
    match thing {
        RamThing::Identity(kind) => kind.as_str(),
        RamThing::Policy => "Policy",
        RamThing::PolicyVersion => "Policy.Version",
        RamThing::AccessKey => "User.AccessKey",
        RamThing::Member => "User.Group",
        RamThing::Attachment(IdentityKind::User) => "User.Policy",
        RamThing::Attachment(IdentityKind::Group) => "Group.Policy",
        RamThing::Attachment(IdentityKind::Role) => "Role.Policy",
    }
}

/// As messages name it.
fn words(thing: RamThing) -> &'static str {
    match thing {
        RamThing::Identity(IdentityKind::User) => "user",
        RamThing::Identity(IdentityKind::Group) => "group",
        RamThing::Identity(IdentityKind::Role) => "role",
        RamThing::Policy => "policy",
        RamThing::PolicyVersion => "version of the policy",
        RamThing::AccessKey => "access key of the user",
        RamThing::Member => "user's membership of the group",
        RamThing::Attachment(_) => "attachment of the policy",
    }
}

/// The parameter, and what it has to be.
fn field(field: RamField) -> (&'static str, &'static str) {
    match field {
        RamField::Name(IdentityKind::User) => {
            ("UserName", "1 to 64 letters, digits, periods, hyphens and underscores")
        }
        RamField::Name(IdentityKind::Group) => {
            ("GroupName", "1 to 64 letters, digits, periods, hyphens and underscores")
        }
        RamField::Name(IdentityKind::Role) => ("RoleName", "1 to 64 letters, digits and hyphens"),
        RamField::PolicyName => ("PolicyName", "1 to 128 letters, digits and hyphens"),
        RamField::DisplayName => ("DisplayName", "at most 128 characters"),
        RamField::Comments => ("Comments", "at most 128 characters, of a role 1024"),
        RamField::MaxSession => ("MaxSessionDuration", "3600 to 43200 seconds"),
        RamField::PolicyType => ("PolicyType", "System or Custom"),
        RamField::KeyStatus => ("Status", "Active or Inactive"),
        RamField::VersionId => ("VersionId", "a version such as v1"),
        RamField::Marker => ("Marker", "the Marker of the page before"),
        RamField::MaxItems => ("MaxItems", "1 to 1000"),
        RamField::RoleArn => ("RoleArn", "acs:ram::<account>:role/<name>"),
        RamField::SessionName => {
            ("RoleSessionName", "2 to 64 letters, digits, periods, @, hyphens and underscores")
        }
        RamField::Duration => ("DurationSeconds", "900 seconds to what the role allows"),
    }
}

/// The answer.
pub(super) fn refuse(denied: &RamDenied) -> ApiError {
    match denied {
        RamDenied::NotFound(thing) => {
            let message = format!("The {} does not exist.", words(*thing));
            ApiError::new(404, format!("EntityNotExist.{}", name(*thing)), message)
        }
        RamDenied::Exists(thing) => {
            let message = format!("The {} already exists.", words(*thing));
            ApiError::new(409, format!("EntityAlreadyExists.{}", name(*thing)), message)
        }
        RamDenied::InUse(what, by) => {
            let code = format!("DeleteConflict.{what}.{by}");
            let message = format!("The {what} still has a {by}: take it away first.");
            ApiError::new(409, code, message)
        }
        RamDenied::Limit(thing) => {
            let message =
                format!("There are as many as there may be: delete one first ({}).", words(*thing));
            ApiError::new(409, format!("LimitExceeded.{}", name(*thing)), message)
        }
        RamDenied::Malformed(of) => {
            let (parameter, expected) = field(*of);
            let code = match of {
                RamField::Name(_) | RamField::PolicyName => {
                    format!("InvalidParameter.{parameter}.InvalidChars")
                }
                _ => format!("InvalidParameter.{parameter}"),
            };
            let message = format!("The parameter {parameter} is not valid: expected {expected}.");
            ApiError::new(400, code, message)
        }
        RamDenied::Document(why) => {
            let message = format!("The policy document is not valid: {why}.");
            ApiError::new(400, "MalformedPolicyDocument", message)
        }
        RamDenied::DefaultVersion => {
            let message = "The default version of a policy cannot be deleted: make another one \
                           the default first.";
            ApiError::new(409, "DeleteConflict.Policy.DefaultVersion", message)
        }
        RamDenied::TooLong => {
            let message = "The parameter DurationSeconds is not valid: the role allows less.";
            ApiError::new(400, "InvalidParameter.DurationSeconds", message)
        }
        RamDenied::MayNotAssume => {
            let message = "You are not authorized to do this action. You should be authorized by \
                           RAM.";
            ApiError::new(403, "NoPermission", message)
        }
        RamDenied::RootAssumes => {
            ApiError::new(403, "NoPermission", "Roles may not be assumed by root accounts.")
        }
    }
}
