//! What documents say of requests, rule by rule.

use ebb_policy::{Context, Principal, Request, Verdict, evaluate};

use super::{asked, asked_in, document};

const DISK_1: &str = "acs:ecs:cn-hangzhou:1234:disk/d-1";
const DISK_2: &str = "acs:ecs:cn-hangzhou:1234:disk/d-2";

#[test]
fn what_nothing_allows_is_denied() {
    let nothing = [].into_iter();
    let resources = [DISK_1.to_owned()];
    let request =
        Request { action: "ecs:ResetDisk", resources: &resources, context: Context::default() };
    assert_eq!(evaluate(nothing, &request), Verdict::ImplicitDeny);
    let other = document(r#"{"Effect":"Allow","Action":"ecs:Describe*","Resource":"*"}"#);
    assert_eq!(evaluate([&other], &request), Verdict::ImplicitDeny);
}

#[test]
fn a_denial_wins_wherever_it_stands() {
    let allow = document(r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#);
    let deny = document(r#"{"Effect":"Deny","Action":"ecs:Reset*","Resource":"*"}"#);
    let resources = [DISK_1.to_owned()];
    let request =
        Request { action: "ecs:ResetDisk", resources: &resources, context: Context::default() };
    assert_eq!(evaluate([&allow, &deny], &request), Verdict::ExplicitDeny);
    assert_eq!(evaluate([&deny, &allow], &request), Verdict::ExplicitDeny);
    assert_eq!(evaluate([&allow], &request), Verdict::Allow);
    assert_eq!(asked(&deny, "ecs:AttachDisk", &[DISK_1]), Verdict::ImplicitDeny);
}

#[test]
fn each_resource_must_be_allowed_and_none_denied() {
    let one = r#"{"Effect":"Allow","Action":"ecs:*","Resource":"acs:ecs:*:1234:disk/d-1"}"#;
    let two = r#"{"Effect":"Allow","Action":"ecs:*","Resource":"acs:ecs:*:1234:disk/d-2"}"#;
    let deny = r#"{"Effect":"Deny","Action":"ecs:*","Resource":"acs:ecs:*:*:disk/d-2"}"#;
    let both = [DISK_1, DISK_2];
    assert_eq!(asked(&document(one), "ecs:ResetDisks", &both), Verdict::ImplicitDeny);
    let all = document(&format!("{one},{two}"));
    assert_eq!(asked(&all, "ecs:ResetDisks", &both), Verdict::Allow);
    let some = document(&format!("{one},{two},{deny}"));
    assert_eq!(asked(&some, "ecs:ResetDisks", &both), Verdict::ExplicitDeny);
    assert_eq!(asked(&some, "ecs:ResetDisks", &[DISK_1]), Verdict::Allow);
}

#[test]
fn a_request_without_resources_is_for_all() {
    let some = document(r#"{"Effect":"Allow","Action":"ecs:*","Resource":"acs:ecs:*:*:*"}"#);
    assert_eq!(asked(&some, "ecs:DescribeRegions", &[]), Verdict::ImplicitDeny);
    let all = document(r#"{"Effect":"Allow","Action":"ecs:*","Resource":"*"}"#);
    assert_eq!(asked(&all, "ecs:DescribeRegions", &[]), Verdict::Allow);
}

#[test]
fn the_case_of_actions_does_not_count_that_of_resources_does() {
    let policy = document(
        r#"{"Effect":"Allow","Action":"ECS:resetdisk","Resource":"acs:ecs:*:*:disk/D-1"}"#,
    );
    assert_eq!(asked(&policy, "ecs:ResetDisk", &["acs:ecs:cn:1:disk/D-1"]), Verdict::Allow);
    assert_eq!(asked(&policy, "ecs:ResetDisk", &["acs:ecs:cn:1:disk/d-1"]), Verdict::ImplicitDeny);
}

#[test]
fn not_action_and_not_resource_are_all_else() {
    let policy = document(r#"{"Effect":"Allow","NotAction":["ram:*","sts:*"],"Resource":"*"}"#);
    assert_eq!(asked(&policy, "ecs:ResetDisk", &[DISK_1]), Verdict::Allow);
    assert_eq!(asked(&policy, "RAM:CreateUser", &["*"]), Verdict::ImplicitDeny);
    let policy =
        document(r#"{"Effect":"Deny","Action":"ecs:*","NotResource":"acs:ecs:*:1234:disk/d-1"}"#);
    assert_eq!(asked(&policy, "ecs:ResetDisk", &[DISK_1]), Verdict::ImplicitDeny);
    assert_eq!(asked(&policy, "ecs:ResetDisk", &[DISK_1, DISK_2]), Verdict::ExplicitDeny);
}

#[test]
fn operators_and_keys_must_all_hold_and_values_are_alternatives() {
    let policy = document(
        r#"{"Effect":"Allow","Action":"*","Resource":"*","Condition":{
            "IpAddress":{"acs:SourceIp":["192.0.2.0/24","2001:db8::/32"]},
            "DateGreaterThan":{"acs:CurrentTime":"2017-01-01T00:00:00+08:00"},
            "DateLessThan":{"acs:CurrentTime":"2018-01-01T00:00:00+08:00"},
            "Bool":{"acs:SecureTransport":"true","acs:MFAPresent":"true"}}}"#,
    );
    let context = Context {
        source_ip: Some("192.0.2.7".parse().unwrap()),
        now_unix_millis: 1_500_000_000_000,
        secure_transport: true,
        mfa: Some(true),
        ..Context::default()
    };
    let said = |context: Context<'_>| asked_in(&policy, "ecs:ResetDisk", &[DISK_1], context);
    assert_eq!(said(context.clone()), Verdict::Allow);
    let six = Some("2001:db8::7".parse().unwrap());
    assert_eq!(said(Context { source_ip: six, ..context.clone() }), Verdict::Allow);
    for less in [
        Context { source_ip: Some("192.0.3.7".parse().unwrap()), ..context.clone() },
        Context { source_ip: None, ..context.clone() },
        Context { now_unix_millis: 1_483_200_000_999, ..context.clone() },
        Context { now_unix_millis: 1_600_000_000_000, ..context.clone() },
        Context { secure_transport: false, ..context.clone() },
        Context { mfa: Some(false), ..context.clone() },
        Context { mfa: None, ..context.clone() },
    ] {
        assert_eq!(said(less.clone()), Verdict::ImplicitDeny, "{less:?}");
    }
}

#[test]
fn a_denial_of_all_others_reaches_who_does_not_tell() {
    let policy = document(
        r#"{"Effect":"Allow","Action":"ecs:*","Resource":"*"},
           {"Effect":"Deny","Action":"ecs:*","Resource":"*",
            "Condition":{"NotIpAddress":{"acs:SourceIp":["192.0.2.0/24","203.0.113.2"]}}}"#,
    );
    let from = |address: Option<&str>| {
        let source_ip = address.map(|address| address.parse().unwrap());
        let context = Context { source_ip, ..Context::default() };
        asked_in(&policy, "ecs:ResetDisk", &[DISK_1], context)
    };
    assert_eq!(from(Some("192.0.2.1")), Verdict::Allow);
    assert_eq!(from(Some("203.0.113.2")), Verdict::Allow);
    assert_eq!(from(Some("203.0.113.3")), Verdict::ExplicitDeny);
    assert_eq!(from(None), Verdict::ExplicitDeny);
}

#[test]
fn a_demand_for_mfa_does_not_see_access_keys() {
    let policy = document(
        r#"{"Effect":"Allow","Action":"*","Resource":"*"},
           {"Effect":"Deny","Action":"*","Resource":"*",
            "Condition":{"Bool":{"acs:MFAPresent":"false"}}}"#,
    );
    for (mfa, verdict) in
        [(Some(true), Verdict::Allow), (Some(false), Verdict::ExplicitDeny), (None, Verdict::Allow)]
    {
        let context = Context { mfa, ..Context::default() };
        assert_eq!(asked_in(&policy, "ecs:ResetDisk", &[DISK_1], context), verdict);
    }
}

#[test]
fn conditions_see_who_asks_and_what_a_service_adds() {
    let policy = document(
        r#"{"Effect":"Allow","Action":"*","Resource":"*","Condition":{
            "StringLike":{"acs:PrincipalArn":"acs:ram:*:*:role/admin-*"},
            "StringEquals":{"acs:ResourceTag/team":["dev","ops"]}}}"#,
    );
    let name = |name: &str| (String::from("1234"), name.to_owned());
    let (account, role) = name("admin-7");
    let admin = Principal::Role { account, name: role };
    let (account, user) = name("alice");
    let alice = Principal::User { account, name: user };
    let tag = |value: &str| [("acs:ResourceTag/team".to_owned(), value.to_owned())];
    let said = |principal, more: &[(String, String)]| {
        let context = Context { principal, more, ..Context::default() };
        asked_in(&policy, "ecs:ResetDisk", &[DISK_1], context)
    };
    assert_eq!(said(Some(&admin), &tag("ops")), Verdict::Allow);
    assert_eq!(said(Some(&admin), &tag("web")), Verdict::ImplicitDeny);
    assert_eq!(said(Some(&admin), &[]), Verdict::ImplicitDeny);
    assert_eq!(said(Some(&alice), &tag("ops")), Verdict::ImplicitDeny);
    assert_eq!(said(None, &tag("ops")), Verdict::ImplicitDeny);
}
