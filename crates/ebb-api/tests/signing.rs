//! Who is let in, from the outside.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{ACCOUNT, Server, V1, V3, now, stamp};
use ebb_api::Nonces;
use ebb_api::client::{Client, ClientError, Scheme};
use ebb_domain::Timestamp;
use serde_json::json;

const OK: (u16, &str) = (200, "");

fn outcome(server: &Server, request: &[u8]) -> (u16, String) {
    server.raw(request).outcome()
}

#[track_caller]
fn expect(server: &Server, request: &[u8], expected: (u16, &str)) {
    let answer = server.raw(request);
    assert_eq!(answer.outcome(), (expected.0, expected.1.to_owned()), "{answer:?}");
}

#[test]
fn the_older_scheme_in_every_place_clients_put_it() {
    let server = Server::start();
    let params = [("Text", "a b*c~d/é+&="), ("RegionId", "cn-hangzhou"), ("SignatureType", "")];
    let get = V1::new("Echo", &params);
    let post = || V1 { method: "POST", ..V1::new("Echo", &params) };
    let requests = [
        get.bytes(),
        post().bytes(),
        // Terraform: the system's in the query, the operation's in the form.
        post().split(|name| !matches!(name, "Text" | "RegionId")),
        // Node: everything in the form.
        post().split(|_| false),
    ];
    for request in requests {
        let reply = server.raw(&request).json();
        assert_eq!(reply["Text"], "a b*c~d/é+&=");
        assert_eq!(reply["Region"], "cn-hangzhou");
        assert_eq!(reply["Account"], ACCOUNT);
    }
    assert_eq!(server.calls(), 4);
}

#[test]
fn spaces_may_come_as_plus_signs() {
    let server = Server::start();
    let request = String::from_utf8(V1::new("Echo", &[("Text", "a b")]).bytes()).unwrap();
    let reply = server.raw(request.replace("Text=a%20b", "Text=a+b").as_bytes()).json();
    assert_eq!(reply["Text"], "a b");
    let mut request = V3::new("Echo", &[("Text", "a b")]);
    request.query = "Text=a+b".to_owned();
    assert_eq!(server.raw(&request.bytes()).json()["Text"], "a b");
}

#[test]
fn the_newer_scheme_with_query_and_form() {
    let server = Server::start();
    let params = [("Text", "a b*c~d/é+&="), ("Tag.1.Key", "k"), ("Tag.2.key", ""), ("Size", "")];
    let reply = server.raw(&V3::new("Echo", &params).bytes()).outcome();
    assert_eq!(reply, (400, "MissingParameter".to_owned()), "the empty Tag.2.Key");
    let reply = server.raw(&V3::new("Echo", &params[..2]).bytes()).json();
    assert_eq!(reply["Text"], "a b*c~d/é+&=");
    assert_eq!(reply["Tags"], json!({"Tag": [{"TagKey": "k", "TagValue": null}]}));
    let get = V3 { method: "GET", ..V3::new("Echo", &[]) };
    expect(&server, &get.bytes(), OK);
    let form = V3::new("Echo", &[("Size", "7")]).form("Text=from+the+form");
    let reply = server.raw(&form.bytes()).json();
    assert_eq!((&reply["Text"], &reply["Size"]), (&json!("from the form"), &json!(7)));
    // As Go and Node sign: without accept and user-agent.
    let few = V3::new("Echo", &[]).unsigned("accept").unsigned("user-agent");
    expect(&server, &few.bytes(), OK);
}

#[test]
fn headers_of_the_newer_scheme_do_not_make_a_request_newer() {
    let server = Server::start();
    let request = String::from_utf8(V1::new("Echo", &[]).bytes()).unwrap();
    let more = "\r\nx-acs-action: Panic\r\nx-acs-version: 1\r\nAuthorization: Basic eDp5\r\n\r\n";
    expect(&server, request.replacen("\r\n\r\n", more, 1).as_bytes(), OK);
}

#[test]
fn signature_methods() {
    let server = Server::start();
    let request = V1::new("Echo", &[]).set("SignatureMethod", "HMAC-SHA256");
    expect(&server, &request.bytes(), OK);
    for other in ["SHA256withRSA", "hmac-sha1", "HMAC-MD5"] {
        let request = V1::new("Echo", &[]).set("SignatureMethod", other);
        expect(&server, &request.bytes(), (400, "InvalidSignatureMethod"));
    }
    let request = V1::new("Echo", &[]).set("SignatureVersion", "2.0");
    expect(&server, &request.bytes(), (400, "InvalidSignatureMethod"));
    let request = V1::new("Echo", &[]).set("SignatureType", "BEARERTOKEN");
    expect(&server, &request.bytes(), (400, "InvalidSignatureMethod"));
    for algorithm in ["ACS3-HMAC-SM3", "ACS3-RSA-SHA256", "ACS4-HMAC-SHA256"] {
        let request = V3 { algorithm, ..V3::new("Echo", &[]) };
        expect(&server, &request.bytes(), (400, "InvalidSignatureMethod"));
    }
}

#[test]
fn a_wrong_secret_is_told_what_should_have_been_signed() {
    let server = Server::start();
    let request = V1 { secret: "other", ..V1::new("Echo", &[("Text", "<é>")]) };
    let answer = server.raw(&request.bytes());
    assert_eq!(answer.outcome(), (400, "SignatureDoesNotMatch".to_owned()));
    let message = answer.json()["Message"].as_str().unwrap().to_owned();
    let (text, string_to_sign) = message.split_once(':').unwrap();
    assert_eq!(
        text,
        "Specified signature is not matched with our calculation. server string to sign is"
    );
    assert_eq!(string_to_sign, request.string_to_sign());

    let request = V3 { secret: "other", ..V3::new("Echo", &[]) };
    let answer = server.raw(&request.bytes());
    assert_eq!(answer.outcome(), (400, "SignatureDoesNotMatch".to_owned()));
    let message = answer.json()["Message"].as_str().unwrap().to_owned();
    let head = "Specified signature does not match our calculation. server StringToSign is \
                [ACS3-HMAC-SHA256\n";
    assert!(message.starts_with(head), "{message}");
    assert!(message.contains("] server CanonicalRequest is [POST\n/\n\naccept:"), "{message}");
    assert_eq!(server.calls(), 0);
}

#[test]
fn what_was_changed_on_the_way_is_refused() {
    let server = Server::start();
    let mismatch = (400, "SignatureDoesNotMatch");
    let request = String::from_utf8(V1::new("Echo", &[("Size", "1")]).bytes()).unwrap();
    expect(&server, request.replace("Size=1", "Size=2").as_bytes(), mismatch);
    expect(&server, request.replace("&Size=1", "").as_bytes(), mismatch);
    expect(&server, request.replace("GET", "POST").as_bytes(), mismatch);
    let request = String::from_utf8(V3::new("Echo", &[("Size", "1")]).bytes()).unwrap();
    expect(&server, request.replace("Size=1", "Size=2").as_bytes(), mismatch);
    expect(
        &server,
        request.replace("x-acs-action: Echo", "x-acs-action: Panic").as_bytes(),
        mismatch,
    );
    let mut request = V3::new("Echo", &[]).form("Size=1");
    request.sent_body = Some("Size=2".to_owned());
    let answer = server.raw(&request.bytes());
    assert_eq!(answer.outcome(), (400, "SignatureDoesNotMatch".to_owned()));
    let message = answer.json()["Message"].as_str().unwrap().to_owned();
    assert!(
        message.starts_with("The header x-acs-content-sha256 is not the SHA-256 of"),
        "{message}"
    );
    assert_eq!(server.calls(), 0);
}

#[test]
fn headers_that_matter_must_be_signed_and_sent_once() {
    let server = Server::start();
    let incomplete = (400, "IncompleteSignature");
    for name in [
        "host",
        "x-acs-action",
        "x-acs-content-sha256",
        "x-acs-date",
        "x-acs-signature-nonce",
        "x-acs-version",
    ] {
        expect(&server, &V3::new("Echo", &[]).unsigned(name).bytes(), incomplete);
    }
    let form = V3::new("Echo", &[]).form("Size=1").unsigned("content-type");
    expect(&server, &form.bytes(), incomplete);
    let token =
        V3::new("Echo", &[]).set("x-acs-security-token", "t").unsigned("x-acs-security-token");
    expect(&server, &token.bytes(), incomplete);
    // One signature would do for the nonces `a,b` and, sent as two headers, `b`.
    let split = V3::new("Echo", &[]).set("x-acs-signature-nonce", "a,b");
    let request = String::from_utf8(split.bytes()).unwrap();
    let two = "x-acs-signature-nonce: b\r\nx-acs-signature-nonce: a";
    expect(&server, request.replace("x-acs-signature-nonce: a,b", two).as_bytes(), incomplete);
    let request = String::from_utf8(V3::new("Echo", &[]).bytes()).unwrap();
    expect(&server, request.replace("Credential=", "Kredential=").as_bytes(), incomplete);
    let unsent = request.replace("SignedHeaders=", "SignedHeaders=x-acs-other;");
    expect(&server, unsent.as_bytes(), incomplete);
    assert_eq!(server.calls(), 0);
}

#[test]
fn what_is_missing_is_named() {
    let server = Server::start();
    for name in
        ["AccessKeyId", "SignatureMethod", "SignatureVersion", "SignatureNonce", "Timestamp"]
    {
        let answer = server.raw(&V1::new("Echo", &[]).without(name).bytes());
        assert_eq!(answer.outcome(), (400, format!("Missing{name}")));
        let message = format!("{name} is mandatory for this action.");
        assert_eq!(answer.json()["Message"], message);
    }
    for name in ["Action", "Version"] {
        let answer = server.raw(&V1::new("Echo", &[]).without(name).bytes());
        assert_eq!(answer.outcome(), (400, format!("Missing{name}")));
    }
    let unsigned = V1::new("Echo", &[]).signed();
    let query = common::joined(&unsigned[..unsigned.len() - 1]);
    let request = format!("GET /?{query} HTTP/1.1\r\nHost: h\r\n\r\n");
    expect(&server, request.as_bytes(), (400, "MissingSignature"));
    expect(&server, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", (400, "MissingAccessKeyId"));
    expect(&server, &V3::new("Echo", &[]).without("x-acs-date").bytes(), (400, "MissingTimestamp"));
    let no_nonce = V3::new("Echo", &[]).without("x-acs-signature-nonce");
    expect(&server, &no_nonce.bytes(), (400, "MissingSignatureNonce"));
}

#[test]
fn keys_that_do_not_open() {
    let server = Server::start();
    let unknown = (404, "InvalidAccessKeyId.NotFound");
    expect(&server, &V1::new("Echo", &[]).set("AccessKeyId", "who").bytes(), unknown);
    expect(&server, &V3 { key: "who", ..V3::new("Echo", &[]) }.bytes(), unknown);
    let missing = (400, "MissingSecurityToken");
    expect(&server, &V3 { key: "STS.who", ..V3::new("Echo", &[]) }.bytes(), missing);
    let asleep = (400, "InvalidAccessKeyId.Inactive");
    expect(&server, &V1::new("Echo", &[]).set("AccessKeyId", "asleep").bytes(), asleep);
    let token = (400, "InvalidSecurityToken.MismatchWithAccessKey");
    expect(&server, &V1::new("Echo", &[]).set("SecurityToken", "t").bytes(), token);
    expect(&server, &V3::new("Echo", &[]).set("x-acs-security-token", "t").bytes(), token);
    expect(&server, &V1::new("Echo", &[]).set("SecurityToken", "").bytes(), OK);
}

#[test]
fn clocks_may_be_fifteen_minutes_off_either_way() {
    let now = Timestamp::from_unix_millis(1_700_000_000_000);
    let server = Server::at(now);
    let cases = [(0, OK), (900, OK), (-900, OK)];
    let late = (400, "InvalidTimeStamp.Expired");
    for (seconds, expected) in cases.into_iter().chain([(901, late), (-901, late)]) {
        let time = stamp(now.plus_seconds(seconds));
        expect(&server, &V1::new("Echo", &[]).set("Timestamp", &time).bytes(), expected);
        expect(&server, &V3::new("Echo", &[]).set("x-acs-date", &time).bytes(), expected);
    }
    for bad in ["now", "1700000000", "2023-11-14T22:13:20+00:00", "2023-11-14 22:13:20Z"] {
        let format = (400, "InvalidTimeStamp.Format");
        expect(&server, &V1::new("Echo", &[]).set("Timestamp", bad).bytes(), format);
        expect(&server, &V3::new("Echo", &[]).set("x-acs-date", bad).bytes(), format);
    }
}

#[test]
fn a_request_is_good_once() {
    let server = Server::start();
    let used = (400, "SignatureNonceUsed");
    for request in [V1::new("Echo", &[]).bytes(), V3::new("Echo", &[]).bytes()] {
        expect(&server, &request, OK);
        expect(&server, &request, used);
    }
    // With another time, so validly signed, but the same nonce.
    let first = V1::new("Echo", &[]);
    let nonce = first.pairs.iter().find(|(name, _)| name == "SignatureNonce").unwrap().1.clone();
    expect(&server, &first.bytes(), OK);
    let earlier = stamp(now().plus_seconds(-60));
    let second = V1::new("Echo", &[]).set("SignatureNonce", &nonce).set("Timestamp", &earlier);
    expect(&server, &second.bytes(), used);
    assert_eq!(server.calls(), 3);
}

#[test]
fn a_bad_signature_uses_up_no_nonce() {
    let server = Server::start();
    let good = V1::new("Echo", &[]);
    let bad = V1 { secret: "other", method: good.method, pairs: good.pairs.clone() };
    expect(&server, &bad.bytes(), (400, "SignatureDoesNotMatch"));
    expect(&server, &good.bytes(), OK);
}

#[test]
fn of_many_replays_at_once_one_wins() {
    let server = Server::start();
    let request = V3::new("Echo", &[]).bytes();
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| outcome(&server, &request))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|outcome| outcome.0 == 200).count(), 1, "{outcomes:?}");
    assert!(outcomes.iter().all(|(status, code)| *status == 200 || code == "SignatureNonceUsed"));
    assert_eq!(server.calls(), 1);
}

#[test]
fn a_restart_does_not_make_a_captured_request_good_again() {
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        let nonces = Nonces::kept_in(folder.path().join("nonces"), now()).unwrap();
        Server::with(None, nonces, Ok(()))
    };
    let captured = V1::new("Echo", &[]).bytes();
    expect(&start(), &captured, OK);
    let server = start();
    expect(&server, &captured, (400, "SignatureNonceUsed"));
    assert_eq!(server.calls(), 0);
    expect(&server, &V1::new("Echo", &[]).bytes(), OK);
}

#[tokio::test]
async fn the_client_gets_in_both_ways() {
    let server = Server::start();
    for scheme in [Scheme::V1, Scheme::V3] {
        let client = Client::new(server.address.to_string(), "testid", "testsecret");
        let client = client.with_scheme(scheme);
        let params = [("Text", "a b*c~d/é+&="), ("Tag.1.Key", "k")];
        let reply = client.call("Echo", &params).await.unwrap();
        assert_eq!(reply["Text"], "a b*c~d/é+&=", "{scheme:?}");
        let reply = client.call("GetCallerIdentity", &[]).await.unwrap();
        assert_eq!(reply["Arn"], format!("acs:ram::{ACCOUNT}:root"), "{scheme:?}");
        let refused = client.call("NeedsDisk", &[]).await.unwrap_err();
        let ClientError::Refused { status, code, message, request_id } = refused else {
            panic!("{refused}")
        };
        assert_eq!((status, code.as_str()), (400, "MissingParameter"));
        assert!(message.contains("\"DiskId\""), "{message}");
        assert_eq!(request_id.len(), 36);
        let wrong = Client::new(format!("http://{}", server.address), "testid", "wrong");
        let refused = wrong.with_scheme(scheme).call("Echo", &[]).await.unwrap_err();
        assert_eq!(refused.code(), Some("SignatureDoesNotMatch"));
    }
}

#[tokio::test]
async fn the_client_tells_why_there_is_no_answer() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    for (endpoint, reason) in
        [(address.as_str(), "refused"), ("https://127.0.0.1:1", "refused"), ("", "empty string")]
    {
        let error = Client::new(endpoint, "a", "b").call("Echo", &[]).await.unwrap_err();
        assert_eq!(error.code(), None);
        assert!(error.to_string().contains(reason), "{error}");
    }
}
