//! Trust policies: what is read and what is refused, and whom they let in.

use ebb_policy::{Context, Principal, TRUST_CHARS, TrustDocument};

fn user(account: &str, name: &str) -> Principal {
    Principal::User { account: account.to_owned(), name: name.to_owned() }
}

fn role(account: &str, name: &str) -> Principal {
    Principal::Role { account: account.to_owned(), name: name.to_owned() }
}

fn trusting(principal: &str) -> String {
    format!(
        r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"sts:AssumeRole",
            "Principal":{principal}}}]}}"#
    )
}

fn trust(text: &str) -> TrustDocument {
    TrustDocument::parse(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn lets_in(document: &TrustDocument, principal: &Principal) -> bool {
    document.allows("sts:AssumeRole", principal, &Context::default())
}

#[test]
fn an_account_is_each_of_its_users_and_roles() {
    let document = trust(&trusting(r#"{"RAM":["acs:ram::1234567890123456:root"]}"#));
    assert!(lets_in(&document, &user("1234567890123456", "alice")));
    assert!(lets_in(&document, &role("1234567890123456", "reader")));
    assert!(!lets_in(&document, &user("1234567890123457", "alice")));
    assert!(!lets_in(&document, &Principal::Service("ecs.aliyuncs.com".into())));
    let federated = Principal::Federated("acs:ram::1234567890123456:saml-provider/office".into());
    assert!(!lets_in(&document, &federated));
}

#[test]
fn a_user_or_a_role_is_that_one() {
    let both = r#"{"RAM":["acs:ram::123:user/alice","acs:ram::123:role/reader"]}"#;
    let document = trust(&trusting(both));
    assert!(lets_in(&document, &user("123", "alice")));
    assert!(lets_in(&document, &role("123", "reader")));
    for other in [user("123", "Alice"), user("124", "alice"), role("123", "alice")] {
        assert!(!lets_in(&document, &other), "{other}");
    }
}

#[test]
fn a_star_is_users_and_roles_of_every_account() {
    let document = trust(&trusting(r#"{"RAM":"*"}"#));
    assert!(lets_in(&document, &user("1", "a")) && lets_in(&document, &role("2", "b")));
    assert!(!lets_in(&document, &Principal::Service("ecs.aliyuncs.com".into())));
}

#[test]
fn services_and_providers_are_known_by_their_names() {
    let provider = "acs:ram::123:oidc-provider/office";
    let document = trust(&trusting(&format!(
        r#"{{"Service":"ecs.aliyuncs.com","Federated":["{provider}"]}}"#
    )));
    assert!(lets_in(&document, &Principal::Service("ecs.aliyuncs.com".into())));
    assert!(lets_in(&document, &Principal::Federated(provider.into())));
    assert!(!lets_in(&document, &Principal::Service("kms.aliyuncs.com".into())));
    assert!(!lets_in(&document, &user("123", "office")));
}

#[test]
fn action_condition_and_denial_count_as_in_any_policy() {
    let document = trust(
        r#"{"Version":"1","Statement":[
            {"Effect":"Allow","Action":["sts:assumerole"],"Principal":{"RAM":"acs:ram::123:root"},
             "Condition":{"StringEquals":{"sts:ExternalId":"abc"}}},
            {"Effect":"Deny","Action":"sts:*","Principal":{"RAM":"acs:ram::123:user/mallory"}}]}"#,
    );
    let with = |id: &str| [("sts:ExternalId".to_owned(), id.to_owned())];
    let allows = |action: &str, name: &str, more: &[(String, String)]| {
        document.allows(action, &user("123", name), &Context { more, ..Context::default() })
    };
    assert!(allows("sts:AssumeRole", "alice", &with("abc")));
    assert!(!allows("sts:AssumeRole", "alice", &with("abd")));
    assert!(!allows("sts:AssumeRole", "alice", &[]));
    assert!(!allows("sts:AssumeRoleWithSAML", "alice", &with("abc")));
    assert!(!allows("sts:AssumeRole", "mallory", &with("abc")));
}

#[test]
fn what_the_grammar_does_not_have_is_refused() {
    let at = "Statement[0].Principal";
    let cases = [
        ("{}", "", "must not be empty"),
        (r#""*""#, "", "must be an object"),
        (r#"{"AWS":"*"}"#, ".AWS", "may be RAM, Service, Federated"),
        (r#"{"RAM":[]}"#, ".RAM", "must not be empty"),
        (r#"{"RAM":1}"#, ".RAM", "must be a string"),
        (r#"{"RAM":["*","acs:ram::x:root"]}"#, ".RAM[1]", "acs:ram::1234:root"),
        (r#"{"RAM":"acs:ram::123:user/*"}"#, ".RAM", "acs:ram::1234:root"),
        (r#"{"RAM":"acs:ram::123:user/"}"#, ".RAM", "acs:ram::1234:root"),
        (r#"{"RAM":"acs:ram::*:root"}"#, ".RAM", "acs:ram::1234:root"),
        (r#"{"RAM":"acs:ram::123:group/all"}"#, ".RAM", "acs:ram::1234:root"),
        (r#"{"Service":"*.aliyuncs.com"}"#, ".Service", "ecs.aliyuncs.com"),
        (r#"{"Federated":"acs:ram::123:user/a"}"#, ".Federated", "saml-provider"),
        (r#"{"Federated":"*"}"#, ".Federated", "saml-provider"),
    ];
    for (principal, more, what) in cases {
        let error = TrustDocument::parse(&trusting(principal)).expect_err(principal);
        assert_eq!(error.at(), format!("{at}{more}"), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    }
    let lacking = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole"}]}"#;
    let error = TrustDocument::parse(lacking).unwrap_err();
    assert_eq!(error.to_string(), "Statement[0]: lacks Principal");
    let resource = lacking.replace("\"Action\"", "\"Resource\":\"*\",\"Action\"");
    assert_eq!(TrustDocument::parse(&resource).unwrap_err().at(), "Statement[0].Resource");
}

#[test]
fn a_trust_policy_is_not_long() {
    let text = trusting(r#"{"RAM":"*"}"#);
    let padded = |chars: usize| text.clone() + &" ".repeat(chars - text.chars().count());
    assert!(TrustDocument::parse(&padded(TRUST_CHARS)).is_ok());
    assert!(TrustDocument::parse(&padded(TRUST_CHARS + 1)).is_err());
}
