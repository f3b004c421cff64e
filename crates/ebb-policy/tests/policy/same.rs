//! Random documents and requests, out of so few letters that they meet: what is said of them is
//! what the plain evaluator says.

use std::collections::BTreeMap;

use ebb_policy::{Context, Document, Request, Verdict, evaluate};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::naive::{self, Facts, Rule};
use super::{asked_in, document};

type Conditions = BTreeMap<(String, String), Vec<String>>;

fn action_pattern() -> impl Strategy<Value = String> {
    prop_oneof![1 => Just("*".to_owned()), 3 => "[aB*?]{1,2}:[abA*?]{1,3}"]
}

fn resource_pattern() -> impl Strategy<Value = String> {
    prop_oneof![1 => Just("*".to_owned()), 3 => "acs:[ab*?]{1,2}:[a*]?:[1*?]?:[abB/:*?]{1,4}"]
}

fn date() -> impl Strategy<Value = String> {
    let day = select(&["1969-12-31", "1970-01-01", "2000-02-29", "1999-12-31", "2100-03-01"][..]);
    let clock = select(&["00:00:00", "00:00:01", "23:59:59", "15:30:00"][..]);
    let offset = select(&["Z", "+00:00", "+08:00", "-00:30", "+23:59"][..]);
    (day, clock, offset).prop_map(|(day, clock, offset)| format!("{day}T{clock}{offset}"))
}

/// One operator of those, with that key.
fn one(
    operators: &'static [&'static str],
    key: &'static str,
    value: BoxedStrategy<String>,
) -> BoxedStrategy<((String, String), Vec<String>)> {
    (select(operators), vec(value, 1..3))
        .prop_map(move |(operator, values)| ((operator.to_owned(), key.to_owned()), values))
        .boxed()
}

fn conditions() -> impl Strategy<Value = Conditions> {
    const STRINGS: &[&str] = &[
        "StringEquals",
        "StringNotEquals",
        "StringEqualsIgnoreCase",
        "StringNotEqualsIgnoreCase",
        "StringLike",
        "StringNotLike",
    ];
    const NUMBERS: &[&str] = &[
        "NumericEquals",
        "NumericNotEquals",
        "NumericLessThan",
        "NumericLessThanEquals",
        "NumericGreaterThan",
        "NumericGreaterThanEquals",
    ];
    const DATES: &[&str] = &[
        "DateEquals",
        "DateNotEquals",
        "DateLessThan",
        "DateLessThanEquals",
        "DateGreaterThan",
        "DateGreaterThanEquals",
    ];
    const ADDRESSES: &[&str] = &["IpAddress", "NotIpAddress"];
    let block = select(
        &["10.0.0.0/8", "10.0.0.1", "10.0.0.0/31", "0.0.0.0/0", "::/0", "2001:db8::/32", "::1"][..],
    );
    let condition = prop_oneof![
        one(STRINGS, "x:text", "[aB*?]{0,3}".boxed()),
        one(NUMBERS, "x:number", "-?[0-3](\\.[05])?".boxed()),
        one(DATES, "acs:CurrentTime", date().boxed()),
        one(ADDRESSES, "acs:SourceIp", block.prop_map(str::to_owned).boxed()),
        one(&["Bool"], "acs:MFAPresent", "true|false".boxed()),
        one(&["Bool", "StringEquals"], "acs:SecureTransport", "true|false".boxed()),
    ];
    vec(condition, 0..3).prop_map(|conditions| conditions.into_iter().collect())
}

fn rule() -> impl Strategy<Value = Rule> {
    let often_not = || prop::bool::weighted(0.2);
    (
        (prop::bool::weighted(0.3), often_not(), vec(action_pattern(), 1..3)),
        (often_not(), vec(resource_pattern(), 1..3)),
        conditions(),
    )
        .prop_map(|((deny, not_action, actions), (not_resource, resources), conditions)| {
            Rule { deny, not_action, actions, not_resource, resources, conditions }
        })
}

fn facts() -> impl Strategy<Value = Facts> {
    let ip = select(&["10.0.0.1", "10.0.0.2", "11.0.0.1", "2001:db8::1", "::1"][..]);
    let ip = prop::option::weighted(0.8, ip.prop_map(|ip| ip.parse().unwrap()));
    let now = (date(), 0..1000_i64).prop_map(|(at, millis)| naive::seconds(&at) * 1000 + millis);
    let more = |key: &'static str, value: &'static str| {
        prop::option::weighted(0.8, value.prop_map(move |value| (key.to_owned(), value)))
    };
    (
        ("[ab]{1,2}:[abA]{1,3}", vec("acs:[ab]{1,2}:a?:1?:[abB/]{1,4}", 0..3)),
        (ip, now, any::<bool>(), any::<Option<bool>>()),
        (more("x:text", "[abB]{0,3}"), more("x:number", "-?[0-3](\\.[05])?")),
    )
        .prop_map(
            |((action, resources), (ip, now_unix_millis, secure, mfa), (text, number))| {
                let more = text.into_iter().chain(number).collect();
                Facts { action, resources, ip, now_unix_millis, secure, mfa, more }
            },
        )
}

/// The statement as JSON; a list of one is written as one now and then.
fn written(rule: &Rule) -> String {
    let list = |values: &[String]| match values {
        [value] if value.len() % 2 == 0 => serde_json::to_string(value).unwrap(),
        values => serde_json::to_string(values).unwrap(),
    };
    let mut operators: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for ((operator, key), values) in &rule.conditions {
        operators.entry(operator).or_default().push(format!("\"{key}\":{}", list(values)));
    }
    let operators: Vec<String> = operators
        .iter()
        .map(|(operator, keys)| format!("\"{operator}\":{{{}}}", keys.join(",")))
        .collect();
    let condition = match operators.is_empty() {
        true => String::new(),
        false => format!(",\"Condition\":{{{}}}", operators.join(",")),
    };
    let not = |not: bool| if not { "Not" } else { "" };
    format!(
        "{{\"Effect\":\"{}\",\"{}Action\":{},\"{}Resource\":{}{condition}}}",
        if rule.deny { "Deny" } else { "Allow" },
        not(rule.not_action),
        list(&rule.actions),
        not(rule.not_resource),
        list(&rule.resources),
    )
}

fn said(documents: &[Document], facts: &Facts) -> Verdict {
    let context = Context {
        source_ip: facts.ip,
        now_unix_millis: facts.now_unix_millis,
        secure_transport: facts.secure,
        mfa: facts.mfa,
        principal: None,
        more: &facts.more,
    };
    evaluate(documents, &Request { action: &facts.action, resources: &facts.resources, context })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn documents_say_what_the_plain_evaluator_says(
        documents in vec(vec(rule(), 1..4), 0..3),
        facts in facts(),
    ) {
        let read: Vec<Document> = documents
            .iter()
            .map(|rules| document(&rules.iter().map(written).collect::<Vec<_>>().join(",")))
            .collect();
        let rules = documents.concat();
        prop_assert_eq!(said(&read, &facts), naive::evaluate(&rules, &facts));
    }

    #[test]
    fn patterns_describe_what_the_plain_matcher_says(
        pattern in "[ab*?é]{0,8}",
        text in "[abé]{0,8}",
    ) {
        let policy = document(&format!(
            r#"{{"Effect":"Allow","Action":"*","Resource":"*",
                "Condition":{{"StringLike":{{"x:text":"{pattern}"}}}}}}"#
        ));
        let more = [("x:text".to_owned(), text.clone())];
        let allowed = asked_in(&policy, "x:y", &[], Context { more: &more, ..Context::default() });
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        prop_assert_eq!(allowed == Verdict::Allow, naive::fits(&chars(&pattern), &chars(&text)));
    }

    #[test]
    fn nothing_that_is_read_panics(
        text in "[{}\\[\\]\",:a*1 ]{0,60}",
        statement in any::<String>(),
    ) {
        drop(Document::parse(&text));
        drop(Document::parse(&statement));
        let within = format!(r#"{{"Version":"1","Statement":[{statement}]}}"#);
        drop(Document::parse(&within));
    }
}

/// If the letters were too many nothing would ever be allowed, and the properties above empty.
#[test]
fn all_verdicts_are_met() {
    let mut runner = TestRunner::deterministic();
    let rules = vec(rule(), 1..6);
    let mut met: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..1000 {
        let rules = rules.new_tree(&mut runner).unwrap().current();
        let facts = facts().new_tree(&mut runner).unwrap().current();
        *met.entry(format!("{:?}", naive::evaluate(&rules, &facts))).or_default() += 1;
    }
    assert_eq!(met.len(), 3, "{met:?}");
    assert!(met.values().all(|times| *times >= 50), "{met:?}");
}
