//! What is sent to Vault, to the byte where it matters, for answers as they are documented.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ebb_kms::{KeyStore, KeyStoreError, Material, VaultConfig, VaultKeys};
use serde_json::{Value, json};

use crate::server::{Answer, Request, TOKEN, Transit, described};
use crate::{config, vault};

const VERSION_1: Material = Material { version: 1, sealed: None };

/// What a ciphertext of the key `key-a` in the context `disk` is bound to, in version 2.
const BOUND: &[u8] = b"\x02\0\0\0\x02\0\0\0\x05key-adisk";

fn set_up(answers: impl IntoIterator<Item = Answer>) -> (Transit, VaultKeys) {
    let server = Transit::start();
    server.put(answers);
    let store = vault(&config(&server));
    (server, store)
}

fn key(versions: usize) -> Answer {
    Answer::data(&described("ebbtide-key-a", versions, false))
}

/// The lines, with the bodies behind them.
fn said(seen: &[Request]) -> Vec<(&str, &Value)> {
    seen.iter().map(|request| (&request.line[..], &request.body)).collect()
}

#[test]
fn each_request_has_the_token_and_nothing_else_of_ours() {
    let (server, store) = set_up([Answer::none(), key(1)]);
    store.create("key-a").unwrap();
    let seen = server.seen();
    for request in &seen {
        let headers = &request.headers;
        assert_eq!(headers["x-vault-token"], TOKEN);
        assert_eq!(headers["x-vault-request"], "true");
        assert_eq!(headers["host"], server.address().to_string());
        assert!(!headers.contains_key("x-vault-namespace"));
    }
    assert_eq!(seen[0].headers["content-type"], "application/json");
    assert!(!seen[1].headers.contains_key("content-type"));
}

#[test]
fn mount_prefix_and_namespace() {
    let server = Transit::start();
    server.put([Answer::none()]);
    let told = VaultConfig {
        address: format!("http://{}/behind/this/", server.address()),
        mount: "/team/keys/".to_owned(),
        prefix: "e-".to_owned(),
        namespace: Some("admin/blocks".to_owned()),
        ..config(&server)
    };
    assert!(vault(&told).create("key-a").is_err());
    let seen = server.seen();
    assert_eq!(seen[0].line, "POST /behind/this/v1/team/keys/keys/e-key-a");
    assert_eq!(seen[0].headers["x-vault-namespace"], "admin/blocks");
}

#[test]
fn create() {
    let body = json!({
        "type": "aes256-gcm96", "derived": false, "exportable": false,
        "allow_plaintext_backup": false,
    });
    // Older ones answer with nothing, newer with the key.
    for answer in [Answer::none(), key(1)] {
        let (server, store) = set_up([answer, key(1)]);
        assert_eq!(store.create("key-a").unwrap(), VERSION_1);
        let expected = [
            ("POST /v1/transit/keys/ebbtide-key-a", &body),
            ("GET /v1/transit/keys/ebbtide-key-a", &Value::Null),
        ];
        assert_eq!(said(&server.seen()), expected);
    }
}

#[test]
fn a_key_of_another_kind_is_not_used() {
    let odd = [("type", json!("rsa-4096")), ("exportable", json!(true)), ("derived", json!(true))];
    for (name, value) in odd {
        let mut data = described("ebbtide-key-a", 1, false);
        data[name] = value;
        let (_server, store) = set_up([Answer::none(), Answer::data(&data)]);
        let refused = store.create("key-a").unwrap_err().to_string();
        assert!(refused.contains("a key ebbtide-key-a of another kind"), "{refused}");
    }
}

#[test]
fn rotate() {
    let rotated = "POST /v1/transit/keys/ebbtide-key-a/rotate";
    let looked = ("GET /v1/transit/keys/ebbtide-key-a", &Value::Null);
    let (server, store) = set_up([key(1), key(2)]);
    assert_eq!(store.rotate("key-a", &[VERSION_1]).unwrap().version, 2);
    assert_eq!(said(&server.seen()), [looked, (rotated, &Value::Null)]);
    // There is one already that nobody wrote down.
    let (server, store) = set_up([key(2)]);
    assert_eq!(store.rotate("key-a", &[VERSION_1]).unwrap().version, 2);
    assert_eq!(said(&server.seen()), [looked]);
}

#[test]
fn encrypt() {
    let made = json!({ "ciphertext": "vault:v2:c2VhbGVk", "key_version": 2 });
    let (server, store) = set_up([key(2), Answer::data(&made)]);
    let material = Material { version: 2, sealed: None };
    let blob = store.encrypt("key-a", &material, b"disk", b"secret").unwrap();
    assert_eq!(blob, b"\x02\0\0\0\x02sealed");
    let body = json!({
        "plaintext": STANDARD.encode("secret"),
        "associated_data": STANDARD.encode(BOUND),
        "key_version": 2,
    });
    let expected = [
        ("GET /v1/transit/keys/ebbtide-key-a", &Value::Null),
        ("POST /v1/transit/encrypt/ebbtide-key-a", &body),
    ];
    assert_eq!(said(&server.seen()), expected);
}

#[test]
fn decrypt() {
    let opened = json!({ "plaintext": STANDARD.encode("secret") });
    let (server, store) = set_up([Answer::data(&opened)]);
    let held = [VERSION_1, Material { version: 2, sealed: None }];
    let opened = store.decrypt("key-a", &held, b"disk", b"\x02\0\0\0\x02sealed").unwrap();
    assert_eq!((opened.version, &opened.plain[..]), (2, &b"secret"[..]));
    let body = json!({
        "ciphertext": "vault:v2:c2VhbGVk",
        "associated_data": STANDARD.encode(BOUND),
    });
    assert_eq!(said(&server.seen()), [("POST /v1/transit/decrypt/ebbtide-key-a", &body)]);
}

#[test]
fn destroy() {
    let allowed = json!({ "deletion_allowed": true });
    let looked = ("GET /v1/transit/keys/ebbtide-key-a", &Value::Null);
    let (server, store) = set_up([key(1), Answer::none(), Answer::none()]);
    store.destroy("key-a").unwrap();
    let expected = [
        looked,
        ("POST /v1/transit/keys/ebbtide-key-a/config", &allowed),
        ("DELETE /v1/transit/keys/ebbtide-key-a", &Value::Null),
    ];
    assert_eq!(said(&server.seen()), expected);
    let (server, store) = set_up([Answer::errors(404, &[])]);
    store.destroy("key-a").unwrap();
    assert_eq!(said(&server.seen()), [looked]);
    // Somebody else deleted it in between.
    let gone = "no existing key named ebbtide-key-a could be found";
    let (_server, store) = set_up([key(1), Answer::errors(400, &[gone]), Answer::errors(404, &[])]);
    store.destroy("key-a").unwrap();
}

#[test]
fn a_destroyed_key_is_not_made_anew_by_what_encrypts() {
    let (server, store) = set_up([]);
    store.create("key-a").unwrap();
    store.destroy("key-a").unwrap();
    let outcome = store.encrypt("key-a", &VERSION_1, b"c", b"secret");
    assert!(matches!(outcome, Err(KeyStoreError::NotFound(_))), "{outcome:?}");
    let seen = server.seen();
    assert_eq!(seen.last().unwrap().line, "GET /v1/transit/keys/ebbtide-key-a");
}

#[test]
fn check() {
    let health = json!({
        "initialized": true, "sealed": false, "standby": true, "performance_standby": false,
        "replication_performance_mode": "disabled", "replication_dr_mode": "disabled",
        "server_time_utc": 1_790_000_000, "version": "1.21.1", "enterprise": false,
    });
    for status in [200, 429, 473] {
        let (server, store) = set_up([Answer::json(status, &health), Answer::errors(404, &[])]);
        store.check().unwrap();
        let seen = server.seen();
        let expected = [
            ("GET /v1/sys/health", &Value::Null),
            ("GET /v1/transit/keys/ebbtide-check", &Value::Null),
        ];
        assert_eq!(said(&seen), expected);
        assert!(!seen[0].headers.contains_key("x-vault-token"));
    }
}
