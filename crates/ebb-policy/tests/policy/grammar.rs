//! The grammar, rule by rule: what a refusal names, and where.

use ebb_policy::{DOCUMENT_CHARS, Document, PolicyError, SESSION_CHARS};

fn refused(text: &str) -> PolicyError {
    Document::parse(text).expect_err(text)
}

/// Refuses a document with this one statement, there and with these words in the message.
fn bad_statement(statement: &str, at: &str, what: &str) {
    let error = refused(&format!(r#"{{"Version":"1","Statement":[{statement}]}}"#));
    assert_eq!(error.at(), at, "{error}");
    assert!(error.to_string().contains(what), "{error}");
}

fn good(text: &str) {
    Document::parse(text).unwrap_or_else(|error| panic!("{error}: {text}"));
}

#[test]
fn all_that_a_statement_may_have_is_read() {
    good(r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#);
    good(
        r#"{"Statement":[
            {"Resource":["acs:ecs:*:*:disk/*","*"],"Action":["ecs:Describe*","*:List?"],
             "Effect":"Deny",
             "Condition":{"StringLike":{"oss:Prefix":["","hangzhou/*"],"x:y":"z"},
                          "Bool":{"acs:SecureTransport":"false"}}},
            {"Effect":"Allow","NotAction":"ram:*","NotResource":"acs:ecs:cn-hangzhou:1:disk/d-1"}
        ],"Version":"1"}"#,
    );
}

#[test]
fn what_is_not_json_is_refused() {
    for text in ["", "{", "nothing", r#"{"Version":"1"} more"#, "\u{feff}{}"] {
        let error = refused(text);
        assert!(error.at().is_empty() && error.to_string().contains("line 1"), "{error}");
    }
    let deep = "[".repeat(3000) + &"]".repeat(3000);
    assert!(refused(&deep).to_string().contains("recursion"));
}

#[test]
fn a_member_that_is_there_twice_is_refused() {
    let error = refused(
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*",
            "Condition":{"Bool":{"acs:MFAPresent":"true"}},
            "Condition":{"Bool":{"acs:SecureTransport":"true"}}}]}"#,
    );
    assert!(error.to_string().contains("Condition is there twice"), "{error}");
}

#[test]
fn the_document_has_a_version_and_statements() {
    let cases = [
        ("[]", "", "must be an object"),
        ("{}", "", "must not be empty"),
        (r#"{"Statement":[]}"#, "", "lacks Version"),
        (r#"{"Version":"1"}"#, "", "lacks Statement"),
        (r#"{"Version":1,"Statement":[]}"#, "Version", "must be a string"),
        (r#"{"Version":"2012-10-17","Statement":[]}"#, "Version", "must be \"1\""),
        (r#"{"Version":"1","Statement":[]}"#, "Statement", "must not be empty"),
        (r#"{"Version":"1","Statement":{}}"#, "Statement", "must be a list"),
        (r#"{"Version":"1","Id":"x","Statement":[{}]}"#, "Id", "may be Version, Statement"),
        (r#"{"version":"1","Statement":[{}]}"#, "version", "is not known"),
    ];
    for (text, at, what) in cases {
        let error = refused(text);
        assert_eq!(error.at(), at, "{error}");
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[test]
fn a_document_is_no_longer_than_rams() {
    let padded = |chars: usize| {
        let text =
            r#"{"Version":"1","Statement":[{"Effect":"Deny","Action":"é:*","Resource":"*"}]}"#;
        text.to_owned() + &" ".repeat(chars - text.chars().count())
    };
    good(&padded(DOCUMENT_CHARS));
    let error = refused(&padded(DOCUMENT_CHARS + 1));
    assert_eq!(error.to_string(), "the document: has 6145 characters, more than 6144");
    assert!(Document::parse_for_session(&padded(SESSION_CHARS)).is_ok());
    assert!(Document::parse_for_session(&padded(SESSION_CHARS + 1)).is_err());
}

#[test]
fn a_statement_is_refused_where_it_is_wrong() {
    let here = "Statement[0]";
    bad_statement("1", here, "must be an object");
    bad_statement("{}", here, "must not be empty");
    bad_statement(r#"{"Action":"*","Resource":"*"}"#, here, "lacks Effect");
    bad_statement(r#"{"Effect":"Allow","Resource":"*"}"#, here, "lacks Action or NotAction");
    bad_statement(r#"{"Effect":"Allow","Action":"*"}"#, here, "lacks Resource or NotResource");
    bad_statement(
        r#"{"Effect":"Allow","Action":"*","NotAction":"ram:*","Resource":"*"}"#,
        here,
        "has both Action and NotAction",
    );
    bad_statement(
        r#"{"Effect":"allow","Action":"*","Resource":"*"}"#,
        "Statement[0].Effect",
        "must be \"Allow\" or \"Deny\"",
    );
    bad_statement(
        r#"{"Sid":"x","Effect":"Allow","Action":"*","Resource":"*"}"#,
        "Statement[0].Sid",
        "is not known",
    );
    bad_statement(
        r#"{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}"#,
        "Statement[0].Principal",
        "is not known",
    );
}

#[test]
fn actions_and_resources_look_like_some() {
    let statement = |action: &str, resource: &str| {
        format!(r#"{{"Effect":"Allow","Action":{action},"Resource":{resource}}}"#)
    };
    let at = "Statement[0].Action";
    bad_statement(&statement("[]", r#""*""#), at, "must not be empty");
    bad_statement(&statement(r#""""#, r#""*""#), at, "must not be empty");
    bad_statement(&statement("null", r#""*""#), at, "must be a string");
    bad_statement(&statement("{}", r#""*""#), at, "must be a string");
    bad_statement(&statement(r#"["*",["*"]]"#, r#""*""#), "Statement[0].Action[1]", "a string");
    for bad in ["ecs", "ecs:", ":Get", "a:b:c", "**"] {
        bad_statement(&statement(&format!("{bad:?}"), r#""*""#), at, "ecs:ResetDisk");
    }
    bad_statement(&statement(r#""ecs: Get""#, r#""*""#), at, "white space");
    let at = "Statement[0].Resource";
    for bad in ["disk/d-1", "acs:ecs:*", "acs:ecs:*:*:", "acs::*:*:x", "arn:ecs:*:*:x", "?"] {
        bad_statement(&statement(r#""*""#, &format!("{bad:?}")), at, "acs:ecs:*:*:disk/*");
    }
    bad_statement(&statement(r#""*""#, r#"["*",""]"#), "Statement[0].Resource[1]", "empty");
    good(&format!(
        r#"{{"Version":"1","Statement":[{}]}}"#,
        statement(r#""*:*""#, r#"["acs:ram::1:saml-provider/a:b","acs:*:*cn-beijing*:*:*"]"#)
    ));
}

#[test]
fn conditions_are_refused_where_they_are_wrong() {
    let condition = |condition: &str, at: &str, what: &str| {
        bad_statement(
            &format!(r#"{{"Effect":"Allow","Action":"*","Resource":"*","Condition":{condition}}}"#),
            &format!("Statement[0].Condition{at}"),
            what,
        );
    };
    condition("{}", "", "must not be empty");
    condition("[]", "", "must be an object");
    condition(r#"{"Equals":{"a:b":"c"}}"#, ".Equals", "is not an operator");
    condition(r#"{"BoolIfExists":{"a:b":"c"}}"#, ".BoolIfExists", "is not an operator");
    condition(r#"{"Bool":{}}"#, ".Bool", "must not be empty");
    condition(r#"{"Bool":{"SourceIp":"true"}}"#, ".Bool.SourceIp", "a key like");
    condition(r#"{"Bool":{"acs:MFAPresent":[]}}"#, ".Bool.acs:MFAPresent", "empty");
    condition(r#"{"Bool":{"acs:MFAPresent":true}}"#, ".Bool.acs:MFAPresent", "quoted as well");
    condition(
        r#"{"IpAddress":{"acs:SourceIp":["10.0.0.1","10.*"]}}"#,
        ".IpAddress.acs:SourceIp[1]",
        "must be an address",
    );
    condition(
        r#"{"DateLessThan":{"acs:CurrentTime":"tomorrow"}}"#,
        ".DateLessThan.acs:CurrentTime",
        "must be a time",
    );
}
