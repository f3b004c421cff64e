//! Policies, which users of an account write and every request is held against.
//!
//! An input is text. Its first line is an action and resources, split by spaces, then the value
//! that the request has for `x:text`; the rest is a document, of either kind.

use std::net::{IpAddr, Ipv4Addr};

use ebb_policy::{
    Context, DOCUMENT_CHARS, Document, Principal, Request, SYSTEM_POLICIES, TrustDocument, Verdict,
    evaluate, system_policy,
};
use serde_json::Value;

/// What is read is read again without its white space as the same. Beside itself it says what it
/// says alone; beside a policy that allows everything its denials win, and all else is allowed. No
/// document is of both kinds.
///
/// # Panics
/// Where that is not so.
pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (asked, text) = text.split_once('\n').unwrap_or(("", text));
    let mut words = asked.split(' ');
    let action = words.next().unwrap_or_default();
    let value = words.next_back().unwrap_or_default().to_owned();
    let resources: Vec<String> = words.map(str::to_owned).collect();
    let more = [("x:text".to_owned(), value)];
    let alice = Principal::User { account: "1234".into(), name: "alice".into() };
    let context = Context {
        source_ip: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7))),
        now_unix_millis: 1_500_000_000_000,
        secure_transport: true,
        mfa: None,
        principal: Some(&alice),
        more: &more,
    };
    if let Ok(trust) = TrustDocument::parse(text) {
        assert_eq!(TrustDocument::parse(&compact(text)).as_ref(), Ok(&trust));
        trust.allows(action, &alice, &context);
        assert!(Document::parse(text).is_err(), "a document of both kinds");
    }
    let Ok(document) = Document::parse(text) else { return };
    assert!(text.chars().count() <= DOCUMENT_CHARS);
    assert_eq!(Document::parse(&compact(text)).as_ref(), Ok(&document));
    let request = Request { action, resources: &resources, context };
    let alone = evaluate([&document], &request);
    assert_eq!(evaluate([&document, &document], &request), alone);
    let all = system("AdministratorAccess");
    let expected = match alone {
        Verdict::ExplicitDeny => Verdict::ExplicitDeny,
        Verdict::Allow | Verdict::ImplicitDeny => Verdict::Allow,
    };
    assert_eq!(evaluate([&document, &all], &request), expected);
    assert_eq!(evaluate([&all, &document], &request), expected);
}

/// The same JSON without white space and with no more escapes than it needs, so no longer.
fn compact(text: &str) -> String {
    let value: Value = serde_json::from_str(text).expect("a document is JSON");
    value.to_string()
}

fn system(name: &str) -> Document {
    let policy = system_policy(name).expect("one of the system policies");
    Document::parse(policy.document).expect("a system policy is a document")
}

/// The system policies, and documents with all that there is.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let rich = r#"{"Version":"1","Statement":[
{"Effect":"Allow","Action":["ecs:*","*:Describe?"],"Resource":["acs:ecs:*:1234:disk/*","*"],
"Condition":{"IpAddress":{"acs:SourceIp":["192.0.2.0/24","2001:db8::/32"]},
"NumericLessThan":{"x:text":"-1.5"},"StringNotLike":{"acs:PrincipalARN":"acs:ram::*:role/*"},
"DateLessThan":{"acs:CurrentTime":"2027-01-01T00:00:00.5+08:00"}}},
{"Effect":"Deny","NotAction":"ram:*","NotResource":"acs:ecs:*:*:*",
"Condition":{"Bool":{"acs:SecureTransport":"false"},"StringLike":{"x:text":["a*b?","*"]}}}]}"#;
    let trust = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",
"Principal":{"RAM":["acs:ram::1234:root","acs:ram::1234:user/alice","*"],
"Service":"ecs.aliyuncs.com","Federated":["acs:ram::1234:saml-provider/office"]},
"Condition":{"StringEquals":{"x:text":"abc"}}}]}"#;
    let asked = "ecs:ResetDisk acs:ecs:cn-hangzhou:1234:disk/d-1 abc";
    let documents = SYSTEM_POLICIES.iter().map(|policy| policy.document).chain([rich, trust]);
    documents.map(|document| format!("{asked}\n{document}").into_bytes()).collect()
}
