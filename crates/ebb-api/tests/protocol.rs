//! Requests that are no good, and the formats of answers.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::io::{Read, Write};

use common::{ACCOUNT, Answer, Server, V1, V3};
use serde_json::json;

#[track_caller]
fn expect(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.outcome(), (status, code.to_owned()), "{answer:?}");
}

fn line(line: &str) -> Vec<u8> {
    format!("{line} HTTP/1.1\r\nHost: ecs.test:80\r\n\r\n").into_bytes()
}

#[test]
fn replies_in_json() {
    let server = Server::start();
    let answer = server.raw(&V1::new("Echo", &[("Text", "\u{1}<é>")]).bytes());
    assert_eq!(answer.status, 200);
    let id = answer.json()["RequestId"].as_str().unwrap().to_owned();
    assert_eq!(
        answer.json(),
        json!({"RequestId": id, "Text": "\u{1}<é>", "Size": null, "Region": null,
            "Account": ACCOUNT, "Tags": {"Tag": []}})
    );
    assert!(answer.body.starts_with("{\"RequestId\":"), "{}", answer.body);
    let groups: Vec<_> = id.split('-').map(str::len).collect();
    assert_eq!(groups, [8, 4, 4, 4, 12]);
    assert!(id.chars().all(|c| c == '-' || c.is_ascii_digit() || ('A'..='F').contains(&c)));
}

#[test]
fn replies_in_xml() {
    let server = Server::start();
    let tags = [("Text", "\u{1}<é>"), ("Tag.1.Key", "a"), ("Tag.2.Key", "b")];
    let answer = server.raw(&V1::new("Echo", &tags).set("Format", "XML").bytes());
    let id = answer.element("RequestId").unwrap();
    assert_eq!(
        answer.body,
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><EchoResponse><RequestId>{id}</RequestId>\
             <Text>\u{fffd}&lt;é&gt;</Text><Account>{ACCOUNT}</Account><Tags><Tag><TagKey>a\
             </TagKey></Tag><Tag><TagKey>b</TagKey></Tag></Tags></EchoResponse>"
        )
    );
    assert_eq!(answer.headers["x-acs-request-id"], id);
}

#[test]
fn errors_have_five_fields() {
    let server = Server::start();
    let answer = server.raw(&V1::new("NeedsDisk", &[]).bytes());
    expect(&answer, 400, "MissingParameter");
    let id = answer.headers["x-acs-request-id"].clone();
    let link = format!(
        "https://api.aliyun.com/troubleshoot?q=MissingParameter&product=Ecs&requestId={id}"
    );
    let message = "The input parameter \"DiskId\" that is mandatory for processing this request \
                   is not supplied.";
    assert_eq!(
        answer.json(),
        json!({"RequestId": id, "HostId": "ecs.test", "Code": "MissingParameter",
            "Message": message, "Recommend": link})
    );
    let answer = server.raw(&V1::new("NeedsDisk", &[]).set("Format", "XML").bytes());
    expect(&answer, 400, "MissingParameter");
    assert_eq!(answer.element("HostId").unwrap(), "ecs.test");
    assert_eq!(answer.element("Message").unwrap(), message);
    assert!(answer.element("Recommend").unwrap().contains("&amp;product=Ecs&amp;requestId="));
}

#[test]
fn the_format_is_as_asked_and_xml_by_default() {
    let server = Server::start();
    let kind = |request: &[u8]| server.raw(request).headers["content-type"].clone();
    let json = "application/json;charset=utf-8";
    let xml = "text/xml;charset=utf-8";
    for (format, expected) in
        [("JSON", json), ("json", json), ("XML", xml), ("xml", xml), ("None", xml), ("", xml)]
    {
        assert_eq!(kind(&V1::new("Echo", &[]).set("Format", format).bytes()), expected, "{format}");
    }
    assert_eq!(kind(&V1::new("Echo", &[]).without("Format").bytes()), xml);
    let post = V1 { method: "POST", ..V1::new("Echo", &[]) };
    assert_eq!(kind(&post.split(|_| false)), json);
    assert_eq!(kind(&V3::new("Echo", &[]).bytes()), json);
    assert_eq!(kind(&V3::new("Echo", &[("Format", "XML")]).bytes()), json);
    // Errors too, however early.
    assert_eq!(kind(&line("GET /?Format=json")), json);
    assert_eq!(kind(&line("GET /?a=%zz&Format=json")), json);
    assert_eq!(kind(&line("PUT /?Format=json")), json);
    assert_eq!(kind(&line("GET /elsewhere?Format=json")), json);
    assert_eq!(kind(&line("GET /")), xml);
    assert_eq!(kind(&V3 { method: "PUT", ..V3::new("Echo", &[]) }.bytes()), json);
}

#[test]
fn names_that_are_not_there() {
    let server = Server::start();
    let answer = server.raw(&V1::new("Nothing", &[]).bytes());
    expect(&answer, 404, "InvalidAction.NotFound");
    let message = "Specified api is not found, please check your url and method.";
    assert_eq!(answer.json()["Message"], message);
    // An operation belongs to one version.
    expect(&server.raw(&V1::new("GetCallerIdentity", &[]).bytes()), 404, "InvalidAction.NotFound");
    let sts = V1::new("GetCallerIdentity", &[]).set("Version", "2015-04-01");
    let reply = server.raw(&sts.bytes()).json();
    assert_eq!(reply["IdentityType"], "Account");
    assert_eq!(reply["AccountId"], ACCOUNT);
    let answer = server.raw(&V1::new("Echo", &[]).set("Version", "2015-04-01").bytes());
    expect(&answer, 404, "InvalidAction.NotFound");
    assert!(answer.json()["Recommend"].as_str().unwrap().contains("product=Sts"));
    expect(&server.raw(&V1::new("Echo", &[]).set("Version", "x").bytes()), 404, "InvalidVersion");
    expect(
        &server.raw(&V3::new("Echo", &[]).set("x-acs-version", "x").bytes()),
        404,
        "InvalidVersion",
    );
    expect(&server.raw(&line("GET /elsewhere")), 404, "InvalidAction.NotFound");
    expect(&server.raw(&line("GET //")), 404, "InvalidAction.NotFound");
}

#[test]
fn other_methods() {
    let server = Server::start();
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
        expect(&server.raw(&line(&format!("{method} /"))), 400, "UnsupportedHTTPMethod");
    }
    expect(&server.raw(&line("OPTIONS *")), 400, "UnsupportedHTTPMethod");
}

#[test]
fn malformed_parameters() {
    let server = Server::start();
    for query in ["a=%", "a=%zz", "%4=a", "a=%ff", "A=1&A=1", "A=1&a=2"] {
        expect(&server.raw(&line(&format!("GET /?{query}&Format=JSON"))), 400, "InvalidParameter");
    }
    let post = |query: &str, kind: &str, body: &str| {
        let length = body.len();
        let request = format!(
            "POST /?{query} HTTP/1.1\r\nHost: h\r\nContent-Type: {kind}\r\nContent-Length: \
             {length}\r\n\r\n{body}"
        );
        server.raw(request.as_bytes())
    };
    let form = "application/x-www-form-urlencoded";
    expect(&post("", form, "a=%zz&Format=JSON"), 400, "InvalidParameter");
    let answer = post("Size=1", form, "Size=1&Format=JSON");
    expect(&answer, 400, "InvalidParameter");
    let message = "The specified parameter \"Size\" is not valid. Expected it to be given once.";
    assert_eq!(answer.json()["Message"], message);
    expect(&post("Format=JSON", "application/json", "{}"), 400, "InvalidParameter");
    expect(&post("Format=JSON", form, "\u{0}"), 400, "MissingAccessKeyId");
    let signed = V1::new("Echo", &[("Size", "many")]).bytes();
    expect(&server.raw(&signed), 400, "InvalidParameter");
}

#[test]
fn bodies_beyond_the_limit() {
    let server = Server::start();
    let head = |length: usize| {
        format!(
            "POST /?Format=JSON HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n"
        )
    };
    // Announced and not sent.
    let answer = server.raw(head(1 << 40).as_bytes());
    expect(&answer, 413, "RequestEntityTooLarge");
    assert_eq!(answer.headers["connection"], "close");
    // Sent to the end, before the answer is looked at.
    let body = vec![b'a'; 32 << 20];
    let answer = server.raw(&[head(body.len()).as_bytes(), &body].concat());
    expect(&answer, 413, "RequestEntityTooLarge");
    let answer = server.raw(&[head((1 << 20) + 1).as_bytes(), &body[..(1 << 20) + 1]].concat());
    expect(&answer, 413, "RequestEntityTooLarge");
    let answer = server.raw(&[head(1 << 20).as_bytes(), &body[..1 << 20]].concat());
    expect(&answer, 400, "MissingAccessKeyId");
    // Not announced.
    let mut chunked =
        b"POST /?Format=JSON HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
        200000\r\n"
            .to_vec();
    chunked.extend(&body[..0x20_0000]);
    chunked.extend(b"\r\n0\r\n\r\n");
    expect(&server.raw(&chunked), 413, "RequestEntityTooLarge");
    // Nobody is asked to go on with a body that is refused.
    let waiting = head(1 << 40).replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    expect(&server.raw(waiting.as_bytes()), 413, "RequestEntityTooLarge");
}

#[test]
fn what_is_no_request_is_refused_and_harms_nobody() {
    let server = Server::start();
    let huge = format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    let many = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "x: y\r\n".repeat(1000));
    let long = format!("GET /?{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(70_000));
    for (request, status) in [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(), 400),
        (b"nonsense\r\n\r\n".to_vec(), 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n".to_vec(), 400),
        (huge.into_bytes(), 431),
        (many.into_bytes(), 431),
        (long.into_bytes(), 414),
    ] {
        let mut stream = server.connect();
        stream.write_all(&request).unwrap();
        assert_eq!(Answer::read(&mut stream).status, status);
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "closed without a reset");
    }
    // Cut off in the middle.
    drop(server.connect());
    server.connect().write_all(b"GET / HT").unwrap();
    server
        .connect()
        .write_all(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\na")
        .unwrap();
    expect(&server.raw(&V1::new("Echo", &[]).bytes()), 200, "");
}

#[test]
fn a_long_query_is_taken() {
    let server = Server::start();
    let text = "x".repeat(32 << 10);
    let reply = server.raw(&V1::new("Echo", &[("Text", &text)]).bytes()).json();
    assert_eq!(reply["Text"].as_str().unwrap().len(), text.len());
}
