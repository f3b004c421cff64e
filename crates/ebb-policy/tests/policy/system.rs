//! The policies that are always there.

use std::collections::HashSet;

use ebb_policy::{Document, SYSTEM_POLICIES, Verdict, system_policy};

use super::asked;

fn allows(name: &str, action: &str) -> bool {
    let policy = system_policy(name).unwrap();
    let document = Document::parse(policy.document).unwrap();
    match asked(&document, action, &["acs:x:cn-hangzhou:1234:y/z"]) {
        Verdict::Allow => true,
        Verdict::ImplicitDeny => false,
        Verdict::ExplicitDeny => panic!("{name} denies {action}: no system policy does"),
    }
}

#[test]
fn each_is_a_document_with_a_name_of_its_own() {
    let names: HashSet<_> = SYSTEM_POLICIES.iter().map(|policy| policy.name).collect();
    assert_eq!(names.len(), SYSTEM_POLICIES.len());
    for policy in SYSTEM_POLICIES {
        Document::parse(policy.document).unwrap_or_else(|error| panic!("{}: {error}", policy.name));
        assert_eq!(system_policy(policy.name), Some(policy));
    }
    assert_eq!(system_policy("administratoraccess"), None);
}

#[test]
fn each_allows_what_its_name_says() {
    const ACTIONS: [&str; 8] = [
        "ecs:ResetDisk",
        "ecs:DescribeDisks",
        "ecs:ListTagResources",
        "ram:CreateUser",
        "ram:GetUser",
        "ram:ListUsers",
        "kms:Encrypt",
        "sts:AssumeRole",
    ];
    let table = [
        ("AdministratorAccess", "yyyyyyyy"),
        ("ReadOnlyAccess", "-yy-yy--"),
        ("AliyunECSFullAccess", "yyy-----"),
        ("AliyunECSReadOnlyAccess", "-yy-----"),
        ("AliyunRAMFullAccess", "---yyy--"),
        ("AliyunRAMReadOnlyAccess", "----yy--"),
        ("AliyunKMSFullAccess", "------y-"),
        ("AliyunSTSAssumeRoleAccess", "-------y"),
    ];
    assert_eq!(table.len(), SYSTEM_POLICIES.len());
    for (name, row) in table {
        let said = ACTIONS.map(|action| if allows(name, action) { 'y' } else { '-' });
        assert_eq!(String::from_iter(said), row, "{name}");
    }
}
